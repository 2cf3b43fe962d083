import { deepEqual, equal, throws } from "node:assert/strict";
import {
  coveredSize,
  groupedDim,
  grows,
  joinedDim,
  rangeDim,
  rootOf,
  sizeOf,
  startsOf,
} from "./dims.ts";

const newest = { start: 4, tail: 32, group: 8 };
const first = rangeDim("tokens", { start: 0 }, { start: 4 });
const packed = rangeDim("tokens", { start: 4 }, newest);
const last = rangeDim("tokens", newest);

Deno.test("rangeDim() names a run by its places, and knows its size", () => {
  deepEqual([first, packed, last], ["tokens[:4]", "tokens[4:4-32/8]", "tokens[4-32/8:]"]);
  for (
    const [tokens, sizes] of [[0, [0, 0, 0]], [2, [2, 0, 0]], [43, [4, 0, 39]], [60, [4, 24, 32]]]
  ) {
    deepEqual([first, packed, last].map((d) => sizeOf(d, { tokens: tokens as number })), sizes);
    deepEqual([rangeDim(tokens as number, { start: 4 }, newest)], [(sizes as number[])[1]]);
  }
  equal(rangeDim("tokens", { start: 0 }), "tokens");
  equal(rangeDim("tokens", { start: 3 }, { start: 3 }), 0);
  throws(() => rangeDim("tokens", { start: -1 }), /place: -1 is not made of counts/);
});

Deno.test("joinedDim() is the size of runs side by side, and of nothing else", () => {
  equal(joinedDim([first, packed, last]), "tokens");
  equal(joinedDim([packed, last]), "tokens[4:]");
  equal(joinedDim([2, 3]), 5);
  equal(joinedDim([packed, first]), undefined);
  equal(joinedDim(["a", "b"]), undefined);
  deepEqual(startsOf([first, packed, last]), [0, "tokens[:4]", "tokens[:4-32/8]"]);
  const inner = rangeDim(packed, { start: 2 });
  equal(inner, "tokens[4:4-32/8][2:]");
  equal(sizeOf(inner, { tokens: 60 }), 22);
});

Deno.test("groupedDim() takes whole groups only", () => {
  equal(groupedDim(packed, 4), "tokens[4:4-32/8]/4");
  equal(sizeOf(groupedDim(packed, 4)!, { tokens: 60 }), 6);
  equal(groupedDim(packed, 3), undefined);
  equal(groupedDim(last, 4), undefined);
  equal(groupedDim("tokens", 4), undefined);
  equal(groupedDim(12, 4), 3);
});

Deno.test("a dim knows what it follows from, and whether it grows", () => {
  equal(rootOf("tokens[4:4-32/8]/4"), "tokens");
  deepEqual([first, packed, last, "tokens[4:]"].map((d) => grows(d as string)), [
    false,
    true,
    false,
    true,
  ]);
  equal(
    coveredSize(
      "tokens",
      new Map([[last as string, 32], [first as string, 4], [packed as string, 8]]),
    ),
    44,
  );
  equal(coveredSize("tokens", new Map([[last as string, 32]])), undefined);
});
