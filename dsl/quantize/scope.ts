/**
 * Which values share a statistic: a scale, a minimum.
 * @module
 */
import { broadcast, constant, foldOver, map } from "../core/build.ts";
import { groupedDim } from "../core/dims.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { held } from "../core/held.ts";
import { staticCount } from "../core/shape.ts";
import type { Shape, Term } from "../core/term.ts";

/**
 * Which values share a scale. A number is a group of that many consecutive channels; `{ tokens: n }` is one
 * channel of n consecutive tokens: their number is known, or that of whole groups (`window`).
 */
export type Per = "tensor" | "token" | "channel" | number | { readonly tokens: number };

/** A scope as it is written. */
export const perText = (per: Per): string =>
  typeof per === "object" ? `channel of ${per.tokens} tokens` : `${per}`;

/** A tensor seen as `view`, and which axes of the view share one scale. */
export interface Scope {
  /** The tensor's shape, the last axis cut into groups where groups share. */
  readonly view: Shape;
  /** Axes of the view along which all share. */
  readonly axes: readonly number[];
}

const isCount = (n: number): boolean => Number.isInteger(n) && n > 0;

/** Is it a scope at all? Throws naming the operation. */
export const checkPer = (operation: string, per: Per): void => {
  const known = typeof per === "number"
    ? isCount(per)
    : typeof per === "object"
    ? isCount(per?.tokens)
    : ["tensor", "token", "channel"].includes(per);
  if (known) return;
  throw new ValueError(
    operation,
    `per is ${JSON.stringify(per)}, not "tensor", "token", "channel", a count of channels or ` +
      "{ tokens: count }",
  );
};

/** The scope of a tensor whose first `batch` axes are independent, for `operation`. */
export const scopeOf = (operation: string, per: Per, shape: Shape, batch: number): Scope => {
  const n = shape.length;
  const last = shape[n - 1];
  if (typeof per === "number") {
    if (typeof last !== "number" || last % per !== 0) {
      throw new ShapeError(
        operation,
        `group ${per} does not divide the last axis of ${shapeText(shape)}`,
      );
    }
    return { view: [...shape.slice(0, -1), last / per, per], axes: [n] };
  }
  if (typeof per === "object") {
    const groups = groupedDim(shape[n - 2], per.tokens);
    if (groups === undefined) {
      throw new ShapeError(
        operation,
        `group of ${per.tokens} tokens does not divide the tokens of ${shapeText(shape)}`,
      );
    }
    return { view: [...shape.slice(0, -2), groups, per.tokens, last], axes: [n - 1] };
  }
  if (n < 2) throw new ShapeError(operation, `needs tokens and channels, got ${shapeText(shape)}`);
  const axes = {
    token: [n - 1],
    channel: [n - 2],
    tensor: Array.from({ length: n - batch }, (_, i) => batch + i),
  };
  return { view: shape, axes: axes[per] };
};

/** A statistic repeated for all that share it. */
export const spread = (stat: Term, { view, axes }: Scope): Term =>
  broadcast(stat, view, view.map((_, i) => i).filter((i) => !axes.includes(i)));

/** How many values share a statistic. */
const countOver = (shape: Shape, { axes }: Scope): Term | number =>
  staticCount(axes.map((a) => shape[a])) ?? foldOver("sum", "sum", constant(1, shape), axes);

/** The mean of what shares a statistic. */
export const mean = (x: Term, scope: Scope): Term =>
  map("div", foldOver("sum", "sum", x, scope.axes), countOver(x.shape, scope));

/** √(mean x²), computed so that squares neither overflow nor vanish. */
export const rootMeanSquare = (x: Term, scope: Scope): Term => {
  const top = held(foldOver("max", "max", map("abs", x), scope.axes));
  const share = map("div", x, spread(top, scope));
  return map("mul", top, map("sqrt", mean(map("mul", share, share), scope)));
};
