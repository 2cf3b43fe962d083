/**
 * Codecs under test, each for tensors `[heads, tokens, channels]` whose channels are 16 or 32.
 * @module
 */
import { type Codec, f16, identity, joinHeads, on, perHead } from "../dsl/codec/codec.ts";
import { BITS, type Bits } from "../dsl/core/dtype.ts";
import { center } from "../dsl/decompose/center.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { normalize } from "../dsl/decompose/normalize.ts";
import { pca } from "../dsl/decompose/pca.ts";
import { qr } from "../dsl/decompose/qr.ts";
import { rotate } from "../dsl/decompose/rotate.ts";
import { svd } from "../dsl/decompose/svd.ts";
import { type Affine, quantize } from "../dsl/quantize/affine.ts";
import { codebook } from "../dsl/quantize/codebook.ts";
import { e2m1, lloydMax, nf4 } from "../dsl/quantize/levels.ts";
import { decoquantA, decoquantB } from "../dsl/schemes/decoquant.ts";
import { rtn, rtnGrouped } from "../dsl/schemes/rtn.ts";
import { pipe } from "../fp.ts";

/** Codecs that give back what they were given. */
export const LOSSLESS: readonly Codec[] = [
  identity,
  hadamard(),
  pca(),
  perHead(pca()),
  perHead(svd()),
  joinHeads(svd()),
  perHead(hadamard()),
  rotate(),
  perHead(rotate({ seed: 7 })),
  center({ stored: "f32" }),
  perHead(center({ stored: "f32" })),
  normalize({ stored: "f32" }),
  pipe(normalize({ stored: "f32" }), on("direction", rotate({ seed: 2 }))),
  mpo({ inner: 4 }),
  perHead(mpo({ inner: 4 })),
  joinHeads(mpo({ inner: 8 })),
  mpo({ inner: 1, tokens: 1 }),
  joinHeads(mpo({ inner: 1, tokens: 1 })),
  mpo({ inner: 2, tokens: 1 }),
];

/** The same for 16 channels only: a longer chain names its channels. */
export const LOSSLESS_16: readonly Codec[] = [
  ...[0, 1, 2].map((tokens) => mpo({ channels: [2, 4, 2], tokens })),
  perHead(mpo({ channels: [2, 4, 2], tokens: 0 })),
  mpo({ channels: [2, 2, 2, 2], tokens: 1 }),
];

/** Bits that leave a symmetric range a level beside 0. */
export const SYMMETRIC: readonly Bits[] = BITS.filter((b) => 2 ** (b - 1) > 1);

/** The ranges that codes of `bits` can have. */
export const rangesOf = (bits: Bits): readonly Affine["range"][] =>
  SYMMETRIC.includes(bits) ? ["symmetric", "asymmetric", "signed"] : ["asymmetric", "signed"];

const scoped = (bits: Bits): readonly Codec[] =>
  (["token", "channel", "tensor", 8] as const).flatMap((per) =>
    rangesOf(bits).flatMap((range) =>
      (["f16", "f32"] as const).map((scale) => quantize({ bits, per, range, scale }))
    )
  );

/** Codebooks of `bits`; there is none of 8. */
const codebooks = (bits: Bits): readonly Codec[] => {
  if (bits === 8) return [];
  const levels = lloydMax(bits);
  return [
    ...(["token", "channel", "tensor", 8] as const).map((per) =>
      codebook({ levels, per, scale: "norm" })
    ),
    codebook({ levels, per: "token", scale: "norm", keepNorm: true }),
    codebook({ levels: levels.map((x) => x / 3), per: 8, scale: "absmax", stored: "f32" }),
    codebook({ levels, per: "token", scale: "none" }),
    ...bits === 4 ? [nf4, e2m1].map((at) => codebook({ levels: at, per: 8, scale: "absmax" })) : [],
    pipe(center(), on("values", codebook({ levels, per: "token", scale: "absmax" }))),
    pipe(
      normalize(),
      on("direction", pipe(rotate(), on("values", codebook({ levels, per: 16, scale: "none" })))),
    ),
    pipe(hadamard(), on("values", codebook({ levels, per: 16, scale: "norm", keepNorm: true }))),
  ];
};

const lossySymmetric = (bits: Bits): readonly Codec[] => {
  if (!SYMMETRIC.includes(bits)) return [];
  const symmetric = quantize({ bits, per: "token", range: "symmetric" });
  return [
    rtn(bits),
    decoquantA(bits),
    decoquantB(bits),
    decoquantB(bits, 4),
    pipe(hadamard(), on("values", pipe(mpo({ inner: 4 }), on("large", symmetric)))),
    perHead(pipe(svd(), on("u", symmetric), on("v", f16), on("s", f16))),
    pipe(mpo({ inner: 4, ranks: [3] }), on("large", symmetric), on("small", f16)),
  ];
};

/** Codecs with codes of `bits`. */
export const lossy = (bits: Bits): readonly Codec[] => {
  const asymmetric = quantize({ bits, per: "token", range: "asymmetric" });
  return [
    ...scoped(bits),
    ...lossySymmetric(bits),
    ...codebooks(bits),
    f16,
    perHead(quantize({ bits, per: "tensor", range: "asymmetric" })),
    rtnGrouped(bits, 16),
    pipe(hadamard(), on("values", asymmetric)),
    pipe(pca({ rank: 5 }), on("coefficients", asymmetric), on("basis", f16)),
    joinHeads(pipe(mpo({ inner: 2, tokens: 1 }), on("large", asymmetric), on("small", f16))),
  ];
};

/** The same for 16 channels. */
export const lossy16 = (bits: Bits): readonly Codec[] => [
  pipe(
    mpo({ channels: [2, 4, 2] }),
    on("site1", quantize({ bits, per: "token", range: rangesOf(bits)[0] })),
    on("site2", quantize({ bits: 8, per: "token", range: "symmetric" })),
    on("site3", f16),
  ),
];

/** QR has one shape where tokens are dynamic and fewer than channels: it is bound with static ones. */
export const QR: readonly Codec[] = [perHead(qr()), joinHeads(qr()), qr()];
