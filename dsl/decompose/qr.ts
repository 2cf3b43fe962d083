/**
 * QR decomposition by the routine: x = Q R, Q with orthonormal columns, R upper triangular.
 *
 * ```text
 * x [...batch, rows, d]  ->  q [...batch, rows, r],  r [...batch, r, d],   r = min(rows, d)
 * ```
 *
 * Always lossless: without an order of importance there is nothing to truncate. Of a matrix known to
 * be wide, Q comes from the first square block and R is Qᵀx.
 * @module
 */
import { contractBy, reshape } from "../core/build.ts";
import { slice } from "../core/pieces.ts";
import { routine } from "../core/routines.ts";
import type { Factored } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { matricesOf } from "./matrix.ts";

const product = (a: Term, b: Term, batch: number, gone: "columns" | "rows"): Term => {
  const lead = Array.from({ length: batch }, (_, i) => `b${i}`);
  const left = gone === "columns" ? ["t", "r"] : ["r", "t"];
  return contractBy(
    { args: [[...lead, ...left], [...lead, "r", "d"]], out: [...lead, "t", "d"] },
    a,
    b,
  );
};

/**
 * QR decomposition, x = q·r, lossless. Parts: `q` `[…batch, rows, k]` with orthonormal columns and `r`
 * `[…batch, k, d]`, upper triangular; k = min(rows, d).
 */
export const qr = (): Factored => ({
  name: "qr",
  encode: (x, batch = 0) => {
    const { lead, rows, columns, wide } = matricesOf("qr", x.shape, batch);
    const m = reshape(x, [...lead, rows, columns]);
    if (!wide) return { q: routine("qr", "q", m), r: routine("qr", "r", m) };
    const square = slice(m, lead.length + 1, 0, rows as number);
    const q = routine("qr", "q", square);
    return { q, r: product(q, m, batch, "rows") };
  },
  decode: ({ q, r }, shape, batch = 0) => reshape(product(q, r, batch, "columns"), shape),
  partShapes: (shape, batch = 0): Readonly<Record<string, Shape>> => {
    const { lead, rows, columns, wide } = matricesOf("qr", shape, batch);
    const rank = wide ? rows : columns;
    return { q: [...lead, rows, rank], r: [...lead, rank, columns] };
  },
});
