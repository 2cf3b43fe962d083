/**
 * How fast is one decode step over a stored cache on a GPU, as a share of what it copies a second?
 *
 * A pass runs the step over so many caches in turn that together they do not fit a GPU's own cache (up to
 * `most` of them, as layers of a model would), over and over; ms are those of one step. `GB/s` is what is
 * stored, queries and results left out, over the time of the fastest round, and `% copy` its share of the
 * bytes that a copy reads and writes, by the same clock in the same run. Where all caches fit the GPU's own
 * (`MB in turn`), the share may pass 100 %.
 * Beside the times stand bytes: those that each kernel moves at most once (`moved`), and what lanes touch
 * by the model of `compiler/traffic.ts` (`useful` words and `fetched` sectors of all groups).
 * Every case agrees with the f64 meaning at a small size, and with WebAssembly on the same stored parts at
 * the full size, before it is timed.
 *
 * On a software adapter sizes are small and times say nothing of a GPU: they are written only with
 * `--software`. `--dim 64,128` asks for more than one size of a head.
 * @module
 */
import { isLeft } from "../fp.ts";
import {
  attention,
  cacheShape,
  moved,
  type Named,
  PLAIN,
  put,
  release,
  type Sizes,
  step,
  store,
  STORED,
  type Stored,
} from "./caches.ts";
import { type Clock, clockOf, timesFor } from "./gpu/clock.ts";
import { type Copy, openCopy } from "./gpu/copy.ts";
import { modelOf } from "./gpu/model.ts";
import {
  agree,
  type Ask,
  type Benchmark,
  type Case,
  compare,
  ratio,
  type Row,
  type Table,
} from "./harness.ts";
import {
  bitsOf,
  compile,
  evaluate,
  openWebgpu,
  type Program,
  type Recorded,
  type Recording,
  turboquant,
  type WebgpuDevice,
} from "../mod.ts";

/** Both sides add f32 numbers, up to 131,072 weights in two orders. */
const LIMIT = 2 ** -13;

/** A whole chunk and a part of one. */
const SHORT = 300;

const WAYS: readonly Named[] = [PLAIN, ...STORED, { name: "turboquant 2", codec: turboquant(2) }];

/** How much is measured. */
interface Plan {
  readonly tokens: readonly number[];
  /** Bytes from one side of a copy to the other. */
  readonly copy: number;
  /** Bytes of caches that one pass reads in turn, at least, and how many caches at most. */
  readonly turn: number;
  readonly most: number;
  readonly rounds: number;
  /** Milliseconds of a pass by timestamps: long beside the tenth to which they may be rounded. */
  readonly floor: number;
}

const REAL: Plan = {
  tokens: [1024, 8192, 32768, 131072],
  copy: 1 << 27,
  turn: 1 << 28,
  most: 256,
  rounds: 15,
  floor: 20,
};
const SOFTWARE: Plan = {
  tokens: [512, 2048],
  copy: 1 << 22,
  turn: 1 << 20,
  most: 4,
  rounds: 3,
  floor: 5,
};

/** A case, and what its row says besides times. */
interface Ready {
  readonly work: readonly Recorded[];
  readonly row: Row;
  /** Bytes stored for one step. */
  readonly packed: number;
  readonly free: () => void;
}

/** Keys, values and a query, before anything is stored. */
type Exact = ReturnType<typeof step>;

/** Inputs of one step on WebAssembly; an f32 cache is the keys and values themselves. */
const given = async (way: Named, sizes: Sizes, { k, v, query }: Exact): Promise<Stored> => {
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  return { q: put("q", [sizes.kv, sizes.group, 1, sizes.dim], query), ...parts };
};

const movedAll = async (inputs: Stored, device: WebgpuDevice): Promise<Stored> => {
  const copies = Object.entries(inputs).map(async ([k, t]) => [k, await moved(t, device)] as const);
  return Object.fromEntries(await Promise.all(copies));
};

/** Agreement with the f64 meaning on the same stored parts. */
const checkMeaning = async (way: Named, sizes: Sizes, program: Program): Promise<void> => {
  const exact = step(sizes, SHORT);
  const inputs = await given(way, sizes, exact);
  const numbers: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of Object.entries(inputs)) numbers[name] = await tensor.read();
  release({ ...inputs, k: exact.k, v: exact.v });
  const want = evaluate(attention(way, sizes), { sizes: { tokens: SHORT }, inputs: numbers });
  agree(way.name, (await program.values(numbers)).out, want.data, LIMIT);
};

/** Encodes on WebAssembly, agrees, and records the step over as many caches as take turns. */
const prepare = async (
  device: WebgpuDevice,
  way: Named,
  sizes: Sizes,
  tokens: number,
  exact: Exact,
  { turn, most }: Plan,
): Promise<Ready> => {
  const outputs = { out: attention(way, sizes) };
  const program = await compile(outputs, { device });
  await checkMeaning(way, sizes, program);
  const inputs = await given(way, sizes, exact);
  const held: Stored[] = [];
  const recordings: Recording[] = [];
  const free = (): void => {
    recordings.forEach((r) => r.dispose());
    held.forEach(release);
    release(way === PLAIN ? { q: inputs.q } : inputs);
  };
  try {
    const { q: _, ...parts } = inputs;
    const packed = Object.values(parts).reduce((n, t) => n + 4 * t.memory.words, 0);
    const layers = Math.max(1, Math.min(most, Math.ceil(turn / packed)));
    for (let i = 0; i < layers; i++) {
      held.push(await movedAll(inputs, device));
      recordings.push(program.record(held[i]));
    }
    await recordings[0].replay();
    const plain = await compile(outputs, { schedule: { fixed: false } });
    const want = (await plain.values(inputs)).out;
    const far = agree(way.name, await recordings[0].outputs.out.read(), want, LIMIT);
    const model = modelOf(outputs, device, { tokens });
    return {
      work: recordings.map((r) => r.work()),
      packed,
      row: {
        dispatches: program.structure.kernels.length,
        "MB stored": packed / 1e6,
        "MB in turn": layers * packed / 1e6,
        "MB moved": program.bytesMoved({ tokens }) / 1e6,
        "MB useful": model.useful / 1e6,
        "MB fetched": model.fetched / 1e6,
        "off by": far,
      },
      free,
    };
  } catch (error) {
    free();
    throw error;
  }
};

const asked = async (
  device: WebgpuDevice,
  clock: Clock,
  copy: Copy,
  sizes: Sizes,
  tokens: number,
  plan: Plan,
): Promise<Table> => {
  const ready = new Map<string, Ready>();
  const wrong: Row[] = [];
  const exact = step(sizes, tokens);
  for (const way of WAYS) {
    try {
      ready.set(way.name, await prepare(device, way, sizes, tokens, exact, plan));
    } catch (error) {
      wrong.push({
        cache: way.name,
        "off by": error instanceof Error ? error.message : `${error}`,
      });
    }
  }
  release({ k: exact.k, v: exact.v });
  const timer = async (name: string, work: readonly Recorded[]): Promise<Case> => {
    const times = await timesFor(clock, work);
    return { name, run: async () => await clock.ms(work, times) / (times * work.length) };
  };
  const cases: Case[] = [];
  for (const [name, { work }] of ready) cases.push(await timer(name, work));
  cases.push(await timer("copy", [copy.work]));
  const timings = await compare(cases, { rounds: plan.rounds, warmMs: 0 });
  ready.forEach((r) => r.free());
  const of = (name: string) => timings.find((t) => t.name === name);
  const copied = of("copy")!;
  const bandwidth = copy.moved / copied.best;
  const rows = [...ready].map(([name, { packed, row }]): Row => {
    const own = of(name)!;
    const faster = (than: string): number => {
      const other = of(than);
      return other === undefined ? NaN : ratio(other, own);
    };
    return {
      cache: name,
      "bits/value": bitsOf(
        WAYS.find((w) => w.name === name)!.codec,
        cacheShape(sizes),
        { tokens },
      ),
      ms: own.ms,
      iqr: own.iqr,
      best: own.best,
      "GB/s": packed / own.best / 1e6,
      "% copy": 100 * packed / own.best / bandwidth,
      "× f32": faster("f32"),
      "× f16": faster("f16"),
      ...row,
    };
  });
  const { kv, group, dim } = sizes;
  return {
    title: `decode attention, ${device.description}, ${kv} KV heads × ${group}, dim ${dim}, ` +
      `${tokens} tokens; ${clock.name}`,
    rows: [
      ...rows,
      {
        cache: "copy",
        ms: copied.ms,
        iqr: copied.iqr,
        best: copied.best,
        "GB/s": bandwidth / 1e6,
        "% copy": 100,
        "MB moved": copy.moved / 1e6,
      },
      ...wrong,
    ],
  };
};

/** The question of the head of the file. */
export const gpuBench: Benchmark = async ({ quick, software, dims }: Ask) => {
  const real = await openWebgpu();
  const opened = isLeft(real) ? await openWebgpu({ software: true }) : real;
  if (isLeft(opened)) {
    console.warn(`no GPU is measured: ${opened.left.message}`);
    return { tables: [], name: undefined };
  }
  const device = opened.right;
  const plan = quick || device.software ? SOFTWARE : REAL;
  if (device.software) {
    console.warn(
      `\n${device.description} is software: its times say nothing of a GPU and are no claim; the bytes ` +
        `hold. ${software ? "They are written under its own name." : "Nothing is written."}`,
    );
  }
  const copy = await openCopy(device, plan.copy);
  const clock = await clockOf(device, [copy.work], plan.floor);
  const tables: Table[] = [];
  for (const dim of dims) {
    for (const group of [1, 4]) {
      for (const tokens of plan.tokens) {
        tables.push(await asked(device, clock, copy, { kv: 8, group, dim }, tokens, plan));
      }
    }
  }
  copy.free();
  device.close();
  const own = device.description.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  return { tables, name: device.software && !software ? undefined : `gpu-${own}` };
};
