/**
 * How fast is what a user would pick instead? The same step on the same machine, on as many threads and in
 * turns with ours: decode attention over a whole cache, and one plain product of matrices.
 *
 * Every case agrees with an f64 loop over the values that it stores before it is timed. Peers are loaded
 * from `bench/peers/node_modules`; one that is not there is said to be skipped, and how to get it.
 * `÷ ours` is how many times as long a case takes, within rounds. What a step returns to JavaScript is a
 * few kilobytes; the libraries below JavaScript (ggml, onnxruntime) use every instruction of the
 * processor, ours those of WebAssembly.
 * @module
 */
import {
  bitsOf,
  compile,
  contract,
  type Device,
  f16,
  input,
  openWasm,
  q4_0,
  q8_0,
  rtnGrouped,
  type Tensor,
  wasm,
} from "../mod.ts";
import {
  asQuery,
  attention,
  cacheShape,
  moved,
  type Named,
  PLAIN,
  put,
  release,
  restore,
  type Sizes,
  step,
  store,
} from "./caches.ts";
import { activations } from "./data.ts";
import { exactly } from "./exact.ts";
import {
  agree,
  type Ask,
  type Benchmark,
  compare,
  type Effort,
  ratio,
  type Row,
} from "./harness.ts";
import { ggml } from "./peers/ggml.ts";
import { jax } from "./peers/jax.ts";
import { onnxruntime } from "./peers/onnxruntime.ts";
import {
  type Decode,
  F32_LIMIT,
  Missing,
  type Peer,
  type Product,
  type Ready,
  type Source,
} from "./peers/peer.ts";
import { tfjs } from "./peers/tfjs.ts";

const SOURCES: readonly Source[] = [ggml, onnxruntime, jax, tfjs];

/** One of ours: with a query and weights of 8 bits, or as programs come. */
interface Own extends Named {
  readonly eight?: true;
}

/**
 * Ours, with the formats of ggml beside our own 4 bits. Beside packed codes ggml rounds the query to 8 bits:
 * so does the choice `fixed: 8`.
 */
const OURS: readonly Own[] = [
  PLAIN,
  { name: "f16", codec: f16 },
  { name: "q8_0", codec: q8_0 },
  { name: "q4_0", codec: q4_0 },
  { name: "q4_0, 8-bit query", codec: q4_0, eight: true },
  { name: "rtnGrouped 4", codec: rtnGrouped(4) },
  { name: "rtnGrouped 4, 8-bit query", codec: rtnGrouped(4), eight: true },
];
/** What ratios are to. */
const F32 = "kvfold, f32";
const FOUR = "kvfold, rtnGrouped 4";

/** Queries and weights are rounded to 16 or 8 bits beside packed codes: see `attention.ts`. */
const FIXED_LIMIT = 2 ** -9;
const EIGHT_LIMIT = 2 ** -3;

const f32Of = async (tensor: Tensor): Promise<Float32Array> => {
  const values = Float32Array.from(await tensor.read());
  tensor.dispose();
  return values;
};

/** One of ours, on one thread or on many. */
const ourAttention = async (way: Own, given: Decode, device: Device): Promise<Ready> => {
  const { sizes, tokens } = given;
  const { k, v } = step(sizes, tokens);
  const [keys, values] = [await store(way, sizes, "k", k), await store(way, sizes, "v", v)];
  const stored = way === PLAIN ? undefined : {
    k: await f32Of(await restore(way, sizes, "k", keys)),
    v: await f32Of(await restore(way, sizes, "v", values)),
  };
  if (way !== PLAIN) release({ k, v });
  const here = { q: asQuery(sizes, given.q), ...keys, ...values };
  const inputs: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(here)) {
    inputs[name] = device === wasm() ? tensor : await moved(tensor, device);
  }
  if (device !== wasm()) release(here);
  const program = await compile(
    { out: attention(way, sizes) },
    { device, ...(way.eight ? { schedule: { fixed: 8 } } : {}) },
  );
  return {
    name: `kvfold, ${way.name}`,
    bits: bitsOf(way.codec, cacheShape(sizes), { tokens }),
    limit: way === PLAIN ? F32_LIMIT : way.eight ? EIGHT_LIMIT : FIXED_LIMIT,
    ...(stored === undefined ? {} : { stored }),
    run: async () => release(await program.run(inputs)),
    result: async () => (await program.values(inputs)).out,
    close: () => release(inputs),
  };
};

const ourProduct = async ({ m, k, n, a, b }: Product, device: Device): Promise<Ready> => {
  const out = contract("m k, k n -> m n", input("a", [m, k], "f32"), input("b", [k, n], "f32"));
  const program = await compile({ out }, { device });
  const here = { a: put("a", [m, k], a), b: put("b", [k, n], b) };
  const inputs = device === wasm()
    ? here
    : { a: await moved(here.a, device), b: await moved(here.b, device) };
  if (device !== wasm()) release(here);
  return {
    name: "kvfold",
    bits: 32,
    limit: F32_LIMIT,
    run: async () => release(await program.run(inputs)),
    result: async () => (await program.values(inputs)).out,
    close: () => release(inputs),
  };
};

/** A peer that is there, or why it is not. */
type Opened = { readonly source: Source; readonly peer: Peer } | { readonly skipped: string };

const opened = async (threads: number): Promise<readonly Opened[]> => {
  const found: Opened[] = [];
  for (const source of SOURCES.filter((s) => threads === 1 || s.threaded)) {
    try {
      found.push({ source, peer: await source.open(threads) });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      found.push({ skipped: `SKIPPED: ${source.name}: ${error.message}` });
    }
  }
  return found;
};

/** Checks, then times in turns; what is wrong has no time. */
const timed = async (
  ready: readonly Ready[],
  exact: (r: Ready) => ArrayLike<number>,
  effort: Effort,
  heads: Row,
  tos: Readonly<Record<string, string>>,
): Promise<readonly Row[]> => {
  const wrong: Row[] = [];
  const right: Ready[] = [];
  const far = new Map<Ready, number>();
  for (const r of ready) {
    await r.run();
    try {
      far.set(r, agree(r.name, await r.result(), exact(r), r.limit));
      right.push(r);
    } catch (error) {
      wrong.push({ what: r.name, ...heads, ms: `wrong: ${(error as Error).message}` });
    }
  }
  const timings = await compare(right, effort);
  const rows = timings.map((t, i): Row => {
    const ratios = Object.entries(tos).flatMap(([head, name]) => {
      const to = timings.find((x) => x.name === name);
      return to === undefined ? [] : [[head, ratio(t, to)]];
    });
    return {
      what: t.name,
      ...heads,
      ...Object.hasOwn(tos, "÷ ours 4 bits") ? { "bits/value": right[i].bits } : {},
      ms: t.ms,
      iqr: t.iqr,
      best: t.best,
      ...Object.fromEntries(ratios),
      "off by": far.get(right[i])!,
    };
  });
  for (const r of ready) await r.close();
  return [...rows, ...wrong];
};

const attentions = async (
  sizes: Sizes,
  tokens: number,
  peers: readonly Opened[],
  device: Device,
  threads: number,
  effort: Effort,
): Promise<readonly Row[]> => {
  const { k, v, query: q } = step(sizes, tokens);
  const given: Decode = { sizes, tokens, q, k: await f32Of(k), v: await f32Of(v) };
  const ready: Ready[] = [];
  for (const way of OURS) ready.push(await ourAttention(way, given, device));
  for (const p of peers) if ("peer" in p) ready.push(...await p.peer.attention(given));
  const plain = exactly(given, given.k, given.v);
  const exact = ({ stored }: Ready): ArrayLike<number> =>
    stored === undefined ? plain : exactly(given, stored.k, stored.v);
  const heads = { heads: `${sizes.kv} × ${sizes.group}`, dim: sizes.dim, threads };
  return timed(ready, exact, effort, heads, { "÷ ours f32": F32, "÷ ours 4 bits": FOUR });
};

const products = async (
  size: number,
  peers: readonly Opened[],
  device: Device,
  threads: number,
  effort: Effort,
): Promise<readonly Row[]> => {
  const count = size * size;
  const [a, b] = [activations(6, count, size), activations(7, count, size)];
  const given: Product = { m: size, k: size, n: size, a, b };
  const ready = [await ourProduct(given, device)];
  for (const p of peers) if ("peer" in p) ready.push(await p.peer.product(given));
  const exact = new Float64Array(count);
  for (let i = 0; i < size; i++) {
    for (let l = 0; l < size; l++) {
      const x = a[i * size + l];
      for (let j = 0; j < size; j++) exact[i * size + j] += x * b[l * size + j];
    }
  }
  return timed(ready, () => exact, effort, { threads }, { "÷ ours": "kvfold" });
};

/** The question of the head of the file. */
export const peersBench: Benchmark = async ({ quick }: Ask) => {
  const [tokens, size] = quick ? [2048, 128] : [16384, 1024];
  const effort = quick ? { rounds: 5, warmMs: 50 } : { rounds: 25, warmMs: 300 };
  const shapes = quick ? [[8, 1, 64]] : [[8, 1, 128], [8, 4, 128], [8, 1, 64], [8, 4, 64]];
  const many = openWasm({ threads: "all" });
  await many.start();
  const attended: Row[] = [];
  const multiplied: Row[] = [];
  const versions = new Set<string>();
  for (const threads of new Set([1, navigator.hardwareConcurrency])) {
    const peers = await opened(threads);
    const device = threads === 1 ? wasm() : many;
    const skipped = peers.flatMap((p) => "skipped" in p ? [{ what: p.skipped }] : []);
    peers.forEach((p) => "peer" in p && versions.add(p.peer.version));
    for (const [kv, group, dim] of shapes) {
      attended.push(
        ...await attentions({ kv, group, dim }, tokens, peers, device, threads, effort),
      );
    }
    multiplied.push(...await products(size, peers, device, threads, effort));
    if (threads === 1) {
      attended.unshift(...skipped);
      multiplied.unshift(...skipped);
    }
  }
  many.close();
  const of = [...versions].join(", ");
  return [
    {
      title: `decode attention, KV heads × queries a head, ${tokens} tokens (${of})`,
      rows: attended,
    },
    { title: `${size}³ product of matrices, f32`, rows: multiplied },
  ];
};
