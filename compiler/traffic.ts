/**
 * What a kernel's lanes ask of memory, found by running its addresses: every loop and index of some
 * groups is computed, no value is. Lanes run side by side in bands of 32, and memory moves in sectors of
 * 32 bytes, as on today's GPUs.
 *
 * ```text
 * useful    bytes of different words that a group touches
 * fetched   bytes of different sectors that it touches: what memory moves where a group's cache holds them
 * asked     bytes of the sectors of each load of a band: what moves where nothing is held
 * busy      lanes of a band that take part in its loads
 * ```
 * useful ÷ asked is how well a load is laid out; useful ÷ fetched what the layout costs in the end.
 * @module
 */
import type { Sizes } from "../dsl/core/shape.ts";
import type { Arr, Expr } from "./ir/expr.ts";
import { type Block, GROUP, type Kernel, type Stmt } from "./ir/stmt.ts";
import { uniformOf } from "./kernel.ts";

/** Lanes that load together. */
const BAND = 32;
/** Bytes that memory moves at once. */
const SECTOR = 32;

/** What one array costs a group. */
export interface Traffic {
  /** Bytes of different words. */
  readonly useful: number;
  /** Bytes of different sectors. */
  readonly fetched: number;
  /** Bytes of the sectors of every load. */
  readonly asked: number;
  /** Loads of bands. */
  readonly loads: number;
  /** Lanes that take part in a load, of all. */
  readonly busy: number;
}

interface Tally {
  readonly words: Set<number>;
  readonly sectors: Set<number>;
  asked: number;
  loads: number;
  lanes: number;
}

/** A load: the node, its array, its index, and words side by side. */
interface Access {
  readonly arr: Arr;
  readonly index: Expr;
  readonly words: (at: number) => readonly number[];
}

const run = (from: number, n: number): number[] => Array.from({ length: n }, (_, k) => from + k);

const accessOf = (e: Expr): Access | undefined => {
  const { arr, args: [index] } = e;
  if (arr === undefined || arr.space !== "storage") return undefined;
  if (e.op === "load") {
    return { arr, index, words: (at) => run(at, e.type.endsWith("x4") ? 4 : 1) };
  }
  if (e.op === "halves") {
    return {
      arr,
      index,
      words: (at) => [...new Set(run(at, 4).map((h) => h >> 1))],
    };
  }
  if (e.op === "twice") return { arr, index, words: (at) => run(at, 2) };
  return undefined;
};

/** Loads below an expression, those of addresses first. */
const accessesOf = (e: Expr, known: Map<Expr, readonly Access[]>): readonly Access[] => {
  const old = known.get(e);
  if (old !== undefined) return old;
  const own = accessOf(e);
  const all = [...new Set([...e.args.flatMap((a) => accessesOf(a, known)), ...own ? [own] : []])];
  known.set(e, all);
  return all;
};

type Env = Map<string, number>;

/** An integer at some variables; NaN where it hangs on a value that was read. */
const integer = (e: Expr, env: Env): number => {
  const arg = (k: number): number => integer(e.args[k], env);
  switch (e.op) {
    case "const":
      return e.value;
    case "var":
    case "uniform":
      return env.get(e.name) ?? NaN;
    case "add":
      return arg(0) + arg(1);
    case "sub":
      return arg(0) - arg(1);
    case "mul":
      return arg(0) * arg(1);
    case "div":
      return Math.trunc(arg(0) / arg(1));
    case "rem":
      return arg(0) % arg(1);
    case "min":
      return Math.min(arg(0), arg(1));
    case "max":
      return Math.max(arg(0), arg(1));
    case "shl":
      return arg(0) * 2 ** arg(1);
    case "shr":
      return Math.floor(arg(0) / 2 ** arg(1));
    case "lt":
      return Number(arg(0) < arg(1));
    case "le":
      return Number(arg(0) <= arg(1));
    case "eq":
      return Number(arg(0) === arg(1));
    case "select":
      return arg(0) ? arg(1) : arg(2);
    case "toI32":
    case "toU32":
      return arg(0);
    default:
      return NaN;
  }
};

const operandsOf = (s: Stmt): readonly Expr[] => {
  if (s.tag === "var" || s.tag === "assign") return [s.value];
  return s.tag === "store" ? [s.index, s.value] : [];
};

/** Runs the addresses of one group; each lane notes what it loads, in order. */
const groupTraffic = (
  kernel: Kernel,
  group: number,
  sizes: Sizes,
  note: (lane: number, access: Access, at: number) => void,
  together: () => void,
): void => {
  const known = new Map<Expr, readonly Access[]>();
  const env: Env = new Map([
    ...kernel.uniforms.map((u): [string, number] => [u, uniformOf(u, sizes)]),
    [GROUP, group],
  ]);
  // A load is made once for the variables that its address hangs on: what is the same is in a register.
  const last = Array.from({ length: kernel.lanes }, () => new Map<Access, number>());
  const touch = (e: Expr, lane: number): void =>
    accessesOf(e, known).forEach((access) => {
      const at = integer(access.index, env);
      if (Number.isNaN(at) || last[lane].get(access) === at) return;
      last[lane].set(access, at);
      note(lane, access, at);
    });
  const walk = (block: Block, lane: number): void => block.forEach((s) => step(s, lane));
  const step = (s: Stmt, lane: number): void => {
    if (s.tag === "par") {
      const count = integer(s.count, env);
      for (let l = 0; l < kernel.lanes; l++) {
        for (let i = l; i < count; i += kernel.lanes) {
          env.set(s.name, i);
          walk(s.body, l);
        }
      }
      together();
      last.forEach((held) => held.clear());
    } else if (s.tag === "for") {
      const to = integer(s.to, env);
      for (let i = integer(s.from, env); i < to; i += s.step) {
        env.set(s.name, i);
        walk(s.body, lane);
      }
    } else if (s.tag === "if") {
      const taken = integer(s.condition, env);
      if (Number.isNaN(taken) || taken) walk(s.body, lane);
    } else {
      operandsOf(s).forEach((e) => touch(e, lane));
      if (s.tag !== "store" && s.tag !== "assign" || s.tag === "assign" && s.value.type === "i32") {
        env.set(s.name, integer(s.value, env));
      }
    }
  };
  walk(kernel.body, 0);
  together();
};

/** What each array that a kernel reads costs one of its groups. */
export const trafficOf = (
  kernel: Kernel,
  sizes: Sizes,
  group = 0,
): ReadonlyMap<string, Traffic> => {
  const tallies = new Map<string, Tally>();
  const tallyOf = (name: string): Tally => {
    const old = tallies.get(name);
    if (old !== undefined) return old;
    const made = {
      words: new Set<number>(),
      sectors: new Set<number>(),
      asked: 0,
      loads: 0,
      lanes: 0,
    };
    tallies.set(name, made);
    return made;
  };
  let noted = new Map<Access, number[][]>();
  groupTraffic(
    kernel,
    group,
    sizes,
    (lane, access, at) => {
      const lists = noted.get(access) ?? Array.from({ length: kernel.lanes }, () => []);
      lists[lane].push(at);
      noted.set(access, lists);
    },
    () => {
      for (const [access, lists] of noted) {
        const tally = tallyOf(access.arr.name);
        for (let band = 0; band < lists.length; band += BAND) {
          const own = lists.slice(band, band + BAND);
          const rounds = Math.max(...own.map((l) => l.length));
          for (let k = 0; k < rounds; k++) {
            const lanes = own.filter((l) => k < l.length);
            const words = new Set(lanes.flatMap((l) => access.words(l[k])));
            const sectors = new Set([...words].map((w) => Math.floor(4 * w / SECTOR)));
            words.forEach((w) => tally.words.add(w));
            sectors.forEach((s) => tally.sectors.add(s));
            tally.asked += SECTOR * sectors.size;
            tally.loads++;
            tally.lanes += lanes.length;
          }
        }
      }
      noted = new Map();
    },
  );
  return new Map(
    [...tallies].map(([name, { words, sectors, asked, loads, lanes }]) => [name, {
      useful: 4 * words.size,
      fetched: SECTOR * sectors.size,
      asked,
      loads,
      busy: lanes / (loads * BAND),
    }]),
  );
};
