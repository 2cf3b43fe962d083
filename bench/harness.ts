/**
 * How anything here is timed. A number without its baseline from the same run says little: the cases of
 * a comparison take turns, in an order that shifts every round, and a ratio is the median of the ratios
 * within rounds, so that a slow minute of the machine hits both sides. Agreement comes before timing: a
 * case that computes something else throws and has no number.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Something to time. */
export interface Case {
  /** How tables call it. */
  readonly name: string;
  /** One run; what it allocates it gives back. A number is its milliseconds by a clock of its own. */
  readonly run: () => Promise<number | void> | number | void;
}

/** Time of a case, in milliseconds. */
export interface Timing {
  readonly name: string;
  /** Median of the rounds. */
  readonly ms: number;
  /** Distance between the quartiles. */
  readonly iqr: number;
  /** The fastest round: what is left where other processes share the machine. */
  readonly best: number;
  /** The round with the least processor time, all threads of the process: other processes do not count. */
  readonly cpu: number;
  /** Median over rounds of baseline / this; above 1 is faster than the baseline. */
  readonly speedup: number;
  readonly rounds: number;
  /** Milliseconds of every round. */
  readonly times: readonly number[];
}

/** How much to measure. */
export interface Effort {
  readonly rounds: number;
  /** Tiering compilers replace a kernel in the background: warm up for this long and at least 4 runs. */
  readonly warmMs: number;
}

/** What every result file records about where it was made. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly runtime: Readonly<Record<string, string>>;
  readonly commit: string;
  /** Did files differ from the commit? */
  readonly changed: boolean;
  /** When, to the minute, in UTC. */
  readonly date: string;
}

/** One row of a table: what is printed and written. */
export type Row = Readonly<Record<string, string | number>>;

/** A table and its title. */
export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** How a question is asked. */
export interface Ask {
  /** Few rounds and small sizes: does it run at all? */
  readonly quick: boolean;
  /** Write down what a software adapter took as well. */
  readonly software: boolean;
  /** Channels of a head, where a question is asked of several. */
  readonly dims: readonly number[];
  /** Words that the name of a cell must hold, where a benchmark has cells. */
  readonly cells?: string;
}

/** Tables that are not the processor's: the name they are written under, none if they are not. */
export interface Elsewhere {
  readonly tables: readonly Table[];
  readonly name: string | undefined;
}

/** A benchmark answers one question with tables. */
export type Benchmark = (ask: Ask) => Promise<readonly Table[] | Elsewhere>;

const quantile = (sorted: readonly number[], p: number): number => {
  const at = p * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
};

/** The middle value. */
export const median = (xs: readonly number[]): number =>
  quantile([...xs].sort((a, b) => a - b), 0.5);

const spread = (xs: readonly number[]): number => {
  const sorted = [...xs].sort((a, b) => a - b);
  return quantile(sorted, 0.75) - quantile(sorted, 0.25);
};

/** Milliseconds of one call. */
export const clock = async (run: Case["run"]): Promise<number> => {
  const start = performance.now();
  const own = await run();
  return own ?? performance.now() - start;
};

const warm = async (c: Case, ms: number): Promise<void> => {
  const end = performance.now() + ms;
  for (let i = 0; i < 4 || performance.now() < end; i++) {
    await c.run();
    // A turn of the event loop lets a finished background compilation take over.
    await new Promise((done) => setTimeout(done, 0));
  }
};

/** Times cases in turns; the first is the baseline. */
export const compare = async (
  cases: readonly Case[],
  { rounds, warmMs }: Effort,
): Promise<readonly Timing[]> => {
  for (const c of cases) await warm(c, warmMs);
  const times: number[][] = cases.map(() => []);
  const cpu = cases.map(() => Infinity);
  for (let r = 0; r < rounds; r++) {
    for (let i = 0; i < cases.length; i++) {
      const at = (i + r) % cases.length;
      const before = process.cpuUsage();
      times[at].push(await clock(cases[at].run));
      const { user, system } = process.cpuUsage(before);
      cpu[at] = Math.min(cpu[at], (user + system) / 1000);
    }
  }
  return cases.map(({ name }, i) => ({
    name,
    ms: median(times[i]),
    iqr: spread(times[i]),
    best: Math.min(...times[i]),
    cpu: cpu[i],
    speedup: median(times[i].map((t, r) => times[0][r] / t)),
    rounds,
    times: times[i],
  }));
};

/** How many times as long one case takes as another that took turns with it: the median over rounds. */
export const ratio = (of: Timing, to: Timing): number =>
  median(of.times.map((t, r) => t / to.times[r]));

/** Largest |got − want| over largest |want|; NaN where all that is wanted is 0. */
export const distance = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
  if (got.length !== want.length) return Infinity;
  let [error, top] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    // NaN fails every comparison: let it through to the caller's.
    const e = Math.abs(got[i] - want[i]);
    if (!(e <= error)) error = e;
    top = Math.max(top, Math.abs(want[i]));
  }
  // Nothing but zeros agrees with too much to say anything.
  return error / top;
};

/** Throws unless two results are the same within `limit` of the largest magnitude; returns how far they are. */
export const agree = (
  name: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  limit: number,
): number => {
  const far = distance(got, want);
  if (far <= limit) return far;
  throw new Error(`${name}: off by ${far.toExponential(2)} of the largest, allowed is ${limit}`);
};

const git = (...args: string[]): string => {
  try {
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    return execFileSync("git", args, { cwd, stdio: ["ignore", "pipe", "ignore"] }).toString()
      .trim();
  } catch {
    return "";
  }
};

/** Where this runs. */
export const machine = (): Machine => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  runtime: Object.fromEntries(
    ["deno", "bun", "node", "v8"].flatMap((k) => {
      const version = process.versions[k];
      return version === undefined ? [] : [[k, version]];
    }),
  ),
  commit: git("rev-parse", "HEAD") || "none",
  changed: git("status", "--porcelain", "--", ".", ":!bench/results") !== "",
  date: `${new Date().toISOString().slice(0, 16)}Z`,
});

/** A number as a table shows it. */
export const digits = (x: number): string =>
  !Number.isFinite(x)
    ? `${x}`
    : x !== 0 && Math.abs(x) < 1e-3
    ? x.toExponential(1)
    : Math.abs(x) >= 1000
    ? x.toFixed(0)
    : x.toPrecision(3);

/** A table as aligned text. */
export const tableText = ({ title, rows }: Table): string => {
  const heads = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  const cells = rows.map((r) =>
    heads.map((h) => {
      const value = r[h] ?? "";
      return typeof value === "string"
        ? value
        : Number.isInteger(value)
        ? `${value}`
        : digits(value);
    })
  );
  const widths = heads.map((h, i) => Math.max(h.length, ...cells.map((c) => c[i].length)));
  const line = (xs: readonly string[]): string =>
    xs.map((x, i) => i === 0 ? x.padEnd(widths[i]) : x.padStart(widths[i])).join("  ");
  return [`\n${title}`, line(heads), ...cells.map(line)].join("\n");
};

/** Writes a result file beside the benchmarks; returns its path. */
export const record = (name: string, result: unknown): string => {
  const folder = new URL("results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const path = fileURLToPath(new URL(`${name}.json`, folder));
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  return path;
};
