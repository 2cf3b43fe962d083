/** Binds the way by a Gram matrix to the true singular values, for spectra from flat to very wide. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { decoquantB, type Device, evaluate, input, mpo } from "../mod.ts";
import type { Codec } from "../dsl/codec/codec.ts";
import { FLOOR } from "../dsl/decompose/spectrum.ts";
import { type Matrix, qr } from "../dsl/read/linalg.ts";
import { F32, F64, gamma, type Machine } from "../dsl/read/machine.ts";
import { normals } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { DEVICES, onDevices, type Programs, programsOn } from "./devices.ts";
import { norm } from "./laws/codec.ts";
import * as L from "./laws/gram.ts";
import { jacobi } from "./laws/routines.ts";

const [INNER, BLOCKS] = [8, 2];

/** A matrix in words: rows of blocks, singular values as powers of ten, and its size. */
interface Wide {
  readonly tokens: number;
  readonly kind: "flat" | "even" | "steps" | "one" | "pairs" | "zeros";
  readonly decades: number;
  readonly power: number;
  readonly seed: number;
}

/** Singular value k of n, the first 1. */
const SPECTRA: Readonly<Record<Wide["kind"], (k: number, n: number, least: number) => number>> = {
  flat: () => 1,
  even: (k, n, least) => least ** (k / (n - 1)),
  steps: (k, n, least) => k < n / 2 ? 1 : least,
  one: (k, _n, least) => k === 0 ? 1 : least,
  pairs: (k, n, least) => least ** (Math.floor(k / 2) / (n / 2)),
  zeros: (k, n, least) => k < n / 2 ? least ** (2 * k / n) : 0,
};

const columnsOf = (rows: number, cols: number, next: () => number): Matrix =>
  qr({ rows, cols, data: Float64Array.from({ length: rows * cols }, next) }).q;

const matrixOf = ({ tokens, kind, decades, power, seed }: Wide): Matrix => {
  const rows = tokens * BLOCKS;
  const next = normals(seed);
  const [u, v] = [columnsOf(rows, INNER, next), columnsOf(INNER, INNER, next)];
  const data = Float64Array.from({ length: rows * INNER }, (_, at) => {
    const [i, j] = [Math.floor(at / INNER), at % INNER];
    let x = 0;
    for (let k = 0; k < INNER; k++) {
      const sigma = SPECTRA[kind](k, INNER, 10 ** -decades);
      x += u.data[i * INNER + k] * sigma * v.data[j * INNER + k];
    }
    return Math.fround(x * 10 ** power);
  });
  return { rows, cols: INNER, data };
};

const wideArb = (powers: readonly number[]): fc.Arbitrary<Wide> =>
  fc.record({
    tokens: fc.integer({ min: INNER / BLOCKS, max: 40 }),
    kind: fc.constantFrom(...Object.keys(SPECTRA) as Wide["kind"][]),
    decades: fc.integer({ min: 0, max: 12 }),
    power: fc.constantFrom(...powers),
    seed: fc.nat(),
  });

/** Parts that a device makes, and what they decode to in f64. */
const through = async (
  programs: Programs,
  codec: Codec,
  shape: readonly number[],
  x: Float64Array,
) => {
  const named = shape.map((n, i) => i === shape.length - 2 ? "tokens" : n);
  const program = await programs(codec.name + named, () => codec.encode(input("x", named, "f32")));
  const parts = await program.values({ x });
  const stored = codec.encode(input("x", shape, "f32"));
  const given = Object.fromEntries(
    Object.entries(stored).map(([name, t]) => [name, input(name, t.shape, t.dtype)]),
  );
  return { parts, back: evaluate(codec.decode(given, shape), { sizes: {}, inputs: parts }).data };
};

/**
 * Where singular values are equal, or both under the noise, any basis is as true as another, and what
 * rounding loses depends on it: 2,400 losses were at most 1.5 times that of the basis that is compared.
 */
const FREE = 2;

/** Roundings of a product with V, one with Vᵀ, and of the gauge, relative to ‖A‖. */
const arithmetic = (m: Machine): number =>
  2 * jacobi(INNER, INNER, m) + 2 * Math.sqrt(INNER) * gamma(m, INNER + 8) +
  4 * (m.div + m.sqrt + m.u);

const CODECS = Array.from(
  { length: INNER },
  (_, i) => mpo({ inner: INNER, ranks: [i + 1] }),
);

const lawful = (device: Device, machine: Machine, floor: number, runs: number): Promise<void> => {
  const programs = programsOn(device);
  return hold(
    fc.asyncProperty(
      wideArb([-30, 0, 4, 30]),
      fc.integer({ min: 1, max: INNER }),
      async (wide, rank) => {
        const a = matrixOf(wide);
        const shape = [wide.tokens, BLOCKS * INNER];
        const { parts, back } = await through(programs, CODECS[rank - 1], shape, a.data);
        ok(L.bestRankLaw(a, back, rank, rank < INNER ? floor : 0, arithmetic(machine)), "rank");
        const small = { rows: rank, cols: INNER, data: Float64Array.from(parts.small) };
        ok(L.orthogonalRowsLaw(small, 2 * jacobi(INNER, INNER, machine)), "orthogonal");
      },
    ),
    runs,
  );
};

Deno.test("eval: truncated by its Gram matrix, a matrix loses no more than by its singular values", () =>
  DEVICES.eval((device) => lawful(device, F64, 2 ** -24, 100)));

onDevices(
  "truncated by its Gram matrix, a matrix loses no more than by its singular values, but for the floor",
  { wasm: 150, webgpu: 15 },
  (device, runs) => lawful(device, F32, FLOOR, runs),
);

onDevices(
  "decoquant loses no more than the true spectrum allows, and than twice what true factors lose",
  { wasm: 100, webgpu: 10 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(wideArb([0, 1, 2]), fc.constantFrom(2, 3, 4, 8), async (wide, bits) => {
        const a = matrixOf(wide);
        const shape = [1, wide.tokens, BLOCKS * INNER];
        const codec = decoquantB(bits as 2 | 3 | 4 | 8, INNER);
        const { back } = await through(programs, codec, shape, a.data);
        const lost = norm(a.data.map((x, i) => x - back[i]));
        const most = 2 ** (bits - 1) - 1;
        const own = arithmetic(F32) * norm(a.data);
        const limit = L.worstLoss(a, BLOCKS, most, FLOOR) + own;
        ok(lost <= limit, `loses ${lost}, the spectrum allows ${limit}`);
        const exact = L.trueLoss(a, BLOCKS, most, FLOOR);
        ok(lost <= FREE * exact + own, `loses ${lost}, true factors ${exact}`);
      }),
      runs,
    );
  },
);
