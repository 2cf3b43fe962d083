/** Binds the laws of the routines on every device: batches, and rows known only at run time. */
import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import {
  type Device,
  F32,
  feedback,
  input,
  type Machine,
  type MatrixRoutine,
  routine,
} from "../mod.ts";
import type { Matrix } from "../dsl/read/linalg.ts";
import { hold } from "./check.ts";
import { onDevices, programsOn } from "./devices.ts";
import { feedbackBroken } from "./laws/feedback.ts";
import * as L from "./laws/routines.ts";
import { gramData, matrixArb, matrixData, type MatrixSample, symmetricData } from "./matrices.ts";

type Results = Readonly<Record<string, Float64Array>>;

/** A routine's results, what it takes, and what may be wrong with them. */
interface Subject {
  readonly results: readonly string[];
  /** The matrix of a sample where only square ones are taken. */
  readonly square?: (sample: MatrixSample, n: number) => Float64Array;
  readonly broken: (a: Matrix, results: Results, machine: Machine) => string[];
}

const SUBJECTS: Readonly<Record<MatrixRoutine, Subject>> = {
  svd: {
    results: ["u", "s", "v"],
    broken: (a, { u, s, v }, m) => L.svdBroken(a, { u, s, v }, m),
  },
  eigh: {
    results: ["vectors", "values"],
    square: symmetricData,
    broken: (a, { vectors, values }, m) => L.eighBroken(a, { vectors, values }, m),
  },
  qr: { results: ["q", "r"], broken: (a, { q, r }, m) => L.qrBroken(a, { q, r }, m) },
  cholesky: {
    results: ["lower", "inverse"],
    // Definite as calibration makes them, as far from it as rank allows, and indefinite.
    square: (sample, n) =>
      [gramData(sample, n, 0.01), gramData(sample, n), symmetricData(sample, n)][sample.seed % 3],
    broken: (a, { lower, inverse }, m) => L.choleskyBroken(a, { lower, inverse }, m),
  },
};

const COLUMNS = [1, 3, 5, 16, 33];

/** One run: a batch of matrices, all of one size. */
interface Given {
  readonly name: MatrixRoutine;
  readonly cols: number;
  /** Rows more than columns; fewer where negative, which only a run can know. */
  readonly more: number;
  /** Are the rows known when the program is compiled? */
  readonly known: boolean;
  readonly batch: readonly MatrixSample[];
}

const given: fc.Arbitrary<Given> = fc.record({
  name: fc.constantFrom(...Object.keys(SUBJECTS) as MatrixRoutine[]),
  cols: fc.constantFrom(...COLUMNS),
  // 12 and not more: svd of 33 columns loops 11 · 33 · (3 · rows + …) times, see `devices.ts`.
  more: fc.constantFrom(0, 1, 12, -1, -30),
  known: fc.boolean(),
  batch: fc.array(matrixArb, { minLength: 1, maxLength: 3 }),
});

/** Found by the property below. */
const PINNED: readonly [Given][] = [
  // Reflectors beyond the last row wrote outside the matrix.
  [{ name: "qr", cols: 33, more: -30, known: false, batch: [{ kind: "huge", seed: 0 }] }],
  // Squares of a column that is rounding of rounding are no numbers of f32.
  [{
    name: "qr",
    cols: 16,
    more: 0,
    known: false,
    batch: [{ kind: "equal columns", seed: 863081987 }],
  }],
];

/** A device whose quotients and roots are rounded as IEEE says: no more is allowed to it. */
const IEEE: Machine = { ...F32, div: F32.u, sqrt: F32.u };
const machineOf = (device: Device): Machine => device.name === "wasm" ? IEEE : F32;

onDevices(
  "routines: factors are orthogonal or triangular, in order, and rebuild the matrix",
  { wasm: 400, webgpu: 60 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(given, async ({ name, cols, more, known, batch }) => {
        const { results, square, broken } = SUBJECTS[name];
        const fixed = known || square !== undefined;
        const rows = square !== undefined
          ? cols
          : Math.max(1, cols + (known ? Math.max(0, more) : more));
        const shape = ["batch", fixed ? rows : "rows", cols];
        const program = await programs(JSON.stringify([name, shape]), () => {
          const x = input("x", shape, "f32");
          return Object.fromEntries(results.map((r) => [r, routine(name, r, x)]));
        });
        const matrices = batch.map((sample) =>
          square?.(sample, cols) ?? matrixData(sample, rows, cols)
        );
        const values = await program.values(
          { x: matrices.flatMap((m) => Array.from(m)) },
          { batch: batch.length, ...fixed ? {} : { rows } },
        );
        const wrong = matrices.map((data, i) => {
          const own = Object.fromEntries(results.map((r) => {
            const size = values[r].length / batch.length;
            return [r, values[r].subarray(i * size, (i + 1) * size)];
          }));
          return broken({ rows, cols, data }, own, machineOf(device));
        });
        deepEqual(wrong, batch.map(() => []));
      }),
      runs,
      PINNED,
    );
  },
);

onDevices(
  "routines: a result alone is the result among all",
  { wasm: 1, webgpu: 1 },
  async (device) => {
    const programs = programsOn(device);
    for (const [name, { results }] of Object.entries(SUBJECTS)) {
      const x = input("x", [5, 5], "f32");
      const terms = results.map((r) => [r, routine(name as MatrixRoutine, r, x)] as const);
      const given = { x: symmetricData({ kind: "normal", seed: 1 }, 5) };
      const all = await (await programs(name, () => Object.fromEntries(terms))).values(given);
      for (const [r, term] of terms) {
        const alone = await (await programs(`${name} ${r}`, () => ({ [r]: term }))).values(given);
        deepEqual(alone[r], all[r]);
      }
    }
  },
);

/** A matrix to round, and the grid: some steps are 0, some columns of `u` have no diagonal. */
const rounded = fc.record({
  rows: fc.integer({ min: 1, max: 5 }),
  cols: fc.constantFrom(1, 3, 4, 8, 13, 32, 33),
  w: matrixArb,
  u: matrixArb,
  scale: fc.record({ kind: fc.constantFrom("normal", "a zero column"), seed: fc.nat() }),
  top: fc.constantFrom(0, 1, 3, 7, 15, 255),
});

onDevices(
  "routines: feedback gives each column the code and error of what the columns before left of it",
  { wasm: 300, webgpu: 60 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(rounded, async ({ rows, cols, w, u, scale, top }) => {
        const program = await programs(`${cols}`, () => {
          const full = ["rows", cols] as const;
          const [x, s, m, t] = ["w", "scale", "min", "top"].map((n) => input(n, full, "f32"));
          const upper = input("u", [cols, cols], "f32");
          const read = (what: "codes" | "errors") =>
            feedback(what, x, upper, { scale: s, min: m, top: t });
          return { codes: read("codes"), errors: read("errors") };
        });
        const data = {
          w: matrixData(w, rows, cols),
          // What stands below the diagonal is not read.
          u: matrixData(u, cols, cols),
          scale: matrixData(scale, rows, cols).map(Math.abs),
          min: matrixData({ kind: "normal", seed: scale.seed + 1 }, rows, cols),
          top: new Float64Array(rows * cols).fill(top),
        };
        const made = await program.values(data, { rows });
        const operands = Object.fromEntries(
          Object.entries(data).map(([name, x]) => [name, { rows: x.length / cols, cols, data: x }]),
        );
        equal(
          feedbackBroken(
            operands as Record<keyof typeof data, Matrix>,
            { codes: made.codes, errors: made.errors },
            machineOf(device),
          ),
          undefined,
        );
      }),
      runs,
    );
  },
);
