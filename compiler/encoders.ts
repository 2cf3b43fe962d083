/**
 * Programs that encode the tokens of a cache as they come.
 * @module
 */
import type { Codec } from "../dsl/codec/codec.ts";
import { encodedAgainst } from "../dsl/codec/streaming.ts";
import { input } from "../dsl/core/build.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import type { Program } from "./program.ts";

/** The input that says how many tokens came before those that are encoded. */
export const BEFORE = "before";

/** What is compiled for caches: equal programs are compiled once. */
export type Compile = (outputs: Readonly<Record<string, Term>>) => Promise<Program>;

/** Parts that have no tokens. */
const isFixed = (t: Term): boolean => t.shape.every((d) => typeof d === "number");

/** What a cache encodes its tokens by. */
export interface Encoders {
  /** The first tokens. */
  readonly first: Program;
  /** Later ones, against fixed parts. */
  readonly later: Program;
  /** What puts numbers into f16. */
  readonly narrow: Program | undefined;
  /** Names of the parts that are fixed. */
  readonly fixed: readonly string[];
  /** Do later tokens ask how many came {@link BEFORE} them? */
  readonly placed: boolean;
}

/** The programs for a codec, and for the tokens that are rounded before. */
export const programsFor = async (
  compile: Compile,
  behind: Codec,
  x: Term,
  halves: Term | undefined,
): Promise<Encoders> => {
  const parts = behind.encode(x);
  const before = input(BEFORE, [], "f32");
  const against = encodedAgainst(behind, x, "fixed", before);
  const fixed = Object.entries(parts).filter(([, t]) => isFixed(t)).map(([part]) => part);
  return {
    first: await compile({ ...parts }),
    // Without fixed parts as well: a part that needs all tokens once more is refused by name.
    later: await compile({ ...against }),
    narrow: halves && await compile({ x: halves }),
    fixed,
    placed: topological(Object.values(against)).includes(before),
  };
};
