/**
 * Programs that encode the tokens of a cache as they come.
 * @module
 */
import type { Codec } from "../dsl/codec/codec.ts";
import { encodedAgainst } from "../dsl/codec/streaming.ts";
import type { Term } from "../dsl/core/term.ts";
import type { Program } from "./program.ts";

/** What is compiled for caches: equal programs are compiled once. */
export type Compile = (outputs: Readonly<Record<string, Term>>) => Promise<Program>;

/** Parts that have no tokens. */
const isFixed = (t: Term): boolean => t.shape.every((d) => typeof d === "number");

/** The first tokens, later ones against fixed parts, and what puts numbers into f16; names of what is fixed. */
export const programsFor = async (
  compile: Compile,
  behind: Codec,
  x: Term,
  halves: Term | undefined,
): Promise<{ first: Program; later: Program; narrow: Program | undefined; fixed: string[] }> => {
  const parts = behind.encode(x);
  const fixed = Object.entries(parts).filter(([, t]) => isFixed(t)).map(([part]) => part);
  return {
    first: await compile({ ...parts }),
    // Without fixed parts as well: a part that needs all tokens once more is refused by name.
    later: await compile({ ...encodedAgainst(behind, x, "fixed") }),
    narrow: halves && await compile({ x: halves }),
    fixed,
  };
};
