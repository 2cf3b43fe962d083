/**
 * DecoQuant (arXiv 2405.12591) as a formula: encode a cache, attend over it, see what it costs.
 *
 * deno run -A examples/decoquant.ts   or   bun examples/decoquant.ts
 */
import { attend, bitsOf, cached, compile, decoquantB, input } from "kvfold";

const scheme = decoquantB(4);
const shape = [2, "tokens", 64] as const;
const tokens = 300;

const encoder = await compile({ ...scheme.encode(input("x", shape, "f32")) });
const wave = (phase: number): number[] =>
  Array.from(
    { length: 2 * tokens * 64 },
    (_, i) => Math.sin(0.37 * i + phase) * (1 + (i % 64) / 16),
  );
const [k, v] = [await encoder.run({ x: wave(0) }), await encoder.run({ x: wave(1) })];

const out = attend({
  q: input("q", [2, 2, 1, 64], "f32"),
  k: cached(scheme, "k", shape),
  v: cached(scheme, "v", shape),
});
const program = await compile({ out });
const parts = (name: string, stored: typeof k): typeof k =>
  Object.fromEntries(Object.entries(stored).map(([part, tensor]) => [`${name}.${part}`, tensor]));
const q = Array.from({ length: 256 }, (_, i) => Math.cos(i));
const packed = await program.values({ q, ...parts("k", k), ...parts("v", v) });

const plain = await compile({
  out: attend({
    q: input("q", [2, 2, 1, 64], "f32"),
    k: input("k", shape, "f32"),
    v: input("v", shape, "f32"),
  }),
});
const exact = await plain.values({ q, k: wave(0), v: wave(1) });
const norm = (xs: ArrayLike<number>): number => Math.hypot(...Array.from(xs));
const error = norm(packed.out.map((x, i) => x - exact.out[i])) / norm(exact.out);
console.log(
  `bits per value: ${bitsOf(scheme, shape)} (${
    bitsOf(scheme, shape, { tokens }).toFixed(3)
  } at ${tokens} tokens)`,
);
console.log(`kernels: ${program.structure.kernels.map((s) => s.skeleton).join(", ")}`);
console.log(`rules: ${[...new Set(program.structure.rules)].join(", ")}`);
console.log(`relative error of the attention output: ${error.toExponential(2)}`);
if (!(error < 0.2)) throw new Error("the compressed attention is far from the exact one");
