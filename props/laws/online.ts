/**
 * The rule of caches that learn, written anew as plain loops in f64: what `online` around principal axes in
 * halves must hold after so many tokens.
 * @module
 */
import { roundF16 } from "../../dsl/core/dtype.ts";
import { eigh } from "../../dsl/read/linalg.ts";
import { f16, on, online, openCache, pca, perHead, type Refresh } from "../../mod.ts";
import { pipe } from "../../fp.ts";
import type { Device } from "../../mod.ts";
import type { Given } from "./codec.ts";
import { between } from "./growing.ts";

/** A window that learns, of some axes. */
export interface Case extends Refresh {
  readonly group: number;
  readonly rank: number;
  readonly tail: number;
  readonly sinks: number;
}

/** The codec of a case. */
export const axesOnline = ({ rank, ...how }: Case) =>
  online(how, perHead(pipe(pca({ rank }), on("coefficients", f16), on("basis", f16))));

type Rows = readonly (readonly number[])[];

const product = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0].map((_, j) => row.reduce((n, x, k) => n + x * b[k][j], 0)));
const transposed = (a: Rows): Rows => a[0].map((_, j) => a.map((row) => row[j]));
const halves = (a: Rows): Rows => a.map((row) => row.map(roundF16));

/** The first eigenvectors of a Gram matrix, in halves. */
const basisOf = (gram: Rows, rank: number): Rows => {
  const top = Math.max(...gram.flat().map(Math.abs)) || 1;
  const n = gram.length;
  const { vectors } = eigh({
    rows: n,
    cols: n,
    data: Float64Array.from(gram.flat(), (x) => x / top),
  });
  return halves(gram.map((_, i) => Array.from(vectors.data.subarray(i * n, i * n + rank))));
};

/** What every head holds behind the window, and how often parts were made. */
export const ruled = ({ shape: [heads, tokens, channels], data }: Given, how: Case) => {
  const { group, rank, every, share, tail, sinks } = how;
  const row = (
    h: number,
    t: number,
  ): number[] => [...data.subarray((h * tokens + t) * channels, (h * tokens + t + 1) * channels)];
  const all = Array.from({ length: heads }, (_, h) => h);
  let grams: Rows[] = all.map(() =>
    Array.from({ length: channels }, () => Array(channels).fill(0))
  );
  let bases: Rows[] = [];
  let stored: Rows[] = all.map(() => []);
  let [since, lost, energy, made] = [0, 0, 0, 0];
  const groups = Math.floor(Math.max(0, tokens - tail - sinks) / group);
  for (let g = 0; g < groups; g++) {
    const xs = all.map((h): Rows =>
      Array.from({ length: group }, (_, i) => row(h, sinks + g * group + i))
    );
    grams = grams.map((gram, h) => {
      const more = product(transposed(xs[h]), xs[h]);
      return gram.map((r, i) => r.map((x, j) => x + more[i][j]));
    });
    since += group;
    all.filter(() => made > 0).forEach((h) => {
      const back = product(halves(product(xs[h], bases[h])), transposed(bases[h]));
      xs[h].forEach((r, i) =>
        r.forEach((x, j) => (lost += (x - back[i][j]) ** 2, energy += x ** 2))
      );
    });
    if (made === 0 || since >= every) {
      if (made === 0 || share === undefined || lost > share * energy) {
        const next = grams.map((gram) => basisOf(gram, rank));
        stored = stored.map((rows, h) =>
          rows.length === 0 ? rows : halves(product(product(rows, transposed(bases[h])), next[h]))
        );
        bases = next;
        made++;
      }
      [since, lost, energy] = [0, 0, 0];
    }
    stored = stored.map((rows, h) => [...rows, ...halves(product(xs[h], bases[h]))]);
  }
  return { bases, stored, made };
};

/** A cache of a case that took tokens in some runs. */
export const learned = async (device: Device, x: Given, how: Case, splits: readonly number[]) => {
  const cache = await openCache(axesOnline(how), [x.shape[0], x.shape[2]], { device, capacity: 4 });
  let at = 0;
  for (const n of splits) await cache.append(between(x, at, at += n));
  return cache;
};

/**
 * How far a cache is from the rule, if it is. Numbers are integers, so that sums are exact in any order and
 * bases the same; a coefficient may be one half's rounding off each time it was made or turned.
 */
export const ruleBroken = async (
  device: Device,
  x: Given,
  how: Case,
  splits: readonly number[],
): Promise<string | undefined> => {
  const cache = await learned(device, x, how, splits);
  const { bases, stored, made } = ruled(x, how);
  const parts = cache.parts("x");
  const [basis, coefficients] = await Promise.all(
    ["basis", "coefficients"].map((part) => parts[`x.packed.${part}.values`].read()),
  );
  cache.dispose();
  if (made === 0) return coefficients.length === 0 ? undefined : "coefficients without a basis";
  const wanted = bases.flat(2);
  if (basis.some((b, i) => b !== wanted[i])) {
    return `a basis, made ${made} times, is not the rule's`;
  }
  const flat = stored.flat(2);
  if (coefficients.length !== flat.length) return `${coefficients.length} of ${flat.length}`;
  const largest = Math.max(...flat.map(Math.abs), 0);
  const apart = Math.max(...flat.map((c, i) => Math.abs(c - coefficients[i])), 0);
  return apart <= made * 2 ** -11 * 2 * largest
    ? undefined
    : `${apart} apart of ${largest}, made ${made} times`;
};
