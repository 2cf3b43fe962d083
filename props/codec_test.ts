/** Binds laws of codecs that speak of one codec; those of every codec are in `contract/codecs.ts`. */
import fc from "fast-check";
import { f16, on } from "../dsl/codec/codec.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { svd } from "../dsl/decompose/svd.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { pipe } from "../fp.ts";
import { samples, tensorOf } from "./arbitraries.ts";
import { check } from "./check.ts";
import { BITS } from "../dsl/core/dtype.ts";
import { rangesOf } from "./codecs.ts";
import * as L from "./laws/codec.ts";

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
