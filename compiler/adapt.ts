/**
 * Looks at a tensor and chooses a codec for it: a program for each candidate gives what it loses, on the
 * device; two numbers of each are read back.
 * @module
 */
import { type Adaptive, chosenBy, lossOf, type Measured } from "../dsl/codec/adaptive.ts";
import { bitsOf, type Codec } from "../dsl/codec/codec.ts";
import { input } from "../dsl/core/build.ts";
import { ValueError } from "../dsl/core/errors.ts";
import type { Sizes } from "../dsl/core/dims.ts";
import type { Shape } from "../dsl/core/term.ts";
import { bindSizes, type Given, inputsOf } from "./bind.ts";
import type { Outputs } from "./pipeline.ts";
import type { Program } from "./program.ts";

/** What was chosen, and from what. */
export interface Choice extends Measured {
  /** Its number among the candidates: what is stored as `choice`. */
  readonly choice: number;
  /** The codec: the candidate, and its number among the parts. */
  readonly codec: Codec;
  /** What each candidate takes and loses. */
  readonly candidates: readonly Measured[];
}

/** The largest of the two, said. */
const missed = ({ rule }: Adaptive, measured: readonly Measured[]): string => {
  const limit = "bits" in rule ? `${rule.bits} bits` : `an error of ${rule.error}`;
  const of = measured.map(({ name, bits, error }) => `${name}: ${bits} bits, error ${error}`);
  return `${limit} is less than any candidate needs (${of.join("; ")})`;
};

/**
 * Chooses by the rule for a tensor of this shape; none that fits is a `ValueError` that says what each needs.
 * `compile` is the door of the same name, bound to a device and a schedule if they are not the default.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { adaptive, choose, compile, hadamard, input, on, quantize } from "kvfold";
 * import { pipe } from "kvfold/fp";
 * const four = quantize({ bits: 4, per: "token", range: "asymmetric" });
 * const scheme = adaptive([four, pipe(hadamard(), on("values", four))], { bits: 5 });
 * // One channel far out: a rotation spreads it over all.
 * const x = Array.from({ length: 2 * 8 * 64 }, (_, i) => Math.sin(i * i) + (i % 64 === 3 ? 30 : 0));
 * const { codec, choice, bits, error, candidates } = await choose(compile, scheme, [2, "tokens", 64], x);
 * ok(choice === 1 && bits < 5 && error < candidates[0].error);
 * ok("choice" in codec.encode(input("x", [2, "tokens", 64], "f32")));
 * ```
 */
export const choose = async (
  compile: (outputs: Outputs) => Promise<Program>,
  scheme: Adaptive,
  shape: Shape,
  x: Given,
): Promise<Choice> => {
  const given = input("x", shape, "f32");
  const sizes: Sizes = bindSizes(inputsOf({ given }), { x });
  const measured: Measured[] = [];
  for (const [i, { name }] of scheme.candidates.entries()) {
    const codec = scheme.at(i);
    const program = await compile({ ...lossOf(codec, given) });
    const { lost: [lost], all: [all] } = await program.values({ x });
    const error = lost === 0 ? 0 : Math.sqrt(lost / all);
    measured.push({ name, bits: bitsOf(codec, shape, sizes), error });
  }
  const choice = chosenBy(scheme.rule, measured);
  if (choice === undefined) throw new ValueError(scheme.name, missed(scheme, measured));
  return { ...measured[choice], choice, codec: scheme.at(choice), candidates: measured };
};
