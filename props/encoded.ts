/**
 * What a device makes of a tensor by a codec, and what it takes to hold that to the laws of encoding.
 * @module
 */
import type { Shape } from "../mod.ts";
import { type Sample, tensorOf } from "./arbitraries.ts";
import { CODECS } from "./codecs.ts";
import type { Programs } from "./devices.ts";
import * as L from "./laws/encode.ts";

/** A codec by name, and a tensor for it. */
export interface Encoded {
  readonly name: string;
  readonly sample: Sample;
  /** Are the tokens known when the program is compiled? */
  readonly known: boolean;
}

const one = { seed: 0, heads: 1, tokens: 1, channels: 16 };
/** Found by the contract of codecs. */
export const PINNED: readonly Encoded[] = [
  // As many tokens as channels: rows of codes and of scales looked alike and shared a kernel.
  {
    name: "quantize(2, per channel, symmetric)",
    sample: { kind: "one outlier", seed: 0, heads: 1, tokens: 16, channels: 16 },
    known: true,
  },
  // The Gram matrix and what is multiplied by its eigenvectors were put into one kernel.
  { name: "mpo(inner 4, tokens 0)", sample: { ...one, kind: "normal" }, known: true },
  // As near to two points of a ring, whose numbers are the first and the last.
  {
    name: "pairs(8)",
    sample: { kind: "ill-conditioned", seed: 0, heads: 1, tokens: 2, channels: 16 },
    known: false,
  },
  // Here rounding in front of a quantizer is more than a step.
  {
    name: "mpo(channels 2 x 4 x 2, tokens 0) |> on(site1, quantize(4, per token, symmetric)) |> " +
      "on(site2, quantize(8, per token, symmetric)) |> on(site3, f16)",
    sample: { ...one, kind: "huge" },
    known: false,
  },
];

/** The encoding, what the device made of it, and the bytes that took. */
export interface Made {
  readonly encoding: L.Encoding;
  readonly ran: L.Ran;
  readonly bytes: number;
}

/** Encodes on the device of the programs. */
export const encoded = async (
  programs: Programs,
  { name, sample, known }: Encoded,
): Promise<Made> => {
  const { codec, streams } = CODECS[name];
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

const lost = PINNED.filter(({ name }) => !(name in CODECS));
if (lost.length > 0) throw new Error(`pinned for no codec: ${lost.map((p) => p.name).join("; ")}`);
