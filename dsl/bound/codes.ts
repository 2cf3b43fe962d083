/**
 * What values can be, whatever their codes are: read from scales, minima and tables, without the codes.
 *
 * ```text
 * v = s·c + m with c in 0 … C               middle s·C/2 + m,              span |s|·C
 * v = s·level[c], levels from lo to hi      middle s·(lo + hi)/2,          span |s|·(hi − lo)
 * v = level[c]·level'[c']                   those of intervals
 * v = concat(a, b)                          those of a and b side by side
 * ```
 * @module
 */
import { broadcast, constant, contractBy, map, permute, reshape } from "../core/build.ts";
import { holdsCodes } from "../core/codes.ts";
import { DTYPES, isPacked } from "../core/dtype.ts";
import { heldPeak } from "../core/gaps.ts";
import { concat, sliced } from "../core/pieces.ts";
import { argsOf, type Term } from "../core/term.ts";
import { withCodes } from "../read/weights.ts";
import { abs, sum, times, zero } from "./known.ts";
import { endsOf, type Range, widthOf } from "./range.ts";

/** The middle of what a value can be, and how far apart its ends are; no span where it holds no codes. */
interface Reach {
  readonly middle: Term;
  readonly span: Term | undefined;
}

/** What codes become without arithmetic on the way (a look-up, a comparison), between two numbers; else nothing. */
type Ends = (v: Term) => Range | undefined;

/** Any value there is. */
const any: Ends = (v) => widthOf(v) === undefined ? undefined : endsOf(v);

/** Look-ups count from 0 to the largest magnitude there is: what a device multiplies by rounded weights. */
const magnitudes: Ends = (v) => {
  const hi = v.tag === "gather" ? heldPeak(v.args[0]) : undefined;
  return hi === undefined ? undefined : { lo: 0, hi };
};

const between = (v: Term, lo: number, hi: number): Reach => ({
  middle: constant((lo + hi) / 2, v.shape),
  span: constant(hi - lo, v.shape),
});

/** Nothing where a value is made of what its codes become in a way that has no range. */
const reachOf = (v: Term, found: Ends): Reach | undefined => {
  if (!holdsCodes(v)) return { middle: v, span: undefined };
  if (isPacked(v.dtype)) return between(v, 0, DTYPES[v.dtype].max);
  const ends = found(v);
  if (ends !== undefined) return between(v, ends.lo, ends.hi);
  if (v.tag === "gather") return undefined;
  const args = argsOf(v).map((a) => reachOf(a, found));
  if (!args.every((a) => a !== undefined)) return undefined;
  const [a, b] = args;
  const viewed = (view: (x: Term) => Term): Reach => ({
    middle: view(a.middle),
    span: a.span && view(a.span),
  });
  /** (a ± ½s)·(b ± ½t): a·b ± ½(|a|·t + s·|b| + ½s·t). */
  const product = (by: (x: Term, y: Term) => Term): Reach => ({
    middle: by(a.middle, b.middle),
    span: sum(
      b.span && by(abs(a.middle), b.span),
      a.span && by(a.span, abs(b.middle)),
      a.span && b.span && times(by(a.span, b.span), 0.5),
    ),
  });
  switch (v.tag) {
    case "reshape":
      return viewed((x) => reshape(x, v.shape));
    case "permute":
      return viewed((x) => permute(x, v.axes));
    case "broadcast":
      return viewed((x) => broadcast(x, v.shape, v.axes));
    case "slice":
      return viewed((x) => sliced(x, v.axis, v.start, v.shape[v.axis]));
    case "concat":
      return {
        middle: concat(args.map((x) => x.middle), v.axis),
        span: concat(args.map((x) => x.span ?? zero(x.middle)), v.axis),
      };
    case "contract":
      return product((x, y) => contractBy(v.labels, x, y));
    case "map":
      return v.op === "mul"
        ? product((x, y) => map("mul", x, y))
        : v.op === "add" || v.op === "sub"
        ? { middle: map(v.op, a.middle, b.middle), span: sum(a.span, b.span) }
        : undefined;
    default:
      return undefined;
  }
};

/** Is the value linear in the codes it holds? */
const isLinear = (v: Term): boolean =>
  !holdsCodes(v) || isPacked(v.dtype) || v.tag === "gather" ||
  (argsOf(v).every(isLinear) &&
    ((v.tag !== "contract" && !(v.tag === "map" && v.op === "mul")) ||
      argsOf(v).filter(holdsCodes).length === 1));

/** How far values may move as their codes do, nothing where they hold none. */
export const codeSpan = (v: Term): Term | undefined => {
  const reach = isLinear(v) ? reachOf(v, magnitudes) : undefined;
  return reach === undefined ? abs(map("sub", withCodes(v, 1), withCodes(v, 0))) : reach.span;
};

/** The least and the most that values can be, nothing where that takes their codes. */
export const codeRange = (v: Term): { readonly lo: Term; readonly hi: Term } | undefined => {
  const { middle, span } = reachOf(v, any) ?? {};
  if (span === undefined) return undefined;
  const half = times(span, 0.5);
  return { lo: map("sub", middle!, half), hi: map("add", middle!, half) };
};
