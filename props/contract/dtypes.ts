/**
 * The contract of element types: each row of `DTYPES` but fixed-point ones, which live in registers
 * only (the compiler makes them, no program holds them).
 * @module
 */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { cast, input, map } from "../../dsl/core/build.ts";
import { castTo, type DType, DTYPES, isFixedPoint, isPacked } from "../../dsl/core/dtype.ts";
import { compile, type Device, type Term } from "../../mod.ts";
import { rows } from "../arbitraries.ts";
import { hold } from "../check.ts";
import { exactLaw, packLaw } from "../laws/layout.ts";
import * as L from "../laws/dtype.ts";
import { type Clause, clauses } from "./clause.ts";

/** Numbers about a range and far beyond it; ties are likely. */
const about = (dtype: DType): fc.Arbitrary<number> => {
  const { max } = DTYPES[dtype];
  return fc.oneof(
    fc.integer({ min: -6, max: 600 }).map((n) => n / 2),
    fc.double({ min: -2, max: 2, noNaN: true }),
    fc.double({ min: -1.5, max: 1.5, noNaN: true }).map((s) => s * max),
    fc.constantFrom(0, max, max - 0.5, 1e-7, 1e30),
  ).map((x) => Math.fround(Math.max(-DTYPES.f32.max, Math.min(DTYPES.f32.max, x))));
};

/** Numbers that a type holds exactly. */
const held = (dtype: DType): fc.Arbitrary<number> =>
  about(dtype).map((x) => Math.fround(castTo(dtype, x)) + 0);

/** Lengths of rows: ragged and of whole words. */
const ROWS = [7, 64];
const tensors = (of: fc.Arbitrary<number>): fc.Arbitrary<{ row: number; xs: number[] }> =>
  fc.constantFrom(...ROWS).chain((row) =>
    fc.record({
      row: fc.constant(row),
      xs: fc.array(of, { minLength: 3 * row, maxLength: 3 * row }),
    })
  );

/** What a device gives for a term of x, by the length of its rows. */
const runsOf = async (
  device: Device,
  dtype: DType,
  of: (x: Term) => Term,
): Promise<(row: number, xs: readonly number[]) => Promise<number[]>> => {
  const programs = new Map(
    await Promise.all(ROWS.map(async (row) => {
      const program = await compile({ y: of(input("x", ["n", row], dtype)) }, { device });
      return [row, program] as const;
    })),
  );
  return async (row, x) => Array.from((await programs.get(row)!.values({ x })).y);
};

const runs = (device: Device): number => device.name === "webgpu" ? 8 : 60;
const things = Object.fromEntries(
  (Object.keys(DTYPES) as DType[]).filter((d) => !isFixedPoint(d)).map((d) => [d, d]),
);
/** f32 is a device's own arithmetic: storing in it is the identity of the f64 meaning. */
const stores = (dtype: DType): boolean => dtype !== "f32";

/** Every law of element types on every one. */
export const dtypeClauses: readonly Clause[] = clauses({
  kind: "dtype",
  things,
  laws: [
    {
      says: "storing again changes nothing, keeps the order, and keeps NaN",
      holds: (dtype) =>
        hold(
          fc.property(about(dtype), about(dtype), (x, y) =>
            L.settledLaw(dtype, x) && L.monotoneLaw(dtype, x, y)),
          300,
          [],
          dtype,
        ),
    },
    {
      says: "what is stored is in range, and nothing it can hold is nearer",
      applies: stores,
      holds: (dtype) =>
        hold(
          fc.property(about(dtype), fc.array(about(dtype)), (x, near) =>
            L.nearestLaw(dtype, x, [
              ...near,
              x + 1,
              x - 1,
              x * (1 + 2 ** -10),
              x * (1 - 2 ** -10),
            ])),
          300,
          [],
          dtype,
        ),
    },
    {
      says: "words hold its values",
      holds: (dtype) =>
        hold(
          fc.property(tensors(held(dtype)), ({ row, xs }) => L.wordsLaw(dtype, [3, row], xs)),
          100,
          [],
          dtype,
        ),
    },
    {
      says: "codes pack and unpack, in as many words as are counted",
      applies: isPacked,
      holds: (dtype) =>
        hold(
          fc.property(rows(DTYPES[dtype].max), ({ row, codes }) =>
            isPacked(dtype) && packLaw(dtype, row, codes)),
          200,
          [],
          dtype,
        ),
    },
    {
      says: "a row that fills whole words takes the bits of its codes",
      applies: isPacked,
      holds: (dtype) =>
        hold(
          fc.property(
            fc.integer({ min: 1, max: 100 }),
            (n) => isPacked(dtype) && exactLaw(dtype, 32 * n),
          ),
          100,
          [],
          dtype,
        ),
    },
  ],
  deviceLaws: [
    {
      says: "a device stores a number as f64 does, exactly",
      applies: stores,
      holdsOn: async (device, dtype) => {
        const run = await runsOf(device, "f32", (x) => cast(x, dtype));
        await hold(
          fc.asyncProperty(tensors(about(dtype)), async ({ row, xs }) => {
            deepEqual(await run(row, xs), xs.map((x) => castTo(dtype, x) + 0));
          }),
          runs(device),
          [],
          dtype,
        );
      },
    },
    {
      says: "a device reads a stored value as the number it is, exactly",
      holdsOn: async (device, dtype) => {
        const run = await runsOf(device, dtype, (x) => map("mul", x, -1));
        await hold(
          fc.asyncProperty(tensors(held(dtype)), async ({ row, xs }) => {
            const got = await run(row, xs);
            // A device may flush what is below the normal numbers of f32.
            ok(got.every((y, i) => y === -xs[i] || (y === 0 && Math.abs(xs[i]) < 2 ** -126)));
          }),
          runs(device),
          [],
          dtype,
        );
      },
    },
  ],
});
