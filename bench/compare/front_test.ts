/** Points by hand. */
import { deepEqual } from "node:assert/strict";
import { front } from "./front.ts";

const of = (points: readonly (readonly [number, number])[]) =>
  front(points, ([x]) => x, ([, y]) => y);

Deno.test("front: a point beaten in both is left out, equals stay together", () => {
  deepEqual(of([[4, 1], [2, 3], [3, 3], [3, 2], [5, 1]]), [[2, 3], [3, 2], [4, 1]]);
  deepEqual(of([[1, 1], [1, 1]]), [[1, 1], [1, 1]]);
  deepEqual(of([]), []);
});
