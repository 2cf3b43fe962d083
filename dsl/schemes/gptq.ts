/**
 * GPTQ (arXiv 2210.17323): codes of a linear map's weights W [o, n] that move its outputs on calibration
 * inputs X least, ‖X(W − Ŵ)ᵀ‖², column after column with feedback.
 *
 * H = XᵀX + λI with λ = damp · mean diagonal, H⁻¹ = UᵀU with U upper triangular; a column is rounded on the
 * grid of its group, e = (w − ŵ) / U_ii, and later columns take w_j − e·U_ij. Within a block of columns this
 * is the routine `feedback`; the columns after a block take E·U at once, a product. Blocks of any length give
 * the same. Columns may be taken in descending order of H_ii (`actOrder`): those that weigh most are rounded
 * first, while there are others to mend it.
 *
 * Groups are those of `quantizeGroups`, whose decoder reads the parts. Their grids are of W itself (static);
 * "running" ones are of W as it stands when their first column comes, and blocks are then groups.
 * Bits: b + 32/g. Calibration: XᵀX of the layer's inputs, a fold over tokens; H up to a factor is enough. A
 * column whose pivot is lost (`cholesky`) is rounded to nearest.
 * @module
 */
import { cast, constant, contract, map } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { feedback } from "../core/routines.ts";
import { type Bits, packedOf } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import type { Term } from "../core/term.ts";
import type { Parts } from "../codec/codec.ts";
import { gridOf, type Groups, quantizeGroups, spreadGroups } from "../quantize/groups.ts";
import {
  columnsOf,
  damped,
  descending,
  diagonalOf,
  inOrder,
  inverseFactor,
} from "../weights/columns.ts";

import { mapped, type WeightScheme } from "../weights/scheme.ts";

/** What {@link gptq} is asked for. */
export interface Gptq {
  /** Bits of a code. */
  readonly bits: Bits;
  /** Columns that share a scale and a minimum. */
  readonly group: number;
  /** Columns in descending order of their weight in H. */
  readonly actOrder?: boolean;
  /** Grids of W itself, or of W as it stands. */
  readonly groups?: "static" | "running";
  /** Added to the diagonal of H, as a share of its mean. */
  readonly damp?: number;
  /** Columns between two products. */
  readonly block?: number;
}

/** Parts of a `quantizeGroups(bits, group)`; see the head of the file. */
export const gptq = (w: Term, gram: Term, options: Gptq): Parts => {
  const { bits, group, actOrder = false, groups = "static", damp = 0.01, block = 128 } = options;
  const [rows, n] = w.shape as readonly [number, number];
  const running = groups === "running";
  if (running && actOrder) {
    throw new ValueError("gptq", "groups are running, actOrder is true: columns of a group part");
  }
  const order = actOrder ? descending(diagonalOf(gram)) : undefined;
  const taken = (t: Term): Term => order === undefined ? t : columnsOf(t, order.at);
  const h = damped(gram, damp);
  const u = inverseFactor(order === undefined ? h : inOrder(h, order));
  const fixed = gridOf(w, bits, group);
  const [scale, min] = [fixed.scale, fixed.min].map((t) => taken(spreadGroups(t, n, group)));
  const codes: Term[] = [];
  const grids: Groups[] = [];
  let left = taken(w);
  for (let from = 0; from < n; from += running ? group : block) {
    const to = Math.min(n, from + (running ? group : block));
    const mine = slice(left, 1, 0, to - from);
    const own = running ? gridOf(mine, bits, group) : undefined;
    const across = (grid: Term, all: Term): Term =>
      own === undefined ? slice(all, 1, from, to) : spreadGroups(grid, to - from, group);
    const grid = {
      scale: across(own?.scale ?? scale, scale),
      min: across(own?.min ?? min, min),
      top: constant(2 ** bits - 1, [rows, to - from]),
    };
    const square = slice(slice(u, 0, from, to), 1, from, to);
    codes.push(feedback("codes", mine, square, grid));
    if (own !== undefined) grids.push(own);
    if (to === n) break;
    const errors = feedback("errors", mine, square, grid);
    const beside = slice(slice(u, 0, from, to), 1, to, n);
    left = map(
      "sub",
      slice(left, 1, to - from, n - from),
      contract("o b, b j -> o j", errors, beside),
    );
  }
  const all = concat(codes, 1);
  return {
    codes: cast(order === undefined ? all : columnsOf(all, order.rank), packedOf(bits)),
    scale: running ? concat(grids.map((g) => g.scale), 1) : fixed.scale,
    min: running ? concat(grids.map((g) => g.min), 1) : fixed.min,
  };
};

/** Σ over calibration tokens of the squared change of the outputs, tr(D H Dᵀ) with D = W − Ŵ. */
export const outputLoss = (w: Term, other: Term, gram: Term): Term => {
  const d = map("sub", w, other);
  return contract("o i, o i -> ", contract("o i, i j -> o j", d, gram), d);
};

/** {@link gptq} of each of the maps that share an input. */
export const gptqWeights = (options: Gptq): WeightScheme => ({
  name: `gptq(${options.bits}, ${options.group}${options.actOrder === true ? ", act-order" : ""})`,
  codec: quantizeGroups(options.bits, options.group),
  fit: ({ gain, weights, inputs }) => ({
    ...gain === undefined ? {} : { gain },
    weights: mapped(weights, (w) => gptq(w, inputs.gram, options)),
  }),
});
