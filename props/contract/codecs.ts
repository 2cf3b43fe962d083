/**
 * The contract of codecs: each of `CODECS`, and the named schemes among them.
 * @module
 */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { bitsOf, isFactored } from "../../dsl/codec/codec.ts";
import { input } from "../../dsl/core/build.ts";
import type { Bits } from "../../dsl/core/dtype.ts";
import { topological } from "../../dsl/core/term.ts";
import { FORMATS, type SchemeName, WIDTHS } from "../../dsl/schemes/mod.ts";
import { programsOn } from "../devices.ts";
import { type Sample, samples, tensorOf } from "../arbitraries.ts";
import { hold } from "../check.ts";
import type { Form } from "../caches.ts";
import { type Case, CODECS, SCHEME_CASES } from "../codecs.ts";
import { attended } from "../attended.ts";
import { type Encoded, encoded, PINNED } from "../encoded.ts";
import * as L from "../laws/codec.ts";
import * as E from "../laws/encode.ts";
import { type Clause, clauses, KERNEL_DEVICES, type Law } from "./clause.ts";

/** The longest side that a factor of a sample can have, and three bonds at most. */
const tolerance = ({ heads, tokens, channels }: Sample): number =>
  L.rounding(Math.max(heads * channels, heads * tokens), 3);

/** A law of a codec on tensors, with tokens known or, where it may be, unknown. */
const onTensors = (
  law: (given: Case, sample: Sample, dynamic: boolean) => boolean,
  runs: number,
): Law<Case>["holds"] =>
(given, name) =>
  hold(
    fc.property(samples(given.channels), fc.boolean(), (s, dynamic) =>
      law(given, s, dynamic && given.streams)),
    runs,
    [],
    name,
  );

const codecLaws: readonly Law<Case>[] = [
  {
    says: "decode(encode(x)) = x, within rounding",
    applies: ({ lossless }) => lossless,
    holds: onTensors(
      ({ codec }, s, dynamic) => L.losslessLaw(codec, tensorOf(s), dynamic, tolerance(s)),
      40,
    ),
  },
  {
    says: "|x - decode(encode(x))| <= bound, and all of it is finite",
    holds: onTensors(
      ({ codec }, s, dynamic) => L.boundLaw(codec, tensorOf(s), dynamic, tolerance(s)),
      12,
    ),
  },
  {
    says: "bits are the bytes stored",
    applies: ({ streams }) => streams,
    holds: onTensors(
      ({ codec }, { heads, tokens, channels }) => L.bitsLaw(codec, [heads, tokens, channels]),
      20,
    ),
  },
  {
    says: "a decomposition's parts have the shapes it says",
    applies: ({ codec }) => isFactored(codec),
    holds: onTensors(
      ({ codec }, { heads, tokens, channels }) => L.shapesLaw(codec, [heads, tokens, channels]),
      20,
    ),
  },
  {
    says: "storing a part of a decomposition as it is changes nothing",
    applies: ({ codec }) => isFactored(codec),
    holds: onTensors(
      ({ codec }, s, dynamic) => L.unitLaw(codec, tensorOf(s), dynamic),
      4,
    ),
  },
];

/** Every law of codecs on every codec. */
export const codecClauses: readonly Clause[] = clauses({
  kind: "codec",
  things: CODECS,
  laws: codecLaws,
  deviceLaws: [{
    says: "a device's parts are those of f64, the bound holds, bytes are bits",
    devices: ["wasm", "webgpu"],
    holdsOn: (device, { channels }, name) => {
      const programs = programsOn(device);
      const small = device.name === "webgpu";
      const given: fc.Arbitrary<Encoded> = fc.record({
        name: fc.constant(name),
        // For tokens on WebGPU see `devices.ts`.
        sample: samples(channels.slice(0, 1), 3, small ? 20 : 40),
        known: fc.boolean(),
      });
      return hold(
        fc.asyncProperty(given, async (g) => {
          const { encoding, ran, bytes } = await encoded(programs, g);
          deepEqual(E.partBroken(encoding, ran), undefined);
          deepEqual(E.boundBroken(encoding, ran), undefined);
          ok(E.bytesLaw(encoding, bytes, ran.x.length, ran.sizes), `${bytes} bytes`);
        }),
        small ? 1 : 4,
        PINNED.filter((p) => p.name === name).map((p): [Encoded] => [p]),
        name,
      );
    },
  }],
});

/** Tokens and D = heads × channels of the tensor whose bits the papers count. */
const [T, D] = [96, 192];

/**
 * Bits a value of each scheme by its paper: as tokens go to infinity, and for {@link T} tokens. A new
 * scheme does not compile until its formula stands here.
 */
const PAPERS: Readonly<Record<SchemeName, (b: Bits) => readonly [open: number, known: number]>> = {
  rtn: (b) => [b + 16 / D, b + 16 / D],
  rtnGrouped: (b) => [b + 32 / 64, b + 32 / 64],
  // Without a length the bond is D, and codes and scales vanish in the limit, T_S does not.
  decoquantA: (b) => [16, b * T / T + 16 * T / D + 16 / T],
  decoquantB: (b) => [b + 16 / D, b + 16 / D + 16 * 256 / (T * D)],
  quarot: (b) => [b + 32 / 64, b + 32 / 64],
  turboquant: (b) => [b + 16 / 64, b + 16 / 64],
  // The mean of each channel, once.
  lathe: (b) => [b + 16 / 64, b + 16 / 64 + 16 / T],
  gear: (b) => [b + 1 / 2 + 16 * 4 / 64 + 1, b + 1 / 2 + 16 * 4 / 64 + 1 + 16 * 4 / T],
  eoptshrink: (b) => [b + 2 * 16 / 64, b + 2 * 16 / 64 + 16 / T],
  kvquant: (b) => [b + 48 / 64, b + 48 / 64 + 32 / T],
  kvarn: (b) => [b + 48 / 64, b + 48 / 64 + 16 / T],
  smoothed: (b) => [b + 16 / D, b + 16 / D + 16 / T],
};

/** Bits of one f32 for the whole tensor. */
const ONCE = 32 / (T * D);

/** The same of each format. */
const FORMAT_BITS: Readonly<
  Record<keyof typeof FORMATS, readonly [open: number, known: number]>
> = {
  q4_0: [4.5, 4.5],
  q4_1: [5, 5],
  q8_0: [8.5, 8.5],
  nf4: [4.5, 4.5],
  e4m3: [8, 8 + ONCE],
  e5m2: [8, 8 + ONCE],
  // Two scales of 64 channels take a word.
  mxfp4: [4 + 32 / 64, 4 + 32 / 64],
  nvfp4: [4 + 8 / 16, 4 + 8 / 16 + ONCE],
  higgs: [2 + 16 / 64, 2 + 16 / 64],
  qjl: [2 + 16 / 64, 2 + 16 / 64],
  // 28 codes of 2 bits take two words.
  polarquant: [(32 * 4 + 2 * 32 + 4 * 16) / 64, (32 * 4 + 2 * 32 + 4 * 16) / 64],
  oscarK: [2 + 32 / 64, 2 + 32 / 64],
  oscarV: [2 + 32 / 64, 2 + 32 / 64],
  svdq: [1.5, 1.5 + 7 / 8 * (16 * 64 + 32) / T],
};

/** Bits a value by its paper, of a row of `SCHEME_CASES`. */
const paperBits = (name: string): readonly [open: number, known: number] => {
  if (name in FORMATS) return FORMAT_BITS[name as keyof typeof FORMATS];
  const [scheme, bits] = name.slice(0, -1).split("(");
  return PAPERS[scheme as SchemeName](Number(bits) as Bits);
};

const plain: Form = { heads: 2, group: 2, rows: 1, tokens: "tokens", causal: false };
const causal: Form = { ...plain, rows: "rows", causal: true };
/** One token, a few, the ends of a chunk, and several chunks. */
const FORMS: readonly (readonly [Form, readonly number[]])[] = [
  [plain, [3, 256, 700]],
  [causal, [1, 257]],
];
/** The same where a device is slow, or the structure is another's. */
const SHORT: typeof FORMS = [[plain, [257]], [causal, [1]]];

/** Codes of a scheme's other numbers of bits lie in its structure; factors take long to make. */
const isShort = (name: string, { codec, channels: [channels] }: Case): boolean => {
  const [scheme, bits] = name.slice(0, -1).split("(");
  const parts = Object.values(codec.encode(input("x", [1, T, channels], "f32")));
  return (!(name in FORMATS) && Number(bits) !== WIDTHS[scheme as SchemeName][0]) ||
    (channels > 32 && topological(parts).some((t) => t.tag === "routine"));
};

/** Every law of schemes on every scheme. */
export const schemeClauses: readonly Clause[] = clauses({
  kind: "scheme",
  things: SCHEME_CASES,
  laws: [{
    says: "its bits are those of its paper",
    holds: ({ codec }, name) => {
      const [open, known] = paperBits(name);
      for (const [tokens, expected] of [["tokens", open], [T, known]] as const) {
        const got = bitsOf(codec, [3, tokens, D / 3]);
        ok(Math.abs(got - expected) < 1e-12, `${got} bits for ${tokens} tokens, not ${expected}`);
      }
    },
  }],
  deviceLaws: [{
    says: "attention to its stored parts is within rounding, one program for all lengths",
    devices: KERNEL_DEVICES,
    holdsOn: async (device, given, name) => {
      const programs = programsOn(device);
      for (
        const [form, lengths] of device.name === "wasm" && !isShort(name, given) ? FORMS : SHORT
      ) {
        for (const tokens of lengths) await attended(programs, given, form, tokens);
      }
    },
  }],
});
