/**
 * AWQ (arXiv 2306.00978): channels of the input that carry much are rounded finer: their weights are scaled up
 * before rounding to nearest, and the norm before takes up 1/s. Both searches are folds over candidates.
 *
 * Scale: s = max(a^α, 1e-4) with a_j = Σ |x_j|, over √(max s · min s), for α = 0, .05 … .95; the α is kept
 * whose rounded weights move the outputs of the maps that share the input least, tr(D·XᵀX·Dᵀ). (The paper
 * measures the output of the whole attention or MLP.) Maps that no norm precedes keep their channels.
 * Clip: per row and group the range ±m·(1 − t/20), t = 0 … 9, that moves the group's share of the output
 * least; not for the maps named `unclipped` (queries and keys).
 * Bits: b + 32/g. Calibration: Σ|x| and XᵀX, folds over tokens.
 * @module
 */
import { broadcast, cast, contract, foldOver, gather, iota, map, reshape } from "../core/build.ts";
import type { Bits } from "../core/dtype.ts";
import type { Term } from "../core/term.ts";
import { groupsOf, quantizeGroups, spreadGroups } from "../quantize/groups.ts";
import { powers } from "../quantize/power.ts";
import { acrossColumns, rescaled } from "../weights/scaling.ts";
import { mapped, nearest, type Shared, type WeightScheme } from "../weights/scheme.ts";

/** What {@link awq} is asked for. */
export interface Awq {
  /** Bits of a code. */
  readonly bits: Bits;
  /** Columns that share a scale and a minimum. */
  readonly group?: number;
  /** Names of weights whose range is not clipped. */
  readonly unclipped?: readonly string[];
  /** Leave out the search of ranges. */
  readonly clip?: boolean;
}

const ALPHAS = Array.from({ length: 20 }, (_, i) => i / 20);
const CLIPS = 10;

/** The first place along axis 0 where numbers are smallest. */
const argmin = (losses: Term): Term => {
  const { shape } = losses;
  const rest = shape.slice(1).map((_, i) => i + 1);
  const least = broadcast(foldOver("extent", "lo", losses, [0]), shape, rest);
  const place = map("select", map("less", least, losses), shape[0] as number, iota(shape, 0));
  return foldOver("extent", "lo", place, [0]);
};

/** A matrix once for every candidate. */
const copies = (w: Term, count: number): Term => broadcast(w, [count, ...w.shape], [1, 2]);

/** Factors of channels; see the head of the file. */
export const salience = ({ weights, inputs }: Shared, bits: Bits, group: number): Term => {
  const codec = quantizeGroups(bits, group);
  const raised = map("max", powers(inputs.sum, ALPHAS), 1e-4);
  const [lo, hi] = ["lo", "hi"].map((end) => foldOver("extent", end, raised, [1]));
  const middle = map("mul", map("sqrt", lo), map("sqrt", hi));
  const candidates = map("div", raised, broadcast(middle, raised.shape, [0]));
  const losses = Object.values(weights).map((w) => {
    const each = copies(w, ALPHAS.length);
    const s = acrossColumns(candidates, each.shape);
    const scaled = map("mul", each, s);
    const back = map("div", codec.decode(codec.encode(scaled), scaled.shape), s);
    const d = map("sub", back, each);
    const moved = contract("c o i, i j -> c o j", d, inputs.gram);
    return contract("c o i, c o i -> c", moved, d);
  });
  const best = argmin(losses.reduce((a, b) => map("add", a, b)));
  return reshape(gather(candidates, reshape(cast(best, "u32"), [1])), inputs.sum.shape);
};

/** Weights within the range of each row and group that serves best. */
export const clipped = (w: Term, gram: Term, bits: Bits, group: number): Term => {
  const [, n] = w.shape as readonly [number, number];
  const codec = quantizeGroups(bits, group);
  const top = foldOver("max", "max", map("abs", groupsOf(w, group)), [-1]);
  const groups = top.shape[1] as number;
  const within = (x: Term, limit: Term): Term =>
    map("max", map("min", x, limit), map("neg", limit));
  const share = (t: Term): Term => map("sub", 1, map("div", t, 2 * CLIPS));
  const factors = share(iota([CLIPS, ...top.shape], 0));
  const limits = map("mul", copies(top, CLIPS), factors);
  const each = copies(w, CLIPS);
  const held = within(each, spreadGroups(limits, n, group));
  const d = map("sub", codec.decode(codec.encode(held), held.shape), each);
  const own = spreadGroups(iota([groups], 0), n, group);
  const same = (a: Term, b: Term): Term =>
    map("sub", 1, map("min", map("abs", map("sub", a, b)), 1));
  const apart = map("mul", gram, same(broadcast(own, [n, n], [0]), broadcast(own, [n, n], [1])));
  const moved = map("mul", contract("c o i, i j -> c o j", d, apart), d);
  const belongs = same(broadcast(own, [n, groups], [0]), iota([n, groups], 1));
  const best = argmin(contract("c o j, j g -> c o g", moved, belongs));
  return within(w, spreadGroups(map("mul", top, share(best)), n, group));
};

/** Scaled and clipped weights, rounded to nearest. */
export const awq = ({ bits, group = 64, unclipped = [], clip = true }: Awq): WeightScheme => {
  const rounded = nearest(quantizeGroups(bits, group));
  return {
    name: `awq${clip ? "" : " without clipping"}, ${rounded.codec.name}`,
    codec: rounded.codec,
    fit: (shared) => {
      const scaled = shared.gain === undefined
        ? shared
        : rescaled(shared, salience(shared, bits, group));
      const weights = mapped(
        scaled.weights,
        (w, name) =>
          clip && !unclipped.includes(name) ? clipped(w, scaled.inputs.gram, bits, group) : w,
      );
      return rounded.fit({ ...scaled, weights });
    },
  };
};
