/** Binds the laws of factors. */
import fc from "fast-check";
import { HELD } from "../dsl/core/held.ts";
import { FLOOR } from "../dsl/decompose/spectrum.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { pca } from "../dsl/decompose/pca.ts";
import { qr } from "../dsl/decompose/qr.ts";
import { svd } from "../dsl/decompose/svd.ts";
import { type Sample, samples, tensorOf } from "./arbitraries.ts";
import { check } from "./check.ts";
import { type Given, norm, rounding, run } from "./laws/codec.ts";
import * as F from "./laws/factors.ts";

/** One matrix: heads and tokens are its rows. */
const matrix = (s: Sample): Given => ({
  shape: [s.heads * s.tokens, s.channels],
  data: tensorOf(s).data,
});
const tolerance = (x: Given): number => rounding(Math.max(...x.shape), 3);
const over = (
  channels: number[],
  law: (x: Given, rank: number) => boolean,
): fc.IRawProperty<[Sample, number], false> =>
  fc.property(samples(channels), fc.integer({ min: 1, max: 3 }), (s, rank) => law(matrix(s), rank));

check(
  "svd: u and v orthonormal, s descends and is the spectrum's norm",
  over([8, 16], (x) => {
    const { u, s, v } = run(svd(), x, false).parts;
    return F.orthonormalLaw(F.partMatrix(u), tolerance(x)) &&
      F.orthonormalLaw(F.partMatrix(v), tolerance(x)) && F.descendingLaw(s.data) &&
      Math.abs(norm(s.data) - norm(x.data)) <= tolerance(x) * norm(x.data);
  }),
);

check(
  "qr: q orthonormal, r triangular",
  over([8, 16], (x) => {
    const { q, r } = run(qr(), x, false).parts;
    return F.orthonormalLaw(F.partMatrix(q), tolerance(x)) &&
      (x.shape[0] < x.shape[1] || F.triangularLaw(F.partMatrix(r)));
  }),
);

check(
  "pca: basis orthonormal, coefficients uncorrelated and ordered",
  over([8, 16], (x) => {
    const { coefficients, basis } = run(pca(), x, true).parts;
    return F.orthonormalLaw(F.partMatrix(basis), tolerance(x)) &&
      F.diagonalLaw(F.gramOf(F.partMatrix(coefficients)), tolerance(x));
  }),
);

check(
  "mpo of two: the small tensor's Gram matrix is the floored spectrum, the large one's is balanced",
  over([8, 16], (x) => {
    const { large, small } = run(mpo({ inner: 4 }), x, true).parts;
    const largest = x.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const top = Math.min(Math.max(largest, HELD[0]), HELD[1]);
    const exact = F.singularValues(F.matrixOf(x.data, 4)).map((s) => s / top);
    const side = F.gramOf(F.transpose(F.partMatrix(small)));
    // λ is off by about tolerance·λ₁, so σ at the floor by tolerance·σ₁ / (2·FLOOR).
    const limit = (tolerance(x) / FLOOR) * Math.max(exact[0], 1);
    const balanced = F.gramOf(F.matrixOf(large.data.map((v) => v / top), 4));
    return F.diagonalLaw(side, tolerance(x)) && F.diagonalLaw(balanced, tolerance(x) / FLOOR) &&
      [0, 1, 2, 3].every((i) => {
        const sigma = exact[i] ?? 0;
        const held = exact[0] === 0 ? 1 : Math.max(sigma, exact[0] * FLOOR);
        return Math.abs(side.data[5 * i] - held) <= limit &&
          Math.abs(balanced.data[5 * i] - sigma * sigma / held) <= limit;
      });
  }),
);

check(
  "truncation loses no more than the squares left out",
  over(
    [16],
    (x, rank) =>
      F.truncationLaw(mpo({ inner: 4, ranks: [rank] }), x, [4], [rank], tolerance(x)) &&
      F.truncationLaw(mpo({ inner: 8, ranks: [rank] }), x, [8], [rank], tolerance(x)) &&
      F.truncationLaw(pca({ rank }), x, [16], [rank], tolerance(x)) &&
      F.truncationLaw(svd({ rank }), x, [16], [rank], tolerance(x)),
  ),
);

check(
  "truncation of a chain of three loses no more, but for what the floor moves",
  over([16], (x, rank) =>
    // The second bond sees σ held above FLOOR·σ₁: three values at most are moved by that.
    F.truncationLaw(
      mpo({ channels: [2, 4, 2], ranks: [rank, rank] }),
      x,
      [8, 2],
      [rank, rank],
      tolerance(x),
      Math.sqrt(3) * FLOOR,
    )),
);
