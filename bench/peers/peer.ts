/**
 * What a peer is: something else that a user could run in place of kvfold, for the same step on the same
 * machine. Peers are no dependency of the package: they are loaded from `bench/peers/node_modules`, and
 * where they are not, the table says how to get them.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Sizes } from "../caches.ts";
import type { Case } from "../harness.ts";

/** One decode step: keys and values `[kv, tokens, dim]`, queries `[kv, group, dim]`. */
export interface Decode {
  readonly sizes: Sizes;
  readonly tokens: number;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** A product of matrices: `a` is `[m, k]`, `b` is `[k, n]`. */
export interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** A way in which a peer does what it is asked, ready to be timed. */
export interface Ready extends Case {
  /** Bits a value of the cache. */
  readonly bits: number;
  /** The result of the last run, in the order of the query or of the product. */
  readonly result: () => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** The keys and values that it attends over, where storing them rounded them. */
  readonly stored?: { readonly k: Float32Array; readonly v: Float32Array };
  /** How far it may be from the exact result on what it stores, of the largest; with the reason. */
  readonly limit: number;
  /** Gives memory back. */
  readonly close: () => void | Promise<void>;
}

/** A peer that was found, on a number of threads. */
export interface Peer {
  readonly version: string;
  readonly attention: (step: Decode) => Promise<readonly Ready[]>;
  readonly product: (product: Product) => Promise<Ready>;
}

/** Where a peer comes from. */
export interface Source {
  readonly name: string;
  /** Can it be told how many threads to take, more than once a process? */
  readonly threaded: boolean;
  readonly open: (threads: number) => Promise<Peer>;
}

/** One command for all of them. */
export const INSTALL = "npm install --prefix bench/peers --ignore-scripts --no-package-lock";

/** A peer that is not to be had here; the message says what would change that. */
export class Missing extends Error {
  override readonly name = "Missing";
}

const here = new URL("./", import.meta.url);
const asked = createRequire(new URL("package.json", here));

/** The folder of a peer's package. */
export const folderOf = (name: string): string => {
  const folder = fileURLToPath(new URL(`node_modules/${name}/`, here));
  if (!existsSync(folder)) throw new Missing(`run ${INSTALL}`);
  return folder;
};

/** The version of a peer's package. */
export const versionOf = (name: string): string =>
  JSON.parse(readFileSync(`${folderOf(name)}package.json`, "utf8")).version;

/** A peer's package, as the caller says it is. */
export const load = <A>(name: string): A => {
  folderOf(name);
  return asked(name) as A;
};

/** Sums in f32 stay below this. */
export const F32_LIMIT = 2 ** -13;

/** A query that was scaled before, for peers that do not scale. */
export const scaled = ({ q, sizes }: Decode): Float32Array =>
  q.map((x) => x / Math.sqrt(sizes.dim));

/** A matrix `[rows, columns]`, or many, the other way round. */
export const transposed = (
  x: Float32Array,
  rows: number,
  columns: number,
): Float32Array => {
  const out = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += rows * columns) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        out[at + j * rows + i] = x[at + i * columns + j];
      }
    }
  }
  return out;
};
