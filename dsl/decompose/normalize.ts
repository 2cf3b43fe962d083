/**
 * The size of every token and its direction: x = norm · direction, norm = ‖x‖ / √n.
 *
 * ```text
 * before: tokens of any size      after: tokens whose channels have a mean square of 1, and a number each
 * ```
 *
 * The direction is against the norm as it is stored. A token of zeros has norm 0 and direction 0.
 * @module
 */
import { broadcast, cast, map } from "../core/build.ts";
import type { Factored } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { rootMeanSquare, scopeOf } from "../quantize/scope.ts";

/** What {@link normalize} is asked for. */
export interface Normalization {
  /** How the norm is stored. */
  readonly stored?: "f16" | "f32";
}

/**
 * The size of every token and its direction: x = norm·direction, norm = ‖x‖ / √d. Parts: `norm` `[heads, tokens]`
 * and `direction` of x's shape, whose channels have mean square 1.
 */
export const normalize = ({ stored = "f16" }: Normalization = {}): Factored => {
  const spread = (norm: Term, shape: Shape): Term =>
    broadcast(norm, shape, norm.shape.map((_, i) => i));
  return {
    name: `normalize(${stored})`,
    encode: (x, batch = 0) => {
      const norm = cast(rootMeanSquare(x, scopeOf("normalize", "token", x.shape, batch)), stored);
      return { norm, direction: map("div", x, spread(norm, x.shape)) };
    },
    decode: ({ norm, direction }, shape) => map("mul", direction, spread(norm, shape)),
    partShapes: (shape) => ({ norm: shape.slice(0, -1), direction: shape }),
  };
};
