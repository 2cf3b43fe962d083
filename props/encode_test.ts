/** Binds the laws of encoding: every codec, on every device, from inputs that bite. */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  BITS,
  type Codec,
  type Device,
  f16,
  identity,
  nf4Grouped,
  rtn,
  rtnGrouped,
  type Shape,
  turboquant,
} from "../mod.ts";
import { type Sample, samples, tensorOf } from "./arbitraries.ts";
import { CASES, keyOf } from "./caches.ts";
import { hold } from "./check.ts";
import { SYMMETRIC } from "./codecs.ts";
import { onDevices, type Programs, programsOn } from "./devices.ts";
import * as L from "./laws/encode.ts";

/** A codec by name, and a tensor for it. */
interface Given {
  readonly name: string;
  readonly sample: Sample;
  /** Are the tokens known when the program is compiled? */
  readonly known: boolean;
}

const givenTo = (device: Device): fc.Arbitrary<Given> =>
  fc.constantFrom(...Object.keys(CASES)).chain((name) =>
    fc.record({
      name: fc.constant(name),
      // Two numbers of heads, so that programs are used again; tokens: see `devices.ts`.
      sample: samples([CASES[name].channels], 1, device.name === "wasm" ? 40 : 20).chain((s) =>
        fc.constantFrom(1, 3).map((heads) => ({ ...s, heads }))
      ),
      known: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    })
  );

const one = { seed: 0, heads: 1, tokens: 1, channels: 16 };
/** Found by the property below. */
const PINNED: readonly [Given][] = [
  // As many tokens as channels: rows of codes and of scales looked alike and shared a kernel.
  [{
    name: keyOf("quantize(2, per channel, symmetric)"),
    sample: { kind: "one outlier", seed: 0, heads: 1, tokens: 16, channels: 16 },
    known: true,
  }],
  // The Gram matrix and what is multiplied by its eigenvectors were put into one kernel.
  [{ name: keyOf("mpo(inner 4, tokens 0)"), sample: { ...one, kind: "normal" }, known: true }],
  // Here rounding in front of a quantizer is more than a step.
  [{
    name: keyOf(
      "mpo(channels 2 x 4 x 2, tokens 0) |> on(site1, quantize(4, per token, symmetric)) |> " +
        "on(site2, quantize(8, per token, symmetric)) |> on(site3, f16)",
    ),
    sample: { ...one, kind: "huge" },
    known: false,
  }],
];

const encoded = async (programs: Programs, { name, sample, known }: Given) => {
  const { codec, streams } = CASES[name];
  const { data, shape: [heads, tokens, channels] } = tensorOf(sample);
  const shape: Shape = [heads, streams && !known ? "tokens" : tokens, channels];
  const encoding = L.encodingOf(codec, shape);
  const outputs = { ...encoding.parts, ...encoding.routines };
  const program = await programs(JSON.stringify([name, shape]), () => outputs);
  const tensors = await program.run({ x: data }, { tokens });
  const values: Record<string, Float64Array> = {};
  let bytes = 0;
  for (const [part, tensor] of Object.entries(tensors)) {
    values[part] = await tensor.read();
    if (part in encoding.parts) bytes += tensor.bytes;
  }
  new Set(Object.values(tensors)).forEach((t) => t.dispose());
  const ran = { rewritten: program.outputs, values, x: data, sizes: { tokens } };
  return { encoding, ran, bytes };
};

onDevices(
  "encode: parts are those of f64, the bound holds, bytes are bits",
  { wasm: 250, webgpu: 25 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(givenTo(device), async (g) => {
        const { encoding, ran, bytes } = await encoded(programs, g);
        deepEqual(L.partBroken(encoding, ran), undefined);
        deepEqual(L.boundBroken(encoding, ran), undefined);
        ok(L.bytesLaw(encoding, bytes, ran.x.length, ran.sizes), `${bytes} bytes`);
      }),
      runs,
      PINNED,
    );
  },
);

/** Codecs that look at one token at a time. */
const STREAMING: readonly Codec[] = [
  identity,
  f16,
  ...SYMMETRIC.map(rtn),
  ...BITS.map((bits) => rtnGrouped(bits, 16)),
  turboquant(3, { keepNorm: true }),
  nf4Grouped(16),
];

onDevices(
  "encode: tokens coded in any split are the tokens coded at once",
  { wasm: 150, webgpu: 15 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(
        fc.nat({ max: STREAMING.length - 1 }),
        samples([16, 64], 2, 40),
        fc.array(fc.integer({ min: 1, max: 20 })),
        async (which, sample, cuts) => {
          const codec = STREAMING[which];
          const { data, shape: [heads, tokens, channels] } = tensorOf(sample);
          const shape = [heads, "tokens", channels];
          const program = await programs(
            JSON.stringify([which, shape]),
            () => L.encodingOf(codec, shape).parts,
          );
          const piece = async (from: number, to: number) => {
            const x = data.filter((_, i) => {
              const t = Math.floor(i / channels) % tokens;
              return t >= from && t < to;
            });
            return { tokens: to - from, parts: await program.values({ x }, { tokens: to - from }) };
          };
          const pieces = [];
          let at = 0;
          for (const length of [...cuts, tokens]) {
            const end = Math.min(tokens, at + length);
            if (end > at) pieces.push(await piece(at, end));
            at = end;
          }
          const whole = L.joinedParts(codec, shape, [await piece(0, tokens)]);
          deepEqual(L.joinedParts(codec, shape, pieces), whole);
        },
      ),
      runs,
    );
  },
);
