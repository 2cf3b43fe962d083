/** Binds the laws of codecs. */
import fc from "fast-check";
import { type Codec, f16, identity, on } from "../dsl/codec/codec.ts";
import { BITS, type Bits } from "../dsl/core/dtype.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { svd } from "../dsl/decompose/svd.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { pipe } from "../fp.ts";
import { type Sample, samples, tensorOf } from "./arbitraries.ts";
import { check } from "./check.ts";
import { LOSSLESS, LOSSLESS_16, lossy, lossy16, QR, rangesOf } from "./codecs.ts";
import * as L from "./laws/codec.ts";

const pick = (codecs: readonly Codec[]): fc.Arbitrary<number> => fc.nat({ max: codecs.length - 1 });
/** The longest side that a factor of a sample can have, and three bonds at most. */
const tolerance = ({ heads, tokens, channels }: Sample): number =>
  L.rounding(Math.max(heads * channels, heads * tokens), 3);

const lossless = (
  name: string,
  codecs: readonly Codec[],
  channels: number[],
  named: boolean,
): void =>
  check(
    `${name}: decode(encode(x)) = x`,
    fc.property(pick(codecs), samples(channels), fc.boolean(), (i, s, dynamic) =>
      L.losslessLaw(codecs[i], tensorOf(s), dynamic && named, tolerance(s))),
    300,
  );
lossless("decompositions", LOSSLESS, [16, 32], false);
lossless("decompositions of few channels", LOSSLESS_16, [16], true);
lossless("qr", QR, [16], false);
lossless(
  "decompositions with named tokens",
  LOSSLESS.filter((c) => !c.name.includes("joinHeads(svd")),
  [16],
  true,
);

const bounded = (
  name: string,
  make: (bits: Bits) => readonly Codec[],
  channels: number[],
): void => {
  const codecs = BITS.flatMap(make);
  check(
    `${name}: |x - decode(encode(x))| <= bound`,
    fc.property(
      pick(codecs),
      samples(channels),
      fc.boolean(),
      (i, s, dynamic) => L.boundLaw(codecs[i], tensorOf(s), dynamic, tolerance(s)),
    ),
    1000,
  );
};
bounded("all codecs", lossy, [16, 32]);
bounded("a chain of three", lossy16, [16]);

const counted = BITS.flatMap(lossy);
check(
  "bits are the bytes stored",
  fc.property(
    pick(counted),
    samples([16, 32, 48]),
    (i, { heads, tokens, channels }) =>
      /hadamard|rotate/.test(counted[i].name) && channels === 48 ||
      L.bitsLaw(counted[i], [heads, tokens, channels]),
  ),
);

const PERS = ["token", "channel", "tensor", 8] as const;
check(
  "coding a decoded tensor again moves no code",
  fc.property(
    fc.constantFrom(...BITS.flatMap((bits) => rangesOf(bits).map((range) => ({ bits, range })))),
    fc.constantFrom(...PERS),
    samples([16, 24], 1),
    ({ bits, range }, per, s) => {
      const { data } = tensorOf(s);
      const n = s.channels;
      const scope: L.Scope = {
        token: (i: number) => Math.floor(i / n),
        channel: (i: number) => i % n,
        tensor: () => 0,
        8: (i: number) => Math.floor(i / 8),
      }[per];
      const zero = range === "asymmetric" ? 0 : 2 ** (bits - 1);
      const x = { shape: [s.tokens, n], data };
      return L.recodeLaw(quantize({ bits, per, range }), x, scope, zero);
    },
  ),
  400,
);

const chain = mpo({ inner: 4 });
const four = quantize({ bits: 4, per: "token", range: "symmetric" });
check(
  "storing a part as it is changes nothing",
  fc.property(
    samples([16]),
    fc.boolean(),
    (s, dynamic) =>
      L.sameDecodeLaw(on("large", identity)(chain), chain, tensorOf(s), dynamic) &&
      L.sameDecodeLaw(on("values", identity)(hadamard()), hadamard(), tensorOf(s), dynamic),
  ),
  50,
);
check(
  "parts are stored in any order",
  fc.property(samples([16], 1), (s) =>
    L.sameDecodeLaw(
      pipe(chain, on("large", four), on("small", f16)),
      pipe(chain, on("small", f16), on("large", four)),
      tensorOf(s),
      false,
    ) &&
    L.sameDecodeLaw(
      pipe(svd(), on("u", four), on("s", f16)),
      pipe(svd(), on("s", f16), on("u", four)),
      tensorOf(s),
      false,
    )),
  50,
);
check(
  "codecs nest: a part of a part is a part",
  fc.property(samples([16], 1), (s) =>
    L.sameDecodeLaw(
      pipe(chain, on("large", on("values", four)(hadamard()))),
      pipe(chain, on("large", pipe(hadamard(), on("values", four)))),
      tensorOf(s),
      false,
    )),
  20,
);
