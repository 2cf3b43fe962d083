/**
 * Products with a Hadamard matrix of many tokens, in stages: H of 2^k is a Kronecker product of smaller ones,
 * and a product with those is a product along one bit of the index after the other.
 *
 * Before: `x·H₆₄` [tokens, 64]: 64 multiply-adds a value;
 * after: x as [tokens, 2, 2, 2, 2, 4], times H₂ along each 2, times H₄ along the last: sums and differences,
 * 6 a value, and no matrix.
 *
 * Signs of rows or columns (`x·D·H`) leave the matrix first; the rules leave such a matrix whole (`isTurn`). A
 * constant that multiplies the product meets them, where that is exact. Only where the device has one lane a group:
 * lanes of a GPU would each go through all stages. Not yet: a matrix along another axis than the last.
 * @module
 */
import { broadcast, contractBy, iota, map, reshape, table } from "../../dsl/core/build.ts";
import { isDynamic } from "../../dsl/core/shape.ts";
import { rebuilt, type Term, type TermOf, topological } from "../../dsl/core/term.ts";
import { evaluate } from "../../dsl/read/eval.ts";

/** Sizes of matrices that are taken apart: a lane's four at least, and no more than a kernel can write out. */
const [LEAST, MOST] = [8, 1024];

/** Is it H[i, j] = (−1)^popcount(i & j)? */
export const isHadamard = (t: Term): boolean =>
  t.tag === "map" && t.op === "hadamard" && t.shape.length === 2 && t.shape[0] === t.shape[1] &&
  t.args.every((a, k) => a.tag === "iota" && a.axis === k && a.start === 0);

const signs = (n: number): Term => map("hadamard", iota([n, n], 0), iota([n, n], 1));

/** A vector that no input enters, as its values. */
const known = (v: Term): Term =>
  topological([v]).some((t) => t.tag === "input")
    ? v
    : table([...evaluate(v, { sizes: {}, inputs: {} }).data]);

/** Weights of the rows and of the columns of a matrix. */
interface Weights {
  readonly rows: readonly Term[];
  readonly cols: readonly Term[];
}

/** A matrix as H and weights of its rows and columns, or nothing. */
const partsOf = (m: Term): Weights | undefined => {
  if (isHadamard(m)) return { rows: [], cols: [] };
  if (m.tag !== "map" || m.op !== "mul") return undefined;
  for (const [k, weight] of m.args.entries()) {
    if (weight.tag !== "broadcast" || weight.axes.length !== 1) continue;
    const rest = partsOf(m.args[1 - k]);
    if (rest === undefined) continue;
    const side = weight.axes[0] === 0 ? "rows" : "cols";
    return { ...rest, [side]: [...rest[side], weight.args[0]] };
  }
  return undefined;
};

/** Is it H with weights of its rows and columns? Products with it are worth more whole than in groups. */
export const isTurn = (m: Term): boolean => partsOf(m) !== undefined;

/** Every vector along the last axis of x, weighed. */
const weighed = (x: Term, weights: readonly Term[]): Term =>
  weights.reduce((a, w) => map("mul", a, broadcast(known(w), a.shape, [a.shape.length - 1])), x);

/** x·H along the last axis, in stages. */
const stages = (x: Term, n: number): Term => {
  const lead = x.shape.slice(0, -1);
  const twos = Array.from({ length: Math.log2(n) - 2 }, () => 2);
  const labels = [...lead.map((_, i) => `x${i}`), ...twos.map((_, i) => `b${i}`), "c"];
  const split = reshape(x, [...lead, ...twos, 4]);
  const turned = [...twos, 4].reduce<Term>((y, size, k) => {
    const at = lead.length + k;
    const out = labels.map((l, i) => i === at ? "z" : l);
    return contractBy({ args: [labels, [labels[at], "z"]], out }, y, signs(size));
  }, split);
  return reshape(turned, x.shape);
};

const inStages = (term: TermOf<"contract">): Term | undefined => {
  const [x, m] = term.args;
  const [ofX, ofM] = term.labels.args;
  const n = m.shape[0];
  if (!isDynamic(term.shape) || typeof n !== "number" || m.shape.length !== 2) return undefined;
  if (n < LEAST || n > MOST || !Number.isInteger(Math.log2(n))) return undefined;
  const last = ofX.length - 1;
  const along = ofM.indexOf(ofX[last]);
  const out = ofX.map((l, i) => i === last ? ofM[1 - along] : l);
  if (along < 0 || ofX.includes(ofM[1 - along]) || term.labels.out.join() !== out.join()) {
    return undefined;
  }
  const parts = partsOf(m);
  if (parts === undefined) return undefined;
  const [before, after] = along === 0 ? [parts.rows, parts.cols] : [parts.cols, parts.rows];
  return weighed(stages(weighed(x, before), n), after);
};

/** A matrix of which one known weight is multiplied by a constant, or nothing where that rounds. */
const withConstant = (m: Term, by: number): Term | undefined => {
  if (m.tag !== "map" || m.op !== "mul") return undefined;
  for (const [k, weight] of m.args.entries()) {
    const rest = m.args[1 - k];
    const inner = withConstant(rest, by);
    if (inner !== undefined) return map("mul", inner, weight);
    if (weight.tag !== "broadcast" || weight.axes.length !== 1) continue;
    const own = known(weight.args[0]);
    const values = own.tag === "table" ? own.values.map((v) => v * by) : [];
    if (values.length > 0 && values.every((v) => Number.isFinite(v) && Math.fround(v) === v)) {
      return map("mul", rest, broadcast(table(values), m.shape, weight.axes));
    }
  }
  return undefined;
};

/** `(x·(D·H))·c → x·((c·D)·H)`: a multiplication less of every value. */
const constantMet = (t: Term): Term | undefined => {
  if (t.tag !== "map" || t.op !== "mul") return undefined;
  for (const [k, constant] of t.args.entries()) {
    const product = t.args[1 - k];
    if (constant.tag !== "constant" || product.tag !== "contract") continue;
    if (inStages(product) === undefined) continue;
    const [x, m] = product.args;
    const met = withConstant(m, constant.value);
    if (met !== undefined) return contractBy(product.labels, x, met);
  }
  return undefined;
};

/** The term with all its products with a Hadamard matrix in stages. */
export const butterflies = (root: Term): Term => {
  const met = rebuilt(root, (_t, over) => {
    const t = over();
    return constantMet(t) ?? t;
  });
  return rebuilt(met, (_t, over) => {
    const t = over();
    return t.tag === "contract" ? inStages(t) ?? t : t;
  });
};
