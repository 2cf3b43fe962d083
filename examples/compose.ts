/**
 * A scheme of your own in ten lines, and what is known of it before anyone wrote a kernel: its bits, its
 * bound, the kernels of its attention. Change `mine`, run again.
 *
 * deno run -A examples/compose.ts   or   bun examples/compose.ts
 *
 * Among all others, on a real model:   deno task compare --scheme examples/compose.ts --only mine,rtn
 */
import {
  attend,
  bitsOf,
  cached,
  certify,
  codebook,
  type Codec,
  compile,
  hadamard,
  input,
  lloydMax,
  on,
  quantize,
} from "kvfold";
import { pipe } from "kvfold/fp";

/** Keys: outliers spread by a rotation, then four centroids a value. Values: three bits in groups of 32. */
export const mine: { readonly k: Codec; readonly v: Codec } = {
  k: pipe(
    hadamard(),
    on("values", codebook({ levels: lloydMax(2), per: "token", scale: "norm", keepNorm: true })),
  ),
  v: quantize({ bits: 3, per: 32, range: "asymmetric" }),
};

const shape = [4, "tokens", 64] as const;

const main = async (): Promise<void> => {
  const out = attend({
    q: input("q", [4, 2, 1, 64], "f32"),
    k: cached(mine.k, "k", shape),
    v: cached(mine.v, "v", shape),
  });
  const program = await compile({ out });
  const tokens = 4096;
  const whole = 2 * 2 * 4 * tokens * 64;
  console.log(`bits a value    K ${bitsOf(mine.k, shape)}, V ${bitsOf(mine.v, shape)}`);
  for (const name of ["k", "v"] as const) {
    const x = input("x", shape, "f32");
    const codec = mine[name];
    const back = await certify({ back: codec.decode(codec.encode(x), shape) });
    const wave = Float64Array.from({ length: 4 * 8 * 64 }, (_, i) => Math.fround(Math.sin(i * i)));
    const { value, bound } = (await back.values({ x: wave }, { tokens: 8 })).back;
    const error = value.map((y, i) => Math.abs(y - wave[i]));
    console.log(
      `error of ${name.toUpperCase()}      at most ${Math.max(...error).toFixed(3)} on a wave; ` +
        `certified ${Math.max(...bound).toFixed(3)}`,
    );
  }
  console.log(
    `attention       ${program.structure.kernels.map((k) => k.skeleton).join(", then ")}; ` +
      `${program.bytesMoved({ tokens })} bytes for ${tokens} tokens, an f16 cache is ${whole}`,
  );
  console.log(`rules           ${[...new Set(program.structure.rules)].join(", ")}`);
};

if (import.meta.main) await main();
