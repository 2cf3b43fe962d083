/**
 * Codecs under test: one list. What stands here is held to every law of codecs, in f64, on devices, in
 * attention, and by climbing; so are all schemes of `SCHEMES`, at all their numbers of bits, and `FORMATS`.
 * @module
 */
import { type Codec, f16, identity, joinHeads, on, perHead } from "../dsl/codec/codec.ts";
import { byHead } from "../dsl/codec/by_head.ts";
import { together } from "../dsl/codec/together.ts";
import { byToken, keep, type TokenOrder } from "../dsl/codec/by_token.ts";
import { adaptive } from "../dsl/codec/adaptive.ts";
import { online } from "../dsl/codec/online.ts";
import { window } from "../dsl/codec/window.ts";
import { outliers } from "../dsl/codec/outliers.ts";
import { residual } from "../dsl/codec/residual.ts";
import { split } from "../dsl/codec/split.ts";
import { BITS, type Bits } from "../dsl/core/dtype.ts";
import { OPS } from "../dsl/core/ops.ts";
import { ShapeError } from "../dsl/core/errors.ts";
import { balance } from "../dsl/decompose/balance.ts";
import { input, iota, map } from "../dsl/core/build.ts";
import { center } from "../dsl/decompose/center.ts";
import { clip } from "../dsl/decompose/clip.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { linear } from "../dsl/decompose/linear.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { normalize } from "../dsl/decompose/normalize.ts";
import { pca } from "../dsl/decompose/pca.ts";
import { peak } from "../dsl/decompose/peak.ts";
import { polar } from "../dsl/decompose/polar.ts";
import { preRope, type Rope } from "../dsl/decompose/pre_rope.ts";
import { qr } from "../dsl/decompose/qr.ts";
import { reorder } from "../dsl/decompose/reorder.ts";
import { rotate } from "../dsl/decompose/rotate.ts";
import { shrunk } from "../dsl/decompose/shrink.ts";
import { smooth } from "../dsl/decompose/smooth.ts";
import { svd } from "../dsl/decompose/svd.ts";
import { type Affine, quantize } from "../dsl/quantize/affine.ts";
import { codebook } from "../dsl/quantize/codebook.ts";
import { circle } from "../dsl/quantize/angles.ts";
import { pairs } from "../dsl/quantize/grid.ts";
import { e2m1, lloydMax, nf4 } from "../dsl/quantize/levels.ts";
import { quantizeGroups } from "../dsl/quantize/groups.ts";
import { decoquantB } from "../dsl/schemes/decoquant.ts";
import { FORMATS, type SchemeName, SCHEMES, WIDTHS } from "../dsl/schemes/mod.ts";
import { grain } from "../dsl/schemes/grain.ts";
import { kvtc } from "../dsl/schemes/kvtc.ts";
import { svdq } from "../dsl/schemes/svdq.ts";
import { rtnGrouped } from "../dsl/schemes/rtn.ts";
import { pipe } from "../fp.ts";

/** A codec for tensors `[heads, tokens, channels]`, with what a tensor must have for it. */
export interface Case {
  readonly codec: Codec;
  /** Numbers of channels it takes. */
  readonly channels: readonly number[];
  /** May the number of tokens be unknown when a program is compiled? */
  readonly streams: boolean;
  /** Does it give back what it was given? */
  readonly lossless: boolean;
}

/** An order of 16 channels that leaves none but the last where it was. */
const ORDER = Array.from({ length: 16 }, (_, i) => (11 * i + 6) % 16);

/** The Hadamard matrix of 16 channels, which is its own inverse. */
const TURNED = Array.from(
  { length: 16 },
  (_, i) => Array.from({ length: 16 }, (_, j) => OPS.hadamard.apply(i, j) / 4),
);

/** Angles that are all of a turn within few places, and some that hardly move. */
const TURNING: Rope = { base: 1e4, pairs: "neighbours" };

const coded = (bits: Bits, range: Affine["range"] = "asymmetric"): Codec =>
  quantize({ bits, per: "token", range });

const lowRank = (rank: number): Codec =>
  pipe(pca({ rank }), on("coefficients", f16), on("basis", f16));

/** What tokens count, by where they stand alone: some are equal, and heads differ. */
const counted = (choice: Omit<TokenOrder, "salience"> = {}): TokenOrder => ({
  ...choice,
  salience: (shape) => {
    const each = shape.slice(0, -1);
    const [head, token] = [0, each.length - 1].map((axis) => iota(each, axis));
    return map("min", map("mul", map("hadamard", token, map("add", head, 5)), token), 3);
  },
});

/** Codecs that give back what they were given. */
const LOSSLESS: readonly Codec[] = [
  identity,
  hadamard(),
  pca(),
  perHead(pca()),
  perHead(svd()),
  perHead(hadamard()),
  rotate(),
  perHead(rotate({ seed: 7 })),
  center({ stored: "f32" }),
  perHead(center({ stored: "f32" })),
  normalize({ stored: "f32" }),
  polar({ levels: 1 }),
  polar({ levels: 4 }),
  balance({ stored: "f32" }),
  perHead(balance({ rounds: 1, stored: "f32" })),
  smooth({ stored: "f32" }),
  perHead(smooth({ alpha: 1, stored: "f32" })),
  peak({ to: 3 }),
  perHead(peak()),
  pipe(normalize({ stored: "f32" }), on("direction", rotate({ seed: 2 }))),
  mpo({ inner: 4 }),
  perHead(mpo({ inner: 4 })),
  joinHeads(mpo({ inner: 8 })),
  mpo({ inner: 1, tokens: 1 }),
  joinHeads(mpo({ inner: 1, tokens: 1 })),
  mpo({ inner: 2, tokens: 1 }),
  ...[0, 1, 2].map((tokens) => mpo({ channels: [2, 4, 2], tokens })),
  perHead(mpo({ channels: [2, 4, 2], tokens: 0 })),
  mpo({ channels: [2, 2, 2, 2], tokens: 1 }),
  split([16]),
  split([4, 5, 7]),
  reorder(ORDER),
  preRope({ base: 100, pairs: "halves" }),
  perHead(preRope({ base: 1e4, pairs: "neighbours" })),
  center({ stored: "f32", within: preRope({ base: 100, pairs: "neighbours" }) }),
  linear({ name: "turned", to: [TURNED], back: [TURNED] }),
  residual(coded(2)),
  perHead(residual(pca({ rank: 2 }))),
  keep(counted(), { share: 1 })(identity),
  byToken(counted({ sinks: 1 }), [{ start: 2 }, { start: 5 }], [identity, identity, identity]),
];

const [CODED4, CODED2] = [coded(4), coded(2)];

/** Tokens chosen by what they count, some of them dropped; heads by codecs of their own. */
const CHOSEN: readonly Codec[] = [
  byToken(counted(), [{ share: 0.25 }], [coded(4), coded(2)]),
  byToken(counted({ recent: 1 }), [{ share: 0.3 }, { share: 0.6 }], [f16, coded(4)]),
  keep(counted({ sinks: 1, recent: 3 }), { start: 6 })(coded(4, "symmetric")),
  byHead((head) => head === 1 ? CODED2 : CODED4),
  perHead(keep(counted(), { share: 0.5 })(pipe(hadamard(), on("values", coded(3))))),
];

/** The same, where the shape of a factor depends on which side is longer: tokens must be known. */
const KNOWN_TOKENS: readonly Codec[] = [
  joinHeads(svd()),
  perHead(qr()),
  joinHeads(qr()),
  qr(),
];

/** Bits that leave a symmetric range a level beside 0. */
export const SYMMETRIC: readonly Bits[] = BITS.filter((bits) => 2 ** (bits - 1) > 1);

/** The ranges that codes of `bits` can have. */
export const rangesOf = (bits: Bits): readonly Affine["range"][] =>
  SYMMETRIC.includes(bits) ? ["symmetric", "asymmetric", "signed"] : ["asymmetric", "signed"];

const scoped = (bits: Bits): readonly Codec[] =>
  (["token", "channel", "tensor", 8] as const).flatMap((per) =>
    rangesOf(bits).flatMap((range): Codec[] => {
      const wide = quantize({ bits, per, range, scale: "f32" });
      return [quantize({ bits, per, range }), { ...wide, name: `${wide.name}, f32 scale` }];
    })
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
    ...bits === 4
      ? Object.entries({ nf4, e2m1 }).map(([name, at]) => {
        const codec = codebook({ levels: at, per: 8, scale: "absmax" });
        return { ...codec, name: `${codec.name} ${name}` };
      })
      : [],
    pipe(center(), on("values", codebook({ levels, per: "token", scale: "absmax" }))),
    pipe(
      normalize(),
      on("direction", pipe(rotate(), on("values", codebook({ levels, per: 16, scale: "none" })))),
    ),
    pipe(hadamard(), on("values", codebook({ levels, per: 16, scale: "norm", keepNorm: true }))),
  ];
};

const symmetrical = (bits: Bits): readonly Codec[] => {
  if (!SYMMETRIC.includes(bits)) return [];
  const symmetric = quantize({ bits, per: "token", range: "symmetric" });
  return [
    decoquantB(bits, 4),
    pipe(hadamard(), on("values", pipe(mpo({ inner: 4 }), on("large", symmetric)))),
    perHead(pipe(svd(), on("u", symmetric), on("v", f16), on("s", f16))),
    pipe(mpo({ inner: 4, ranks: [3] }), on("large", symmetric), on("small", f16)),
  ];
};

/** Codecs with codes of `bits`, beside the named schemes. */
export const lossy = (bits: Bits): readonly Codec[] => {
  const asymmetric = quantize({ bits, per: "token", range: "asymmetric" });
  return [
    ...scoped(bits),
    ...symmetrical(bits),
    ...codebooks(bits),
    perHead(quantize({ bits, per: "tensor", range: "asymmetric" })),
    rtnGrouped(bits, 16),
    // The last group is shorter.
    quantizeGroups(bits, 12),
    pipe(hadamard(), on("values", asymmetric)),
    pipe(preRope(TURNING), on("values", quantize({ bits, per: "channel", range: "asymmetric" }))),
    pipe(center({ within: preRope(TURNING) }), on("values", asymmetric)),
    pipe(pca({ rank: 5 }), on("coefficients", asymmetric), on("basis", f16)),
    joinHeads(pipe(mpo({ inner: 2, tokens: 1 }), on("large", asymmetric), on("small", f16))),
    pipe(
      mpo({ channels: [2, 4, 2] }),
      on("site1", quantize({ bits, per: "token", range: rangesOf(bits)[0] })),
      on("site2", quantize({ bits: 8, per: "token", range: "symmetric" })),
      on("site3", f16),
    ),
  ];
};

/** Windows in full precision around codecs. */
const windows = (bits: Bits): readonly Codec[] => {
  const token = quantize({ bits, per: "token", range: "asymmetric" });
  return [
    window({ tail: 3, sinks: 2 }, rtnGrouped(bits, 16)),
    window({ tail: 1, group: 4 }, quantize({ bits, per: { tokens: 2 }, range: "asymmetric" })),
    joinHeads(window({ tail: 2, group: 3 }, token)),
  ];
};

const WINDOWS: readonly Codec[] = [
  ...BITS.flatMap(windows),
  perHead(window({ tail: 4 }, pipe(mpo({ inner: 4 }), on("small", f16)))),
  window({ sinks: 1, tail: 2 }, decoquantB(4, 4)),
  window({ tail: 2 }, window({ tail: 4, group: 2 }, rtnGrouped(2, 16))),
  window({ sinks: 3 }, f16),
  online({ group: 2, tail: 1, every: 4 }, perHead(lowRank(3))),
];

/** What combinators make of codecs. */
const COMBINED: readonly Codec[] = [
  residual(coded(2), coded(2)),
  residual(coded(4, "symmetric"), residual(coded(1), coded(1))),
  residual(lowRank(2), coded(2)),
  perHead(residual(coded(3), lowRank(2))),
  split([4, 12], [coded(4), coded(2)]),
  split([3, 8, 5], [f16, coded(2, "symmetric")]),
  pipe(reorder(ORDER), on("values", split([2, 14], [f16, coded(3)]))),
  pipe(center(), on("values", pipe(rotate(), on("values", split([8, 8], [coded(3), coded(1)]))))),
  pipe(
    linear({
      name: "first half",
      to: [TURNED.map((row) => row.slice(0, 8))],
      back: [TURNED.slice(0, 8)],
    }),
    on("values", coded(3)),
  ),
  pipe(hadamard(), on("values", split([16, 48], [coded(8), coded(2)]))),
  pipe(clip(1.5), on("values", coded(3))),
  pipe(balance({ rounds: 0 }), on("values", coded(1))),
  pipe(smooth({ alpha: 0.25 }), on("values", coded(2))),
  pairs({ points: circle(3) }),
  pairs({ of: "neighbours" }),
  together(split([3, 8, 5], [coded(2), coded(3), coded(2)])),
  residual(perHead(pipe(shrunk({ rank: 3 }), on("coefficients", f16), on("basis", f16))), coded(2)),
  grain({ name: "turned", to: [TURNED], back: [TURNED] }, [4, 4, 4, 4]),
  kvtc({ name: "turned", to: [TURNED], back: [TURNED] }, [8, 0, 8, 0]),
  svdq({ variances: Array.from({ length: 16 }, (_, i) => 2 ** -i), words: 2 }),
  outliers({ count: 1 })(coded(2)),
  outliers({ count: 4 })(rtnGrouped(3, 16)),
  joinHeads(outliers({ count: 2 })(coded(4))),
  joinHeads(residual(coded(2), coded(4))),
  joinHeads(quantize({ bits: 2, per: "token", range: "asymmetric", scale: "f32" })),
  outliers({ count: 2 })(residual(coded(2), lowRank(2))),
  adaptive([coded(2), decoquantB(4, 4)], { bits: 4 }).at(1),
];

const takes = (codec: Codec, channels: number): boolean => {
  try {
    codec.encode(input("x", [2, 4, channels], "f32"));
    return true;
  } catch (error) {
    if (error instanceof ShapeError) return false;
    throw error;
  }
};

/** Numbers of channels that are tried; a codec is tested with the first two it takes. */
const CHANNELS = [16, 32, 64, 128];

const row = (name: string, codec: Codec, more: Partial<Case> = {}): [string, Case] => {
  const channels = CHANNELS.filter((c) => takes(codec, c)).slice(0, 2);
  if (channels.length === 0) throw new Error(`${name} takes none of ${CHANNELS} channels`);
  return [name, { codec, channels, streams: true, lossless: false, ...more }];
};

const rows: readonly (readonly [string, Case])[] = [
  ...LOSSLESS.map((c) => row(c.name, c, { lossless: true })),
  ...KNOWN_TOKENS.map((c) => row(c.name, c, { lossless: true, streams: false })),
  row(f16.name, f16),
  ...BITS.flatMap(lossy).map((c) => row(c.name, c)),
  ...[...COMBINED, ...WINDOWS, ...CHOSEN].map((c) => row(c.name, c)),
  // Groups of tokens: those of one divide any number of them, once it is known.
  ...BITS.map((bits) => {
    const codec = quantize({ bits, per: { tokens: 1 }, range: "asymmetric" });
    return row(codec.name, codec, { streams: false });
  }),
  // Rows of whole vectors in every plane.
  ...BITS.flatMap((bits) =>
    rangesOf(bits).map((range) => {
      const codec = quantize({ bits, per: 64, range });
      return row(codec.name, codec, { channels: [128] });
    })
  ),
];

/** The named schemes, each once for every number of bits that it takes, and the formats. */
export const SCHEME_CASES: Readonly<Record<string, Case>> = Object.fromEntries([
  ...(Object.keys(SCHEMES) as SchemeName[]).flatMap((name) =>
    WIDTHS[name].map((bits) => row(`${name}(${bits})`, SCHEMES[name](bits)))
  ),
  ...Object.entries(FORMATS).map(([name, codec]) => row(name, codec)),
]);

/** Every codec under test by name. */
export const CODECS: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(rows),
  ...SCHEME_CASES,
};
if (Object.keys(CODECS).length < rows.length + Object.keys(SCHEME_CASES).length) {
  throw new Error("two codecs under test have one name");
}
