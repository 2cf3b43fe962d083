/**
 * Chunks of many tokens: values that are added a whole row after the other, of any number of channels, rows and
 * tokens, and weights that are rounded 256 tokens at a time.
 */
import { f16, identity, rtn, rtnGrouped } from "../mod.ts";
import { agrees } from "./stored_attention.ts";

Deno.test("values of any number of channels and rows are added a whole row after the other", async () => {
  for (const dim of [68, 192, 288]) {
    for (const [rows, tokens] of [[1, 1], [4, 7], [5, 70]]) {
      await agrees(identity, dim, rows, tokens);
    }
  }
  for (const dim of [64, 192]) {
    for (const codec of [f16, rtnGrouped(8)]) await agrees(codec, dim, 4, 37);
  }
});

Deno.test("weights as integers mean the same whatever part of a chunk shares a step", async () => {
  for (const codec of [rtnGrouped(4), rtn(4), rtnGrouped(8)]) {
    for (const [rows, tokens] of [[4, 256], [3, 257], [1, 1030]]) {
      for (const chunk of [512, 4096]) {
        await agrees(codec, 64, rows, tokens, { schedule: { fixed: 16, chunk } });
      }
    }
  }
  for (const tokens of [15, 1030]) {
    for (const chunk of [256, 4096]) {
      await agrees(rtnGrouped(4), 64, 2, tokens, { schedule: { fixed: 8, chunk } });
    }
  }
});
