/**
 * The contract of scalar operators: each row of `OPS`.
 * @module
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { cast, input, map } from "../../dsl/core/build.ts";
import { type Op, OPS } from "../../dsl/core/ops.ts";
import type { Term } from "../../dsl/core/term.ts";
import { compile } from "../../mod.ts";
import { hold } from "../check.ts";
import { boundExcess } from "../laws/bound.ts";
import { excess } from "../laws/meaning.ts";
import { opErrorLaw } from "../laws/op.ts";
import { type Clause, clauses } from "./clause.ts";

/** Numbers of any size; ties, zeros and numbers that a device may flush are likely. */
const real: fc.Arbitrary<number> = fc.oneof(
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.integer({ min: -9, max: 9 }).map((n) => n / 2),
  fc.constantFrom(0, -0, 1e-40, -1e-30, 1e30, -1e38, 2 ** -126),
).map(Math.fround);
const index = fc.nat({ max: 65535 });

/** What each operand may be; a new operator does not compile until its operands stand here. */
const OPERANDS: Readonly<Record<Op, readonly fc.Arbitrary<number>[]>> = {
  add: [real, real],
  sub: [real, real],
  mul: [real, real],
  div: [real, real],
  max: [real, real],
  min: [real, real],
  less: [real, real],
  hadamard: [index, index],
  neg: [real],
  abs: [real],
  exp: [real],
  sqrt: [real],
  rint: [real],
  binade: [real],
  select: [real, real, real],
};

/** Columns of operands: a few, and more than one vector of lanes. */
const columns = (op: Op): fc.Arbitrary<number[][]> =>
  fc.array(fc.tuple(...OPERANDS[op]), { minLength: 1, maxLength: 37 }).map((rows) =>
    OPERANDS[op].map((_, i) => rows.map((row) => row[i]))
  );

const named = (op: Op): Term[] => OPERANDS[op].map((_, i) => input(`x${i}`, ["n"], "f32"));
const envOf = (xs: readonly (readonly number[])[]) => ({
  sizes: { n: xs[0].length },
  inputs: Object.fromEntries(xs.map((x, i) => [`x${i}`, x])),
});

/** Operators by name, as things of a kind. */
const things = Object.fromEntries(Object.keys(OPS).map((op) => [op, op as Op]));

/** Every law of operators on every operator. */
export const opClauses: readonly Clause[] = clauses({
  kind: "op",
  things,
  laws: [
    {
      says: "takes as many operands as its arity",
      holds: (op) => ok(OPERANDS[op].length === OPS[op].arity),
    },
    {
      says: "operands that are off move it by no more than its error",
      holds: (op) => {
        const share = fc.double({ min: -1, max: 1, noNaN: true });
        const size = fc.constantFrom(0, 2 ** -40, 1e-3, 0.5, 3);
        const operand = (x: fc.Arbitrary<number>) => fc.record({ x, e: size, share });
        const exact = (x: fc.Arbitrary<number>) => x.map((v) => ({ x: v, e: 0, share: 0 }));
        // The index of a Hadamard matrix is a place: nothing is between two of them.
        const operands = OPERANDS[op].map(op === "hadamard" ? exact : operand);
        return hold(fc.property(fc.tuple(...operands), (os) => opErrorLaw(op, os)), 300, [], op);
      },
    },
    {
      says: "it is within its bound of what it is of operands that were not rounded",
      holds: (op) => {
        const term = map(op, ...named(op).map((x) => cast(x, "f16")));
        const halves = columns(op).map((xs) =>
          xs.map((x) => x.map((v) => Math.abs(v) < 6e4 ? v : 1))
        );
        return hold(
          fc.property(halves, (xs) => ok(!(boundExcess(term, envOf(xs)) > 0))),
          100,
          [],
          op,
        );
      },
    },
  ],
  deviceLaws: [{
    says: "a device gives what it means, within rounding",
    holdsOn: async (device, op) => {
      const term = map(op, ...named(op));
      const program = await compile({ y: term }, { device });
      await hold(
        fc.asyncProperty(columns(op), async (xs) => {
          const env = envOf(xs);
          const { y } = await program.values(env.inputs, env.sizes);
          ok(excess(y, term, program.outputs.y, env) <= 0, `${y}`);
        }),
        40,
        [],
        op,
      );
    },
  }],
});
