/**
 * How fast is one decode step over a stored cache, against our own attention over an f32 cache, and how far
 * is it from what the machine can do?
 *
 * WebAssembly, one thread. A cell is a scheme, bits, heads, channels and arithmetic: f32, or a query and
 * weights as integers of 16 or 8 bits. `--cells "decoquantB 128"` asks only those whose name holds every
 * word; without it the usual ones are asked.
 *
 * Every cell agrees with the f64 meaning at a small size (a whole chunk and a part of one) and with the f32
 * program on the decoded cache at the full size before it is timed; one that does not has no time. Bytes are
 * what each kernel reads and writes at most once, with the parts of a split softmax. The roof of a cell is
 * the larger of its bytes at the bandwidth (of copying or reading, whichever is faster here) and its
 * multiply-adds at the peak of the widest instruction in its text, all measured in the same run; rates are
 * those of the rounds with the least processor time, of a kernel and of its roof alike: time that other
 * processes take is not in it.
 * Cells take turns, so the f32 cache passes through the last level of the processor's own cache between two
 * runs of a packed one, as other layers would in a model.
 * @module
 */
import {
  bitsOf,
  type Codec,
  compile,
  decoquantB,
  evaluate,
  hadamard,
  on,
  perHead,
  type Program,
  quantize,
  rtn,
  rtnGrouped,
  type Schedule,
  VALUES,
} from "../mod.ts";
import { pipe } from "../fp.ts";
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

type Fixed = Schedule["fixed"];

/**
 * Share of the largest output that a result may be off. f32 sums of 16,384 weights stay below 1e-4. With
 * 16 bits a weight is rounded to 2⁻¹⁶ of the largest of its 256 tokens and a query to 2⁻¹⁶ of its largest
 * value; with 8 bits both are 2⁻⁸, of 16 tokens. Outputs are means of many values and small beside them:
 * rotated caches are off by 0.3 % and 7 %. A wrong code, scale or index is far above. What is promised is
 * derived, and tested elsewhere.
 */
const limitOf = (fixed: Fixed): number => fixed === 8 ? 2 ** -3 : 2 ** -8;

const COPY = 1 << 26;
const MADDS = 4e8;

const WIDTHS = [8, 4, 3, 2, 1] as const;
const ARITHMETIC: readonly Fixed[] = [16, 8, false];

type Width = (typeof WIDTHS)[number];

/** Schemes by width. A symmetric range needs two bits. */
const FAMILIES: readonly { name: string; least: Width; of: (bits: Width) => Codec }[] = [
  { name: "rtnGrouped", least: 1, of: rtnGrouped },
  { name: "rtn", least: 2, of: rtn },
  { name: "decoquantB", least: 2, of: decoquantB },
  {
    name: "hadamard",
    least: 1,
    of: (bits) =>
      perHead(pipe(hadamard(), on(VALUES, quantize({ bits, per: 64, range: "asymmetric" })))),
  },
];

const WAYS: readonly Named[] = WIDTHS.flatMap((bits) =>
  FAMILIES.filter(({ least }) => bits >= least)
    .map(({ name, of }) => ({ name: `${name} ${bits}`, codec: of(bits) }))
);

const SHAPES: readonly Sizes[] = [64, 128].flatMap((dim) =>
  [[8, 1], [8, 4], [4, 3]].map(([kv, group]) => ({ kv, group, dim }))
);

/** What is asked unless cells are named: every width of one family, every family at 4 bits. */
const isUsual = (name: string, group: number, fixed: Fixed): boolean =>
  group !== 3 && fixed !== false && (name.startsWith("rtnGrouped") || name.endsWith(" 4"));

const nameOf = (way: Named, fixed: Fixed): string =>
  way === PLAIN || fixed === false ? `${way.name}, f32` : `${way.name}, ${fixed}`;

const attended = async (
  program: Program,
  q: ArrayLike<number>,
  parts: Stored,
): Promise<Float64Array> => (await program.values({ q, ...parts })).out;

/** Stored parts of both, and what the program should give from them at a small size. */
const meaning = async (
  way: Named,
  sizes: Sizes,
): Promise<{ parts: Stored; query: Float32Array; want: Float64Array }> => {
  const tokens = 300;
  const { k, v, query } = step(sizes, tokens);
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  const inputs: Record<string, ArrayLike<number>> = { q: query };
  for (const [name, tensor] of Object.entries(parts)) inputs[name] = await tensor.read();
  const want = evaluate(attention(way, sizes), { sizes: { tokens }, inputs }).data;
  if (way !== PLAIN) release({ k, v });
  return { parts, query, want };
};

/** A prepared cell, and what its row says besides times. */
interface Ready {
  readonly case: Case;
  /** What it multiplies by. */
  readonly by: Instruction;
  readonly bytes: number;
  readonly bits: number;
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

/** The cells of one scheme, on one stored cache. */
const prepare = async (
  way: Named,
  sizes: Sizes,
  tokens: number,
  arithmetic: readonly Fixed[],
): Promise<{ readonly cells: readonly Ready[]; readonly parts: Stored }> => {
  const { k, v, query } = step(sizes, tokens);
  const q = asQuery(sizes, query);
  const small = await meaning(way, sizes);
  const stored = [await store(way, sizes, "k", k), await store(way, sizes, "v", v)];
  const parts = { ...stored[0], ...stored[1] };
  const plain = await compile({ out: attention(PLAIN, sizes) });
  const exact = way === PLAIN ? {} : {
    "k.values": await restore(way, sizes, "k", stored[0]),
    "v.values": await restore(way, sizes, "v", stored[1]),
  };
  const want = way === PLAIN ? undefined : await attended(plain, query, exact);
  release(exact);
  if (way !== PLAIN) release({ k, v });
  const cells: Ready[] = [];
  for (const fixed of arithmetic) {
    const program = await compile({ out: attention(way, sizes) }, { schedule: { fixed } });
    const name = nameOf(way, fixed);
    const far = await farOff(async () => {
      const got = await attended(program, small.query, small.parts);
      const off = agree(name, got, small.want, limitOf(fixed));
      if (want === undefined) return off;
      return agree(name, await attended(program, query, parts), want, limitOf(fixed));
    });
    cells.push({
      case: { name, run: async () => release(await program.run({ q, ...parts })) },
      by: instructionOf(program.text),
      bytes: program.bytesMoved({ tokens }),
      bits: bitsOf(way.codec, cacheShape(sizes), { tokens }),
      far,
    });
  }
  release(small.parts);
  return { cells, parts: { ...parts, q } };
};

const asked = async (
  sizes: Sizes,
  tokens: number,
  effort: Effort,
  wanted: (way: Named, fixed: Fixed) => boolean,
): Promise<readonly Table[]> => {
  const some = WAYS
    .map((way) => [way, ARITHMETIC.filter((fixed) => wanted(way, fixed))] as const)
    .filter(([, arithmetic]) => arithmetic.length > 0);
  if (some.length === 0) return [];
  const prepared = [await prepare(PLAIN, sizes, tokens, [false])];
  for (const [way, arithmetic] of some) {
    prepared.push(await prepare(way, sizes, tokens, arithmetic));
  }
  const cells = prepared.flatMap((p) => p.cells);
  const ready = cells.filter((r) => typeof r.far === "number");
  const wrong = cells.filter((r) => typeof r.far === "string");
  const roofs = await openRoofs(COPY);
  const [copy, read] = [roofs.copy(COPY), roofs.read(COPY)];
  const peaks = INSTRUCTIONS.map((name) => roofs.madds(MADDS, name));
  const timings = await compare([...ready.map((r) => r.case), copy, read, ...peaks], effort);
  const perMs = (name: string, amount: number): number =>
    amount / timings.find((t) => t.name === name)!.cpu;
  // A copy reads and writes: both count.
  const bandwidth = Math.max(perMs(copy.name, 2 * COPY), perMs(read.name, COPY));
  const { kv, group, dim } = sizes;
  const work = 2 * kv * group * tokens * dim;
  const timed = ready.map(({ bytes, bits, far, by }, i): Row => {
    const { name, ms, iqr, best, cpu, speedup } = timings[i];
    const [moving, multiplying] = [bytes / bandwidth, work / perMs(by, MADDS)];
    const roof = Math.max(moving, multiplying);
    return {
      cache: name,
      "bits/value": bits,
      ms,
      iqr,
      best,
      cpu,
      "× f32": speedup,
      "× f32 best": timings[0].best / best,
      "× f32 cpu": timings[0].cpu / cpu,
      "MB moved": bytes / 1e6,
      "GB/s": bytes / cpu / 1e6,
      "Gmadd/s": work / cpu / 1e6,
      "roof ms": roof,
      "% roof": 100 * roof / cpu,
      "bound by": moving > multiplying ? "bytes" : by,
      "off by": far,
    };
  });
  prepared.forEach((p) => release(p.parts));
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
export const attentionBench: Benchmark = async ({ quick, cells }: Ask) => {
  const tokens = quick ? 2048 : 16384;
  const effort = quick ? { rounds: 3, warmMs: 20 } : { rounds: 25, warmMs: 100 };
  const words = cells?.split(/\s+/).filter((w) => w !== "") ?? [];
  const tables: Table[] = [];
  for (const sizes of quick ? SHAPES.slice(0, 1) : SHAPES) {
    const { kv, group, dim } = sizes;
    const made = await asked(sizes, tokens, effort, (way, fixed) => {
      const all = `${nameOf(way, fixed)} ${kv}x${group} ${dim}`.split(/[\s,]+/);
      return words.length > 0
        ? words.every((w) => all.includes(w))
        : isUsual(way.name, group, fixed);
    });
    tables.push(...made);
  }
  return tables;
};
