/**
 * The derivative of the one routine that has a plain formula, and the refusal of the others.
 *
 * ```text
 * A = L Lᵀ       S = L⁻ᵀ Φ(Lᵀ L̄) L⁻¹          Φ: the lower triangle, half of the diagonal
 * W = L⁻¹        L̄ = −Wᵀ W̄ Wᵀ
 * ```
 * Only the lower triangle of A is read, so it gets S + Sᵀ below the diagonal, S on it, nothing above.
 * @module
 */
import { contractBy, iota, map, permute } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { routine } from "../core/routines.ts";
import type { Term, TermOf } from "../core/term.ts";
import type { Shares } from "./maps.ts";

/** The product of two matrices of a batch, each perhaps flipped. */
const times = (a: Term, b: Term, flip: "" | "left" | "right" = ""): Term => {
  const batch = a.shape.slice(0, -2).map((_, i) => `b${i}`);
  const left = flip === "left" ? ["k", "i"] : ["i", "k"];
  const right = flip === "right" ? ["j", "k"] : ["k", "j"];
  return contractBy(
    { args: [[...batch, ...left], [...batch, ...right]], out: [...batch, "i", "j"] },
    a,
    b,
  );
};

/** Entries below the diagonal, on it and above, by a factor each. */
const triangles = (x: Term, below: number, on: number, above: number): Term => {
  const [row, column] = [x.shape.length - 2, x.shape.length - 1].map((a) => iota(x.shape, a));
  const upper = map("select", map("less", row, column), map("mul", x, above), map("mul", x, on));
  return map("select", map("less", column, row), map("mul", x, below), upper);
};

const choleskyShares = (t: TermOf<"routine">, g: Term): Shares => {
  const [a] = t.args;
  const [lower, inverse] = ["lower", "inverse"].map((p) => routine("cholesky", p, a));
  const given = triangles(g, 1, 1, 0);
  const moved = t.project === "lower"
    ? given
    : triangles(map("neg", times(times(inverse, given, "left"), inverse, "right")), 1, 1, 0);
  const half = triangles(times(lower, moved, "left"), 1, 0.5, 0);
  const s = times(times(inverse, half, "left"), inverse);
  const order = s.shape.map((_, i) => i);
  const flipped = permute(s, [...order.slice(0, -2), order.length - 1, order.length - 2]);
  return [triangles(map("add", s, flipped), 1, 0.5, 0)];
};

/** Shares of a routine's operands; a routine without a formula is refused by name. */
export const routineShares = (t: TermOf<"routine">, g: Term): Shares => {
  if (t.routine === "cholesky") return choleskyShares(t, g);
  throw new ValueError(
    "gradient",
    `${t.project} of ${t.routine} has no derivative here; \`fixed\` may take it as it is`,
  );
};
