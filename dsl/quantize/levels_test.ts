import { ok } from "node:assert/strict";
import { e2m1, lloydMax, nf4 } from "./levels.ts";

/** The positive centroids as tables of the field print them. */
const PRINTED: Readonly<Record<1 | 2 | 3 | 4, readonly number[]>> = {
  1: [0.7979],
  2: [0.4528, 1.5104],
  3: [0.2451, 0.7560, 1.3439, 2.1519],
  4: [0.1284, 0.3880, 0.6568, 0.9423, 1.2562, 1.6180, 2.0690, 2.7326],
};

Deno.test("lloydMax() finds the centroids that are printed everywhere", () => {
  for (const bits of [1, 2, 3, 4] as const) {
    const above = lloydMax(bits).slice(2 ** (bits - 1));
    above.forEach((c, i) =>
      ok(Math.abs(c - PRINTED[bits][i]) < 6e-5, `${bits} bits: ${c} is not ${PRINTED[bits][i]}`)
    );
    ok(lloydMax(bits).every((c, i, all) => c === -all[all.length - 1 - i]));
  }
});

Deno.test("nf4 and e2m1 ascend from −1 to 1 and hold 0", () => {
  for (const levels of [nf4, e2m1]) {
    ok(levels.every((x, i) => i === 0 || x > levels[i - 1]));
    ok(levels.includes(0) && levels[0] === -1 && levels[levels.length - 1] === 1);
  }
});
