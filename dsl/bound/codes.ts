/**
 * What values can be, whatever their codes are: read from scales and minima, without the codes.
 *
 * ```text
 * v = s·c + m with c in 0 … C:   span |s|·C,   range s·C/2 + m ± |s|·C/2
 * ```
 * @module
 */
import { broadcast, constant, contractBy, map, permute, reshape } from "../core/build.ts";
import { holdsCodes } from "../core/codes.ts";
import { DTYPES, isPacked } from "../core/dtype.ts";
import { argsOf, type Term } from "../core/term.ts";
import { withCodes } from "../read/weights.ts";
import { abs, sum, times } from "./known.ts";

/** Is the value linear in the codes it holds? */
const isLinear = (v: Term): boolean => {
  if (!holdsCodes(v) || isPacked(v.dtype)) return true;
  const args = argsOf(v);
  const one = args.filter(holdsCodes).length === 1;
  switch (v.tag) {
    case "reshape":
    case "permute":
    case "broadcast":
      return isLinear(args[0]);
    case "contract":
      return one && args.every(isLinear);
    case "map":
      return (v.op === "add" || v.op === "sub" || (v.op === "mul" && one)) && args.every(isLinear);
    default:
      return false;
  }
};

const linearSpan = (v: Term): Term | undefined => {
  if (!holdsCodes(v)) return undefined;
  if (isPacked(v.dtype)) return constant(DTYPES[v.dtype].max, v.shape);
  const [a, b] = argsOf(v).map(linearSpan);
  // The operand that holds no codes, and the span of the other.
  const by = (): readonly [Term, Term] =>
    a === undefined ? [abs(argsOf(v)[0]), b!] : [a, abs(argsOf(v)[1])];
  switch (v.tag) {
    case "reshape":
      return reshape(a!, v.shape);
    case "permute":
      return permute(a!, v.axes);
    case "broadcast":
      return broadcast(a!, v.shape, v.axes);
    case "contract":
      return contractBy(v.labels, ...by());
    case "map":
      return v.op === "mul" ? map("mul", ...by()) : sum(a, b);
    default:
      return undefined;
  }
};

/** How far values may move as their codes do, nothing where they hold none. */
export const codeSpan = (v: Term): Term | undefined =>
  isLinear(v) ? linearSpan(v) : abs(map("sub", withCodes(v, 1), withCodes(v, 0)));

/** The least and the most that values can be, nothing where that takes their codes. */
export const codeRange = (v: Term): { readonly lo: Term; readonly hi: Term } | undefined => {
  const span = isLinear(v) ? linearSpan(v) : undefined;
  if (span === undefined) return undefined;
  const [middle, half] = [withCodes(v, 0.5), times(span, 0.5)];
  return { lo: map("sub", middle, half), hi: map("add", middle, half) };
};
