/**
 * What calibration gives the schemes `grain` and `kvtc`: for keys and values of every layer a basis a head, and how
 * many coordinates get how many bits, from texts that are not the one to be judged by. All heads of a token
 * share a norm and words.
 *
 * ```text
 * run        q, k, v of every layer                     each text once, on an f32 cache
 * fold       W = Σ q qᵀ, C = Σ (k − μ)(k − μ)ᵀ          Gram matrices, on the device
 * turn       E = W^½ U Λ^−½, B = Λ^½ Uᵀ W^−½            U Λ Uᵀ = W^½ C W^½, in f64; W = 1 for `kvtc`
 * probe      divergence with one layer's K or V coded   how much its error costs
 * allot      words of 32 bits a token                   dynamic programming: least Σ cost·λ·error
 * ```
 * Keys, or their mean alone, are held as they were before RoPE; queries look at such keys from all places.
 * @module
 */
import {
  allot,
  bitsOf,
  center,
  type Codec,
  compile,
  evaluate,
  type Grades,
  grain,
  gram,
  identity,
  input,
  joinHeads,
  kvtc,
  type Linear,
  type Matrix,
  on,
  preRope,
  routine,
  VALUES,
  waysOf,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import type { ModelConfig } from "./config.ts";
import { cacheShape } from "./llama.ts";
import type { Model } from "./load.ts";
import { meanKld, score } from "./quality.ts";
import { aroundMean, fromPlaces, ropeOf, storedUnturned } from "./rope.ts";
import { type Codecs, EXACT, type LayerRun, type Run, type Runner } from "./runner.ts";

type Side = keyof Codecs;

/** A basis: there, back, and weighted variances in it, falling. */
interface Basis {
  readonly to: Matrix;
  readonly back: Matrix;
  readonly variances: readonly number[];
}

/** K or V of one layer, all heads side by side. */
interface Part extends Basis {
  readonly layer: number;
  readonly side: Side;
}

/** Variances below this share of the largest are held there, so that nothing is divided by noise. */
const LEAST = 1e-4;

const rowsOf = (data: ArrayLike<number>, n: number, head: number): number[][] =>
  Array.from(
    { length: n },
    (_, i) => Array.from({ length: n }, (_, j) => data[(head * n + i) * n + j]),
  );

const times = (a: Matrix, b: Matrix): number[][] =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));

const unit = (n: number): number[][] =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => +(i === j)));

const flipped = (a: Matrix): number[][] => a[0].map((_, j) => a.map((row) => row[j]));

const scaled = (a: Matrix, by: readonly number[]): number[][] =>
  a.map((row) => row.map((x, j) => x * by[j]));

/** Eigenvalues, falling, and eigenvectors as columns. */
const eigen = (a: Matrix): { values: number[]; vectors: number[][] } => {
  const n = a.length;
  const term = input("a", [n, n], "f32");
  const env = { sizes: {}, inputs: { a: a.flat() } };
  const [values, vectors] = ["values", "vectors"].map((of) =>
    evaluate(routine("eigh", of, term), env).data
  );
  const top = Math.max(values[0], Number.MIN_VALUE);
  return {
    values: Array.from(values, (x) => Math.max(x, LEAST * top)),
    vectors: rowsOf(vectors, n, 0),
  };
};

/** The basis of covariance C weighed by W: there, back, and variances. */
const basisOf = (w: Matrix, c: Matrix): Basis => {
  const weight = eigen(w);
  const power = (p: number): number[][] =>
    times(scaled(weight.vectors, weight.values.map((x) => x ** p)), flipped(weight.vectors));
  const [root, inverse] = [power(1 / 2), power(-1 / 2)];
  const { values, vectors } = eigen(times(times(root, c), root));
  const sizes = values.map(Math.sqrt);
  return {
    to: scaled(times(root, vectors), sizes.map((s) => 1 / s)),
    back: flipped(scaled(times(inverse, vectors), sizes)),
    variances: values,
  };
};

/** Bases of heads as one of all their channels, coordinates of whichever head by falling variance. */
const joined = (bases: readonly Basis[]): Basis => {
  const order = bases
    .flatMap(({ variances }, head) => variances.map((variance, i) => ({ head, i, variance })))
    .sort((a, b) => b.variance - a.variance);
  const of = (head: number, pick: (channel: number) => (at: typeof order[number]) => number) =>
    bases[head].to.map((_, channel) => order.map((at) => at.head === head ? pick(channel)(at) : 0));
  return {
    to: bases.flatMap(({ to }, head) => of(head, (c) => ({ i }) => to[c][i])),
    back: flipped(bases.flatMap(({ back }, head) => of(head, (c) => ({ i }) => back[i][c]))),
    variances: order.map(({ variance }) => variance),
  };
};

/** Gram matrices of every head's rows, and of the same less their mean. */
const gramsOf = async (
  x: Float64Array,
  heads: number,
  d: number,
): Promise<{ plain: Float64Array; centred: Float64Array }> => {
  const term = input("x", [heads, "rows", d], "f32");
  const around = center().encode(term)[VALUES];
  const program = await compile({ plain: gram(term, [1]), centred: gram(around, [1]) });
  const { plain, centred } = await program.values({ x });
  const rows = x.length / heads / d;
  return { plain: plain.map((v) => v / rows), centred: centred.map((v) => v / rows) };
};

/** Σ q qᵀ as keys meet it that are held so. */
const queryWeight = (
  config: ModelConfig,
  own: Matrix,
  tokens: number,
  held: Graded["beforeRope"],
): Matrix => held === "all" ? fromPlaces(config, own, tokens) : own;

/** Σ O Oᵀ of the output map of the query heads that share a key head. */
const outputWeight = (model: Model, layer: number, head: number): number[][] => {
  const { headDim: d, heads, kvHeads, hiddenSize } = model.config;
  const { data } = model.weights.get(`model.layers.${layer}.self_attn.o_proj.weight`)!;
  const group = heads / kvHeads;
  const rows = Array.from({ length: group * hiddenSize }, (_, n) => {
    const from = Math.floor(n / group) * heads * d + (head * group + n % group) * d;
    return Array.from(data.subarray(from, from + d));
  });
  return times(flipped(rows), rows);
};

/** Rows of every head of several runs, one run's after another's. */
const gathered = (runs: readonly Float64Array[], heads: number): Float64Array => {
  const out = new Float64Array(runs.reduce((n, x) => n + x.length, 0));
  let at = 0;
  for (let head = 0; head < heads; head++) {
    for (const x of runs) {
      const own = x.subarray(head * x.length / heads, (head + 1) * x.length / heads);
      out.set(own, at);
      at += own.length;
    }
  }
  return out;
};

const partsOf = async (
  model: Model,
  runs: readonly Run[],
  { weighed, beforeRope }: Graded,
): Promise<Part[]> => {
  const { headDim: d, heads, kvHeads, layers } = model.config;
  const seenAs = { mean: aroundMean, all: storedUnturned }[beforeRope];
  const all: Part[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const of = (pick: (run: LayerRun) => Float64Array, turned: boolean) => {
      const each = runs.map((run) => {
        const x = pick(run.layers[layer]);
        return turned ? seenAs(model.config, x, tokensOf(run)) : x;
      });
      return gramsOf(gathered(each, kvHeads), kvHeads, d);
    };
    const tokensOf = (run: Run) => run.layers[layer].q!.length / heads / d;
    const queries = await of((run) => run.q!, beforeRope === "all");
    for (const side of ["k", "v"] as const) {
      const { centred } = await of((run) => run.seen![side][0], side === "k");
      const bases = Array.from({ length: kvHeads }, (_, head) => {
        const weight = !weighed
          ? unit(d)
          : side === "k"
          ? queryWeight(model.config, rowsOf(queries.plain, d, head), tokensOf(runs[0]), beforeRope)
          : outputWeight(model, layer, head);
        return basisOf(weight, rowsOf(centred, d, head));
      });
      all.push({ layer, side, ...joined(bases) });
    }
  }
  return all;
};

/** What is made of a basis and grades. */
export interface Graded {
  /** The scheme. */
  readonly scheme: (basis: Linear, grades: Grades) => Codec;
  /** Do errors count by what attention does with them, or all alike (principal axes)? */
  readonly weighed: boolean;
  /** What of keys is held as it was before RoPE: their mean, which a query meets quickly, or all of them. */
  readonly beforeRope: "mean" | "all";
}

/** Of this project: weighed, and a norm for each token. */
export const GRAIN: Graded = { scheme: grain, weighed: true, beforeRope: "mean" };

/** The same of keys before RoPE: fewer bits for as much, and every key is turned as it is read. */
export const GRAIN_BEFORE: Graded = { ...GRAIN, beforeRope: "all" };

/** Principal axes of keys before RoPE, as the paper has them. */
export const KVTC: Graded = { scheme: kvtc, weighed: false, beforeRope: "all" };

/** The codec of a part with these grades. */
const codecOf = (
  config: ModelConfig,
  { scheme, beforeRope }: Graded,
  { layer, side, to, back }: Part,
  grades: Grades,
): Codec => {
  const kept = grades.reduce((n, size) => n + size, 0);
  const name = `${side}${layer}`;
  const coded = joinHeads(scheme({
    name,
    to: [to.map((row) => row.slice(0, kept))],
    back: [back.slice(0, kept)],
  }, grades));
  if (side === "v") return coded;
  const turned = preRope(ropeOf(config));
  return pipe(beforeRope === "all" ? turned : center({ within: turned }), on(VALUES, coded));
};

/** Two bits for every coordinate: what parts are probed with. */
const even = (d: number): Grades => [0, 0, d, 0];

/** Codecs of every layer, and their bits a value. */
export interface Calibrated {
  readonly codecs: (layer: number) => Codecs;
  readonly bits: number;
}

const bitsOfAll = (codecs: readonly Codecs[], config: ModelConfig): number =>
  codecs.reduce(
    (sum, { k, v }) => sum + bitsOf(k, cacheShape(config)) + bitsOf(v, cacheShape(config)),
    0,
  ) / (2 * codecs.length);

/** Measures once; gives codecs for any mean number of words of codes a token. */
export const calibrate = async (
  runner: Runner,
  model: Model,
  texts: readonly (readonly number[])[],
  graded: Graded = GRAIN,
): Promise<(words: number) => Calibrated> => {
  const { config } = model;
  const runs: Run[] = [];
  for (const text of texts) runs.push(await runner.run(text, EXACT, { see: true }));
  const parts = await partsOf(model, runs, graded);
  const [[tokens], [exact]] = [texts, runs];
  const costs: number[] = [];
  for (const part of parts) {
    const probe = codecOf(config, graded, part, even(config.kvHeads * config.headDim));
    const { logits } = await runner.run(tokens, (layer) => ({
      k: layer === part.layer && part.side === "k" ? probe : identity,
      v: layer === part.layer && part.side === "v" ? probe : identity,
    }));
    const found = score(logits, exact.logits, config.vocabSize, tokens.slice(1));
    costs.push(meanKld(found) / part.variances.reduce((sum, x) => sum + x, 0));
  }
  return (words) => {
    // What is left of a part counts by what its error costs the model.
    const ways = parts.map(({ variances }, i) =>
      waysOf(variances).map((way) => ({ ...way, left: costs[i] * way.left }))
    );
    const grades = allot(ways, Math.round(words * parts.length)).map((way) => way.grades);
    const of = (layer: number, side: Side): Codec => {
      const at = parts.findIndex((p) => p.layer === layer && p.side === side);
      return codecOf(config, graded, parts[at], grades[at]);
    };
    const layers = exact.layers.map((_, i): Codecs => ({ k: of(i, "k"), v: of(i, "v") }));
    return { codecs: (layer) => layers[layer], bits: bitsOfAll(layers, config) };
  };
};
