/** Measures against numbers worked out by hand. */
import assert from "node:assert/strict";
import { isLeft } from "../fp.ts";
import { describe } from "./errors.ts";
import {
  DEVIATION,
  deviation,
  meanKld,
  perplexity,
  relative,
  sameTop,
  SCORE,
  score,
  tailKld,
  tryScore,
} from "./quality.ts";

const close = (a: number, b: number): void =>
  assert.ok(Math.abs(a - b) <= 1e-7 * Math.abs(b), `${a} is not ${b}`);

const logs = (...rows: readonly (readonly number[])[]): Float32Array =>
  Float32Array.from(rows.flat().map((p) => Math.log(p) + 3));

const base = logs([0.5, 0.25, 0.25], [0.1, 0.8, 0.1]);
const other = logs([0.25, 0.5, 0.25], [0.2, 0.6, 0.2]);

Deno.test("quality: perplexity, KLD and same-top-1 by hand", () => {
  const found = score(other, base, 3, [1, 2]);
  close(perplexity(found), 1 / Math.sqrt(0.5 * 0.2));
  const first = 0.5 * Math.log(2) + 0.25 * Math.log(0.5);
  const second = 2 * 0.1 * Math.log(0.5) + 0.8 * Math.log(0.8 / 0.6);
  close(meanKld(found), (first + second) / 2);
  assert.equal(sameTop(found), 0.5);
  // Of two positions half may exceed the smaller, a tenth may exceed none but the larger.
  assert.ok(second < first);
  assert.deepEqual([0.5, 0.1].map((share) => tailKld(found, share)), found.apart.toReversed());
  // The last position may lack a target, it is compared all the same.
  const short = score(other, base, 3, [1]);
  close(perplexity(short), 2);
  close(meanKld(short), meanKld(found));
});

Deno.test("quality: large logits do not overflow, and equal logits cost nothing", () => {
  const far = Float32Array.from([3e38, 0, -3e38, -3e38, 3e38, 0]);
  const found = score(far, far, 3, [0, 1]);
  assert.deepEqual([perplexity(found), meanKld(found), sameTop(found)], [1, 0, 1]);
});

Deno.test("quality: scores and deviations of parts join to those of the whole", () => {
  const parts = [0, 1].map((i) =>
    score(other.subarray(3 * i, 3 * i + 3), base.subarray(3 * i, 3 * i + 3), 3, [i + 1])
  );
  assert.deepEqual(parts.reduce(SCORE.concat, SCORE.empty), score(other, base, 3, [1, 2]));
  const whole = deviation([3, 4, 0, 0], [3, 4, 5, 0]);
  assert.deepEqual(
    DEVIATION.concat(deviation([3, 4], [3, 4]), deviation([0, 0], [5, 0])),
    whole,
  );
  assert.equal(relative(whole), 1);
  assert.equal(relative(DEVIATION.empty), 0);
  assert.throws(() => deviation([1], [1, 2]), /exact has 1 values, other 2/);
});

Deno.test("quality: sizes that disagree and logits that are no numbers are refused", () => {
  const refusal = (...args: Parameters<typeof tryScore>): string => {
    const result = tryScore(...args);
    assert.ok(isLeft(result), "was accepted");
    return describe(result.left);
  };
  assert.match(refusal(other, base, 4, [1]), /logits: wants rows of 4, has "?6 values/);
  assert.match(refusal(other, base.subarray(3), 3, [1]), /baseline: wants 6 values, has 3 values/);
  assert.match(refusal(other, base, 3, [1, 2, 0]), /targets: wants 1 or 2, has 3/);
  assert.match(refusal(other, base, 3, [3]), /token 1: is 3, the vocabulary has 0 to 2/);
  const bad = other.slice();
  bad[4] = NaN;
  assert.match(refusal(bad, base, 3, [1]), /logits of position 1: wants finite numbers, has NaN/);
});
