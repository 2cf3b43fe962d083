/**
 * How fast is one decode step over a stored cache, against our own attention over an f32 cache?
 *
 * WebAssembly, one thread, head dim 64. Every case agrees with the f64 meaning at a small size (a whole
 * chunk and a part of one) and with the f32 program on the decoded cache at the full size before it is
 * timed; one that does not has no time. Bytes are what each kernel reads and writes at most once, with
 * the parts of a split softmax.
 * Rates are those of the fastest rounds, of a kernel and of its roof alike. The roof of a kernel is the
 * larger of its bytes at the bandwidth (of copying or reading, whichever is faster here) and its
 * multiply-adds at the peak of the widest instruction in its text, all measured in the same run.
 * Cases take turns, so the f32 cache passes through the last level of the processor's own cache between
 * two runs of a packed one, as other layers would in a model.
 * @module
 */
import { bitsOf, compile, evaluate, type Program } from "../mod.ts";
import {
  asQuery,
  attention,
  cacheShape,
  type Named,
  PLAIN,
  release,
  restore,
  type Sizes,
  step,
  store,
  STORED,
  type Stored,
} from "./caches.ts";
import {
  agree,
  type Ask,
  type Benchmark,
  type Case,
  compare,
  type Effort,
  type Row,
  type Table,
} from "./harness.ts";
import { type Instruction, instructionOf, INSTRUCTIONS, openRoofs } from "./roofs.ts";

/**
 * Share of the largest output that a result may be off. f32 sums of 16,384 weights stay below 1e-4.
 * Packed caches multiply 16-bit integers: a weight is rounded to 2⁻¹⁶ of the largest of its 256 tokens
 * and a query to 2⁻¹⁶ of its largest value, 2⁻⁹ of the output together. A wrong code, scale or index
 * is far above either.
 */
const LIMIT = 2 ** -9;

const COPY = 1 << 26;
const MADDS = 4e8;

const attended = async (
  program: Program,
  q: ArrayLike<number>,
  parts: Stored,
): Promise<Float64Array> => (await program.values({ q, ...parts })).out;

/** Agreement with the f64 meaning on the same stored parts. */
const checkMeaning = async (way: Named, sizes: Sizes, program: Program): Promise<number> => {
  const tokens = 300;
  const { k, v, query: q } = step(sizes, tokens);
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  const inputs: Record<string, ArrayLike<number>> = { q };
  for (const [name, tensor] of Object.entries(parts)) inputs[name] = await tensor.read();
  const want = evaluate(attention(way, sizes), { sizes: { tokens }, inputs });
  const far = agree(way.name, await attended(program, q, parts), want.data, LIMIT);
  release({ ...parts, "": k, " ": v });
  return far;
};

/** A prepared case, and what its row says besides times. */
interface Ready {
  readonly case: Case;
  readonly parts: Stored;
  readonly bytes: number;
  readonly bits: number;
  /** What it multiplies by. */
  readonly by: Instruction;
  /** How far it is from what it should compute; in words where that is too far. */
  readonly far: number | string;
}

const farOff = async (check: () => Promise<number>): Promise<number | string> => {
  try {
    return await check();
  } catch (error) {
    return `wrong: ${error instanceof Error ? error.message : error}`;
  }
};

const prepare = async (
  sizes: Sizes,
  tokens: number,
): Promise<readonly Ready[]> => {
  const { k, v, query } = step(sizes, tokens);
  const q = asQuery(sizes, query);
  const plain = await compile({ out: attention(PLAIN, sizes) });
  const ready: Ready[] = [];
  for (const way of [PLAIN, ...STORED]) {
    const program = way === PLAIN ? plain : await compile({ out: attention(way, sizes) });
    const stored = [await store(way, sizes, "k", k), await store(way, sizes, "v", v)];
    const parts = { ...stored[0], ...stored[1] };
    const far = await farOff(async () => {
      const off = await checkMeaning(way, sizes, program);
      if (way === PLAIN) return off;
      const exact = {
        "k.values": await restore(way, sizes, "k", stored[0]),
        "v.values": await restore(way, sizes, "v", stored[1]),
      };
      const want = await attended(plain, query, exact);
      release(exact);
      return agree(way.name, await attended(program, query, parts), want, LIMIT);
    });
    ready.push({
      case: { name: way.name, run: async () => release(await program.run({ q, ...parts })) },
      parts: { ...parts, q },
      bytes: program.bytesMoved({ tokens }),
      bits: bitsOf(way.codec, cacheShape(sizes), { tokens }),
      by: instructionOf(program.text),
      far,
    });
  }
  return ready;
};

const asked = async (
  sizes: Sizes,
  tokens: number,
  effort: Effort,
): Promise<readonly Table[]> => {
  const prepared = await prepare(sizes, tokens);
  const ready = prepared.filter((r) => typeof r.far === "number");
  const wrong = prepared.filter((r) => typeof r.far === "string");
  const roofs = await openRoofs(COPY);
  const [copy, read] = [roofs.copy(COPY), roofs.read(COPY)];
  const peaks = INSTRUCTIONS.map((name) => roofs.madds(MADDS, name));
  const timings = await compare([...ready.map((r) => r.case), copy, read, ...peaks], effort);
  const perMs = (name: string, amount: number): number =>
    amount / timings.find((t) => t.name === name)!.best;
  // A copy reads and writes: both count.
  const bandwidth = Math.max(perMs(copy.name, 2 * COPY), perMs(read.name, COPY));
  const work = 2 * sizes.kv * sizes.group * tokens * sizes.dim;
  const timed = ready.map(({ bytes, bits, by, far }, i): Row => {
    const { name, ms, iqr, best, speedup } = timings[i];
    const [moving, multiplying] = [bytes / bandwidth, work / perMs(by, MADDS)];
    const roof = Math.max(moving, multiplying);
    return {
      cache: name,
      "bits/value": bits,
      ms,
      iqr,
      best,
      "× f32": speedup,
      "× f32 best": timings[0].best / best,
      "MB moved": bytes / 1e6,
      "GB/s": bytes / best / 1e6,
      "Gmadd/s": work / best / 1e6,
      "roof ms": roof,
      "% roof": 100 * roof / best,
      "bound by": moving > multiplying ? "bytes" : by,
      "off by": far,
    };
  });
  prepared.forEach((r) => release(r.parts));
  const { kv, group, dim } = sizes;
  const heads = `${kv} KV heads × ${group}, dim ${dim}, ${tokens} tokens`;
  return [
    {
      title: `decode attention, ${heads}`,
      rows: [...timed, ...wrong.map((r): Row => ({ cache: r.case.name, "off by": r.far }))],
    },
    {
      title: `roofs in the same run, ${heads}`,
      rows: [
        { roof: "copy", "G/s": perMs(copy.name, 2 * COPY) / 1e6, of: "bytes" },
        { roof: "read", "G/s": perMs(read.name, COPY) / 1e6, of: "bytes" },
        ...INSTRUCTIONS.map((name): Row => ({
          roof: name,
          "G/s": perMs(name, MADDS) / 1e6,
          of: "multiply-adds",
        })),
      ],
    },
  ];
};

/** The question of the head of the file. */
export const attentionBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 2048 : 16384;
  const effort = quick ? { rounds: 5, warmMs: 50 } : { rounds: 40, warmMs: 300 };
  const shapes = quick ? [[8, 1]] : [[8, 1], [8, 4], [2, 4]];
  const tables: Table[] = [];
  for (const [kv, group] of shapes) {
    tables.push(...await asked({ kv, group, dim: 64 }, tokens, effort));
  }
  return tables;
};
