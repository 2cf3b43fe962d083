/** Binds the laws of f16 and of layouts on devices; those of every element type are in `contract/dtypes.ts`. */
import fc from "fast-check";
import { deepEqual, ok } from "node:assert/strict";
import { cast, DTYPES, input, map, PACKED, permute } from "../mod.ts";
import { check, hold } from "./check.ts";
import { onDevices, programsOn } from "./devices.ts";
import { f16BitsLaw, f16RoundLaw } from "./laws/layout.ts";

/** A single code, rows that fill no word, and rows of runs and blocks of every length. */
const ROWS = [1, 7, 16, 24, 32, 48, 64, 96, 128, 192, 320];

onDevices(
  "codes are read and stored as the layout says, alone, four and sixteen at a time",
  { wasm: 200, webgpu: 40 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(
        fc.constantFrom(...PACKED),
        fc.constantFrom(...ROWS),
        fc.integer({ min: 1, max: 3 }),
        fc.infiniteStream(fc.nat()),
        async (dtype, row, count, stream) => {
          const codes = Array.from(
            { length: count * row },
            () => stream.next().value % (DTYPES[dtype].max + 1),
          );
          const x = input("x", ["n", row], dtype);
          const program = await programs(`${dtype} ${row}`, () => ({
            read: cast(x, "f32"),
            across: cast(permute(x, [1, 0]), "f32"),
            stored: cast(map("add", x, 0.25), dtype),
            turned: cast(map("sub", DTYPES[dtype].max, x), dtype),
          }));
          const { read, across, stored, turned } = await program.values({ x: codes });
          deepEqual([...read], codes);
          deepEqual([...stored], codes);
          deepEqual([...turned], codes.map((c) => DTYPES[dtype].max - c));
          deepEqual(
            [...across],
            codes.map((_, i) => codes[i % count * row + Math.floor(i / count)]),
          );
        },
      ),
      runs,
    );
  },
);

Deno.test("every f16 is what the platform says", () => {
  for (let bits = 0; bits < 65536; bits++) ok(f16BitsLaw(bits), `bits ${bits}`);
});

/** Any sign, mantissa and exponent about the range of f16; ties are likely. */
const halves = fc.tuple(fc.integer({ min: -8192, max: 8192 }), fc.integer({ min: -40, max: 8 }))
  .map(([m, e]) => m * 2 ** e);

check(
  "rounding to f16 is the platform's",
  fc.property(
    fc.oneof(halves, fc.double({ noNaN: true, noDefaultInfinity: true })),
    f16RoundLaw,
  ),
  2000,
);
