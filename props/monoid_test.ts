/** Binds what is special about softmax; the laws of every monoid are in `contract/monoids.ts`. */
import fc from "fast-check";
import * as M from "../dsl/core/monoid.ts";
import { check } from "./check.ts";
import { SCORED, vectors } from "./contract/monoids.ts";
import { near } from "./laws/monoid.ts";

const mean = M.softmax(2).project.mean;

check(
  "softmax: a masked segment changes nothing, only masked gives zeros",
  fc.property(
    fc.array(SCORED, { maxLength: 9 }),
    fc.array(vectors(2), { maxLength: 5 }),
    (s, v) => {
      const m = M.softmax(2);
      const masked = v.map((value) => ({ score: M.MASKED, value }));
      const [some, none] = [M.foldMap(m, s), M.foldMap(m, masked)];
      return near(mean(none) as Float64Array, [0, 0], 0) &&
        near(mean(m.concat(some, none)) as Float64Array, mean(some) as Float64Array, 0) &&
        near(mean(m.concat(none, some)) as Float64Array, mean(some) as Float64Array, 0);
    },
  ),
);
