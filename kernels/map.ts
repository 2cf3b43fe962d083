/**
 * `map`: every stored unit (four numbers, two halves, one block of codes) is computed on its own.
 *
 * ```text
 * for a group of 256 units, for each unit: index = unravel(unit); store(term at index)
 * ```
 * @module
 */
import { codesIn } from "../dsl/core/dtype.ts";
import { blocksOf } from "../dsl/core/layout.ts";
import { countOf, type Sizes } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import {
  bin,
  type Expr,
  int,
  lane,
  roundedHalves,
  select,
  variable,
  word,
} from "../compiler/ir/expr.ts";
import { GROUP } from "../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unitOf, unravel } from "../compiler/kernel.ts";
import { halfBits } from "../compiler/lower/numeric.ts";
import { halfPair, storeBlock, storedValue } from "./store.ts";

const UNITS = 256;

/** Elements that are stored at once: halves eight at a time where a group has one lane. */
const elementsOf = (root: Term, serial: boolean): number => {
  const last = root.shape[root.shape.length - 1];
  const eight = serial && root.dtype === "f16" && typeof last === "number" && last % 8 === 0;
  return eight ? 8 : unitOf(root);
};

const unitsOf = (root: Term, elements: number, sizes: Sizes): number => {
  const count = countOf(root.shape, sizes);
  const codes = codesIn(root.dtype);
  if (codes === undefined) return Math.ceil(count / elements);
  const n = (root.shape[root.shape.length - 1] ?? 1) as number;
  return count / n * blocksOf(codes, n).count;
};

const unitCount = (b: Builder, root: Term, elements: number): Expr => {
  const codes = codesIn(root.dtype);
  if (codes !== undefined) {
    const n = (root.shape[root.shape.length - 1] ?? 1) as number;
    return bin("mul", b.count(root.shape.slice(0, -1)), int(blocksOf(codes, n).count));
  }
  return bin("div", bin("add", b.count(root.shape), int(elements - 1)), int(elements));
};

/** The skeleton. */
export const mapSkeleton: Skeleton = (plan, context) => {
  const [root] = plan.roots;
  const b = new Builder(context);
  const { low } = b;
  const elements = elementsOf(root, context.target.serial);
  b.read([root]);
  const out = b.write(root);
  const group = variable(GROUP, "i32", { lo: 0 });
  const first = bin("mul", group, int(UNITS));
  const left = bin("min", int(UNITS), bin("sub", unitCount(b, root, elements), first));
  const dims = low.dims(root.shape);
  const codes = codesIn(root.dtype);
  low.par("u", left, (u) => {
    const unit = bin("add", first, u);
    if (codes !== undefined) {
      const { count } = blocksOf(codes, (root.shape[root.shape.length - 1] ?? 1) as number);
      const row = bin("div", unit, int(count));
      storeBlock(
        low,
        out,
        root,
        unravel(row, dims.slice(0, -1)),
        row,
        bin("rem", unit, int(count)),
      );
    } else if (elements === 8) {
      // What is rounded as it is stored need not be rounded before.
      const number = root.tag === "cast" ? root.args[0] : root;
      const [low4, high4] = [0, 4].map((k) => {
        const at = bin("add", bin("mul", unit, int(8)), int(k));
        return low.wide(number, unravel(at, dims), dims.length - 1);
      });
      low.store(out, bin("mul", unit, int(4)), roundedHalves(low4, high4));
    } else if (root.dtype === "f16" && elements === 4) {
      const at = bin("mul", unit, int(4));
      const bits = halfBits(low.wide(root, unravel(at, dims), dims.length - 1));
      for (const k of [0, 2]) {
        const pair = bin("or", lane(bits, k), bin("shl", lane(bits, k + 1), word(16)));
        low.store(out, bin("add", bin("mul", unit, int(2)), int(k / 2)), pair);
      }
    } else if (root.dtype === "f16") {
      const at = bin("mul", unit, int(2));
      const last = bin("sub", b.count(root.shape), int(1));
      const next = bin("min", bin("add", at, int(1)), last);
      const pair = halfPair(low.at(root, unravel(at, dims)), low.at(root, unravel(next, dims)));
      const alone = bin("le", last, at);
      low.store(out, unit, select(alone, bin("and", pair, word(0xffff)), pair));
    } else if (elements === 4) {
      const at = bin("mul", unit, int(4));
      low.store(out, at, storedValue(root, low.wide(root, unravel(at, dims), dims.length - 1)));
    } else low.store(out, unit, storedValue(root, low.at(root, unravel(unit, dims))));
  });
  return [
    b.finish(context.name, "map", (sizes) => Math.ceil(unitsOf(root, elements, sizes) / UNITS)),
  ];
};
