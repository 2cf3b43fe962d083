/**
 * Fine-tunes a model for a cache in few bits: it learns to say on the stored cache what it said on the exact
 * one (distillation), as LLM-QAT (arXiv 2305.17888) does for weights, activations and the KV cache alike.
 *
 * ```text
 * teacher   p = softmax(logits of the model as it was, exact cache)
 * student   K̂ = decode(encode(K)), V̂ = decode(encode(V)) in every layer; q = softmax(logits)
 * loss      mean KLD(p ‖ q) over positions; its gradient by the logits is (q − p) / positions
 * back      straight through the roundings of the codec (`pullback`), program by program (`tape.ts`)
 * step      Adam (arXiv 1412.6980) on the matrices of attention, the norms with them
 * ```
 * Everything runs on a device but the sum of the loss. What comes out is a model like any other.
 * @module
 */
import {
  broadcast,
  type Codec,
  type Device,
  foldOver,
  input,
  map,
  type Tensor,
  type Term,
  upload,
  wasm,
} from "../mod.ts";
import { orThrow } from "./errors.ts";
import * as llama from "./llama.ts";
import type { Model } from "./load.ts";
import { disposeAll, LAYER, PROJECT, type Tensors, tensorsOf } from "./precision.ts";
import { meanKld, score } from "./quality.ts";
import { ropeTables } from "./rope.ts";
import { checkTokens, type Codecs, EXACT, library, MEASURED } from "./runner.ts";
import { openTape, type Tape } from "./tape.ts";
import type { Weight } from "./weights.ts";

/** How to fine-tune. */
export interface Training {
  /** Steps of Adam; each sees one window. */
  readonly steps: number;
  /** The largest change of a weight in a step, about; it rises at first, and falls to 0 along half a cosine. */
  readonly rate: number;
  /** Is told of each step: its number from 1 on, and the divergence before it. */
  readonly said?: (step: number, kld: number) => void;
}

/** The tensors of a layer that are trained: the maps of attention, and both norms. */
const TRAINED: readonly string[] = [
  PROJECT.norm,
  PROJECT.wq,
  PROJECT.wk,
  PROJECT.wv,
  LAYER.wo,
  LAYER.norm,
];

/** Of Adam: how much of the mean gradient and of the mean square is kept, and what keeps quotients finite. */
const [FIRST, SECOND, LEAST] = [0.9, 0.99, 1e-8];

/** The share of the steps in which the rate rises: first gradients tell little of the size of a step. */
const WARM = 0.1;

const softmax = (x: Term): Term => {
  const rows = (s: Term): Term => broadcast(s, x.shape, [0]);
  const weights = map("exp", map("sub", x, rows(foldOver("max", "max", x, [1]))));
  return map("div", weights, rows(foldOver("sum", "sum", weights, [1])));
};

/** The gradient of the mean divergence by the logits, over `count` positions. */
const apart = (vocab: number): llama.Formula => {
  const [mine, theirs] = ["mine", "theirs"].map((name) =>
    softmax(input(name, [llama.TOKENS, vocab], "f32"))
  );
  return { by: map("div", map("sub", mine!, theirs!), input("count", [], "f32")) };
};

/** One step of Adam; `share` is rate / (1 − FIRST^n), `scale` is 1 / (1 − SECOND^n). */
const adam = (shape: readonly number[]): llama.Formula => {
  const [w, g, m, v] = ["w", "g", "m", "v"].map((name) => input(name, shape, "f32"));
  const [share, scale] = ["share", "scale"].map((name) => input(name, [], "f32"));
  const kept = (old: Term, by: number, x: Term): Term =>
    map("add", map("mul", old, by), map("mul", x, 1 - by));
  const [mean, square] = [kept(m!, FIRST, g!), kept(v!, SECOND, map("mul", g!, g!))];
  const size = map("add", map("sqrt", map("mul", square, scale!)), LEAST);
  return { w: map("sub", w!, map("div", map("mul", mean, share!), size)), m: mean, v: square };
};

/** A weight that is trained, with its mean gradient and mean square. */
interface Moving {
  readonly name: string;
  w: Tensor;
  m: Tensor;
  v: Tensor;
}

/** What a codec gives back of a tensor of a cache. */
const held = (codec: Codec, shape: ReturnType<typeof llama.cacheShape>): llama.Formula => {
  const x = input("x", shape, "f32");
  return { x: codec.decode(codec.encode(x), shape) };
};

/**
 * Fine-tunes a model on windows of tokens, again and again in their order, and gives the model with its new
 * weights. A basis that a codec fits (`decoquantB`) counts as it was fitted.
 */
export const finetune = async (
  model: Model,
  { k, v }: Codecs,
  windows: readonly (readonly number[])[],
  { steps, rate, said = () => {} }: Training,
  device: Device = wasm(),
): Promise<Model> => {
  const { config } = model;
  const compiled = library(device, MEASURED);
  const given = new Map<string, Tensor>();
  for (const [name, { shape, data }] of model.weights) {
    given.set(name, upload(device, name, "f32", shape, data));
  }
  const moving = new Map<string, Moving>();
  for (let i = 0; i < config.layers; i++) {
    for (const of of TRAINED) {
      const name = `model.layers.${i}.${of}.weight`;
      const { shape, data } = model.weights.get(name)!;
      const [w, m, v] = [data, new Float32Array(data.length), new Float32Array(data.length)]
        .map((x) => upload(device, name, "f32", shape, x));
      moving.set(name, { name, w: w!, m: m!, v: v! });
    }
  }
  const texts = windows.map((window) => orThrow(checkTokens(config, window)));
  const ran = async (formula: llama.Formula, inputs: Tensors): Promise<Tensors> =>
    await (await compiled(formula)).run(inputs);

  /** Logits of a window on a cache held by codecs, from some weights. */
  const forward = async (
    tape: Tape,
    ids: readonly number[],
    codecs: Codecs,
    weights: ReadonlyMap<string, Tensor>,
  ): Promise<Tensor> => {
    const angles = ropeTables(config, ids.length);
    const embedding = weights.get("model.embed_tokens.weight")!;
    const of = (layer: number, names: Readonly<Record<string, string>>): Tensors =>
      tensorsOf(layer, names, weights);
    let { x } = await tape.run(llama.embed(config), { embedding, ids });
    for (let i = 0; i < config.layers; i++) {
      const now = await tape.run(llama.project(config), { x: x!, ...angles, ...of(i, PROJECT) });
      const stored = async (codec: Codec, t: Tensor): Promise<Tensor> =>
        codec === EXACT.k
          ? t
          : (await tape.run(held(codec, llama.cacheShape(config)), { x: t })).x!;
      const next = await tape.run(llama.layer(config, EXACT.k, EXACT.v), {
        x: x!,
        q: now.q!,
        "k.values": await stored(codecs.k, now.k!),
        "v.values": await stored(codecs.v, now.v!),
        ...of(i, LAYER),
      });
      x = next.x;
    }
    const norm = weights.get("model.norm.weight")!;
    return (await tape.run(llama.head(config), { x: x!, norm, embedding })).logits!;
  };

  const teach = async (ids: readonly number[]): Promise<Float32Array> => {
    const tape = openTape(compiled, new Set());
    try {
      return Float32Array.from(await (await forward(tape, ids, EXACT, given)).read());
    } finally {
      tape.close();
    }
  };

  const learn = async (ids: readonly number[], theirs: Float32Array, n: number): Promise<void> => {
    const now = new Map([...given, ...[...moving].map(([name, { w }]) => [name, w] as const)]);
    const tape = openTape(compiled, new Set([...moving.values()].map((m) => m.w)));
    try {
      const logits = await forward(tape, ids, { k, v }, now);
      const mine = Float32Array.from(await logits.read());
      said(n, meanKld(score(mine, theirs, config.vocabSize, ids.slice(1))));
      const target = upload(device, "theirs", "f32", logits.shape, theirs);
      const count = upload(device, "count", "f32", [], [ids.length]);
      const { by } = await ran(apart(config.vocabSize), { mine: logits, theirs: target, count });
      disposeAll([target, count]);
      const gradients = await tape.back(logits, by!);
      const part = Math.min(
        n / Math.ceil(WARM * steps),
        (1 + Math.cos(Math.PI * (n - 1) / steps)) / 2,
      );
      const [share, scale] = [rate * part / (1 - FIRST ** n), 1 / (1 - SECOND ** n)]
        .map((x) => upload(device, "factor", "f32", [], [x]));
      for (const own of moving.values()) {
        const g = gradients.get(own.w)!;
        const old = { w: own.w, m: own.m, v: own.v };
        const next = await ran(adam(g.shape), { ...old, g, share: share!, scale: scale! });
        Object.assign(own, next);
        disposeAll([...Object.values(old), g]);
      }
      disposeAll([share!, scale!]);
    } finally {
      tape.close();
    }
  };

  try {
    const taught: Float32Array[] = [];
    for (let n = 1; n <= steps; n++) {
      const at = (n - 1) % texts.length;
      taught[at] ??= await teach(texts[at]!);
      await learn(texts[at]!, taught[at]!, n);
    }
    const weights = new Map<string, Weight>(model.weights);
    for (const { name, w } of moving.values()) {
      const data = Float32Array.from(await w.read());
      weights.set(name, { shape: w.shape, dtype: "F32", data });
    }
    return { config, weights };
  } finally {
    disposeAll(given.values());
    for (const { w, m, v } of moving.values()) disposeAll([w, m, v]);
  }
};
