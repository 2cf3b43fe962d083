/**
 * The largest magnitude of a tensor, and the tensor over it: x = peak·values, with values up to `to`.
 *
 * ```text
 * before: numbers up to 3000      after: peak 3000 / 448, numbers up to 448: the range of E4M3
 * ```
 *
 * One number for all heads and tokens of a prompt. Later tokens meet the peak that is stored.
 * @module
 */
import { broadcast, foldOver, map } from "../core/build.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";

/**
 * The largest magnitude of a tensor over `to`, and the tensor over that: x = peak·values, |values| ≤ `to`. Parts:
 * `peak`, one f32 for all heads and tokens (one a head within `perHead`), and `values` of x's shape.
 */
export const peak = ({ to = 1 }: { readonly to?: number } = {}): Factored => {
  const spread = (top: Term, shape: Shape): Term =>
    broadcast(top, shape, top.shape.map((_, i) => i));
  return {
    name: `peak(${to})`,
    encode: (x, batch = 0) => {
      const over = x.shape.map((_, i) => i).slice(batch);
      const top = map("mul", foldOver("max", "max", map("abs", x), over), 1 / to);
      return { peak: top, [VALUES]: map("div", x, spread(top, x.shape)) };
    },
    decode: ({ peak: top, [VALUES]: values }, shape) => map("mul", values, spread(top, shape)),
    partShapes: (shape, batch = 0) => ({ peak: shape.slice(0, batch), [VALUES]: shape }),
  };
};
