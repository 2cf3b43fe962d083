/** Linear maps of stored weights: which kernels they become. */
import { deepEqual } from "node:assert/strict";
import {
  cached,
  type Codec,
  compile,
  contract,
  input,
  type Program,
  quantize,
  quantizeGroups,
} from "../mod.ts";

Deno.test("linear maps of one scale a row multiply codes; of groups, a few tokens decode in registers", async () => {
  const product = (codec: Codec, tokens: number | string): Promise<Program> =>
    compile({
      y: contract(
        "t i, o i -> t o",
        input("x", [tokens, 256], "f32"),
        cached(codec, "w", [512, 256]),
      ),
    });
  const rows = quantize({ bits: 4, per: "token", range: "symmetric" });
  const skeletons = (p: Program): string[] => p.structure.kernels.map((k) => k.skeleton);
  for (const tokens of [1, "tokens"]) {
    // The products, then scales and sums.
    deepEqual(skeletons(await product(rows, tokens)), ["contract", "encode"]);
  }
  deepEqual(
    (await product(quantizeGroups(4, 64), 1)).structure.kernels.map((k) => [...k.buffers]),
    [[
      "read x f32 [1,256]",
      "read w.codes u4 [512,256]",
      "read w.scale f16 [512,4]",
      "read w.min f16 [512,4]",
      "write contract f32 [1,512]",
    ]],
  );
  // Many tokens would decode many times: weights are decoded once, beside.
  deepEqual(skeletons(await product(quantizeGroups(4, 64), "tokens")), ["map", "contract"]);
});
