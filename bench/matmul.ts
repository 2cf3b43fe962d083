/**
 * How fast are plain contractions? What the projections of a small model and the rotations of a scheme
 * cost; f32, one thread, as a share of the multiply-adds that registers alone allow. A matrix times a
 * vector reads each weight once: it is held to the bandwidth of a copy.
 *
 * Rates are of processor time, of a product and of its roof alike. Each product agrees with a plain f64 loop before it is timed.
 * @module
 */
import { compile, contract, input, type Term } from "../mod.ts";
import { put, release } from "./caches.ts";
import { activations } from "./data.ts";
import { agree, type Ask, type Benchmark, type Case, compare, type Row } from "./harness.ts";
import { openRoofs } from "./roofs.ts";

/** Rows, inner size, columns; `transposed` reads the second operand as `[columns, inner]`, as weights lie. */
interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposed: boolean;
}

const PRODUCTS: readonly Product[] = [
  { m: 256, k: 1024, n: 688, transposed: false },
  { m: 256, k: 1024, n: 688, transposed: true },
  { m: 256, k: 256, n: 256, transposed: false },
  { m: 256, k: 256, n: 256, transposed: true },
  { m: 512, k: 512, n: 512, transposed: false },
  { m: 512, k: 512, n: 512, transposed: true },
  { m: 1024, k: 1024, n: 1024, transposed: false },
  { m: 1024, k: 1024, n: 1024, transposed: true },
  { m: 1, k: 1024, n: 4096, transposed: true },
  { m: 1, k: 4096, n: 1024, transposed: true },
  { m: 1, k: 1024, n: 4096, transposed: false },
  { m: 4096, k: 64, n: 64, transposed: false },
];

const MADDS = 2e8;
const COPY = 1 << 25;

const reference = (
  a: Float32Array,
  b: Float32Array,
  { m, k, n, transposed }: Product,
): Float64Array => {
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let l = 0; l < k; l++) {
      const x = a[i * k + l];
      const [from, step] = transposed ? [l, k] : [l * n, 1];
      for (let j = 0; j < n; j++) out[i * n + j] += x * b[from + j * step];
    }
  }
  return out;
};

const prepared = async (p: Product): Promise<Case> => {
  const { m, k, n, transposed } = p;
  const shape = transposed ? [n, k] : [k, n];
  const name = `${m}×${k} · ${transposed ? `(${n}×${k})ᵀ` : `${k}×${n}`}`;
  const [x, y] = [activations(6, m * k, k), activations(7, k * n, n)];
  const [a, b]: Term[] = [input("a", [m, k], "f32"), input("b", shape, "f32")];
  const labels: string = transposed ? "m k, n k -> m n" : "m k, k n -> m n";
  const program = await compile({ out: contract(labels, a, b) });
  const given = { a: put("a", [m, k], x), b: put("b", shape, y) };
  // Rounding of a sum of k products grows no faster than k · 2^-24 of its largest terms.
  agree(name, (await program.values(given)).out, reference(x, y, p), 1e-4);
  return { name, run: async () => release(await program.run(given)) };
};

/** The question of the head of the file. */
export const matmulBench: Benchmark = async ({ quick }: Ask) => {
  const effort = quick ? { rounds: 3, warmMs: 20 } : { rounds: 15, warmMs: 300 };
  const products = quick ? PRODUCTS.slice(0, 2) : PRODUCTS;
  const roofs = await openRoofs(COPY);
  const cases: Case[] = [roofs.madds(MADDS), roofs.copy(COPY)];
  for (const p of products) cases.push(await prepared(p));
  const timings = await compare(cases, effort);
  const works = [MADDS, 0, ...products.map(({ m, k, n }) => m * k * n)];
  const bytes = [0, 2 * COPY, ...products.map(({ m, k, n }) => 4 * (m * k + k * n + m * n))];
  const [peak, bandwidth] = [MADDS / timings[0].cpu, 2 * COPY / timings[1].cpu];
  return [{
    title: "contractions, f32, one thread",
    rows: timings.map(({ name, ms, iqr, best, cpu }, i): Row => ({
      product: name,
      ms,
      iqr,
      best,
      cpu,
      "GFLOP/s": 2 * works[i] / cpu / 1e6,
      "% madd peak": 100 * works[i] / cpu / peak,
      "GB/s": bytes[i] / cpu / 1e6,
      "% copy": 100 * bytes[i] / cpu / bandwidth,
    })),
  }];
};
