/**
 * A value of four channels as Σ scale · rest + Σ shift, where scales and shifts are the same for all
 * four: what a token's weight multiplies once instead of once a channel.
 *
 * Before: `splat(s) * (codes - splat(8)) + splat(m)`; after: `s · codes` and the shifts `−8·s` and `m`.
 * @module
 */
import { bin, type Expr, num } from "../compiler/ir/expr.ts";

/** Scaled parts that differ by channel, and shifts that do not. */
export interface LinearForm {
  readonly scaled: readonly { readonly scale: Expr; readonly rest: Expr }[];
  readonly shifts: readonly Expr[];
}

const uniformOf = (e: Expr): Expr | undefined => e.op === "splat" ? e.args[0] : undefined;

const times = (form: LinearForm, by: Expr): LinearForm => ({
  scaled: form.scaled.map(({ scale, rest }) => ({ scale: mul(scale, by), rest })),
  shifts: form.shifts.map((s) => mul(s, by)),
});

const mul = (a: Expr, b: Expr): Expr =>
  a.op === "const" && a.value === 1 ? b : b.op === "const" && b.value === 1 ? a : bin("mul", a, b);

const plus = (a: LinearForm, b: LinearForm): LinearForm => ({
  scaled: [...a.scaled, ...b.scaled],
  shifts: [...a.shifts, ...b.shifts],
});

/** Splits a value of four lanes; a scalar is one scaled part. */
export const linearForm = (e: Expr): LinearForm => {
  const shift = uniformOf(e);
  if (shift !== undefined) return { scaled: [], shifts: [shift] };
  const one: LinearForm = { scaled: [{ scale: num(1), rest: e }], shifts: [] };
  if (e.type !== "f32x4") return one;
  if (e.op === "neg") return times(linearForm(e.args[0]), num(-1));
  if (e.op === "add") return plus(linearForm(e.args[0]), linearForm(e.args[1]));
  if (e.op === "sub") return plus(linearForm(e.args[0]), times(linearForm(e.args[1]), num(-1)));
  if (e.op !== "mul") return one;
  const [a, b] = e.args.map(uniformOf);
  if (a !== undefined) return times(linearForm(e.args[1]), a);
  if (b !== undefined) return times(linearForm(e.args[0]), b);
  return one;
};
