/**
 * What a skeleton is and what it works with: a plan (which terms one kernel makes) becomes steps
 * (kernels with their memory). `kernels/` holds the skeletons; `mod.ts` hands them in.
 * @module
 */
import { sizeOf, type Sizes } from "../dsl/core/dims.ts";
import { codesIn } from "../dsl/core/dtype.ts";
import type { Dim, Shape, Term } from "../dsl/core/term.ts";
import { type Arr, bin, type Expr, freshExprs, int, uniform } from "./ir/expr.ts";
import type { Kernel, Size } from "./ir/stmt.ts";
import { Lower } from "./lower/at.ts";
import { elemOf, sourceOf } from "./lower/memory.ts";
import type { Decoded } from "./decoded.ts";
import type { HeldAxes } from "./lower/row.ts";
import { uniformEnds } from "./lower/uniform.ts";
import { writeOut } from "./lower/write_out.ts";

/** Loop structures that exist. */
export type SkeletonName = "map" | "reduce" | "contract" | "stream" | "encode" | "routine";

/** Memory between kernels: a term, or scratch that one step leaves for the next. */
export type Slot =
  | { readonly tag: "term"; readonly term: Term }
  | { readonly tag: "scratch"; readonly name: string; readonly words: Size };

/** A kernel and the memory behind each of its arrays. */
export interface Step {
  /** The loop. */
  readonly kernel: Kernel;
  /** Memory behind each array of the kernel. */
  readonly slots: readonly Slot[];
}

/** Queries of a streaming fold that share what is decoded for them, a few tokens at a time. */
export interface Block {
  /** The label they run along (`lower/roles.ts`). */
  readonly label: string;
  /** How many; a multiple of 4. */
  readonly queries: number;
  /** Tokens decoded at a time; a multiple of 4 that divides the tokens of a part. */
  readonly tokens: number;
}

/** Terms that one skeleton makes in one go. */
export interface Plan {
  readonly skeleton: SkeletonName;
  /** Terms whose values are stored. */
  readonly roots: readonly Term[];
  /** Heavy terms held in the group's memory while it runs, operands first. */
  readonly staged: readonly Term[];
  /** Roots as `encode` makes them row by row, the axis of the rows first (`rowsFirst`); the roots unless given. */
  readonly made?: readonly Term[];
  /** Leading axes of all that is made which are one row (for `encode`). */
  readonly rowAxes: number;
  /** Rows of one group (for `encode`), tokens of one group (for `stream`). */
  readonly tile: number;
  /** Which axes of each staged term are held in group memory. */
  readonly axes: ReadonlyMap<Term, HeldAxes>;
  /** Products that a streaming fold makes once a token. */
  readonly moving: ReadonlyMap<Term, HeldAxes & { readonly token: number }>;
  /** What scores take of a run of tokens, the same for all of it (`lower/pace.ts`): made once a run. */
  readonly paced?: ReadonlyMap<Term, HeldAxes & { readonly token: number }>;
  /** Products of a token alone that those read, made a few tokens at a time. */
  readonly decoded?: readonly Decoded[];
  /** Where a streaming fold takes a block of queries at a time. */
  readonly block?: Block;
  /** Where tokens come in pieces, the plan of each: folds over its own tokens, the same staged terms. */
  readonly pieces?: readonly Plan[];
}

/** What a target offers to skeletons. */
export interface Target {
  /**
   * Vectors of small integers: products of 16 bits (four lanes of 32-bit sums) and of 8 bits (eight lanes
   * of 16-bit sums), look-ups of bytes.
   */
  readonly dot16: boolean;
  /** An instruction or function for e^x. */
  readonly exp: boolean;
  /** Floats of group memory. */
  readonly groupFloats: number;
  /** Bytes of values that stay close while a group walks them again; 0 if that does not matter. */
  readonly cacheBytes: number;
  /** A group has one lane: what lanes of a GPU would share out is done four numbers at a time, with nested loops. */
  readonly serial: boolean;
  /** Chunks of a streaming fold that one group walks: few where groups run side by side. */
  readonly partsPerGroup: number;
  /** Numbers of a schedule that are others here by default. */
  readonly schedule?: Partial<Schedule>;
}

/** Bits of fixed-point queries and weights. */
export type FixedBits = 16 | 8;

/** Numbers a schedule may change; every choice is correct. */
export interface Schedule {
  /** Largest number of tokens of one chunk of a streaming fold; a multiple of 8. */
  readonly chunk: number;
  /**
   * Multiply integers where the target can: queries and weights rounded to 16 bits of the largest, or,
   * beside codes of at most 4 bits, to 8. Errors of 8 bits are yours to choose, never a default.
   */
  readonly fixed: FixedBits | false;
  /** Lanes of a group on a GPU. */
  readonly lanes: number;
  /** Queries for which a streaming fold decodes a tile of tokens once; 1: each on its own. */
  readonly queries: number;
  /** Rows of one group of `encode`; even, so that halves fill words. */
  readonly rows: number;
  /** Largest number of parts of a streaming fold, up to eight chunks each; on a CPU an eighth of it. */
  readonly splits: number;
}

/** The default schedule, but for what a target has its own for. */
export const SCHEDULE: Schedule = {
  chunk: 256,
  fixed: 16,
  lanes: 64,
  queries: 32,
  rows: 8,
  splits: 128,
};

/** From a plan to its kernels. `materialized` says which terms are in memory. */
export type Skeleton = (plan: Plan, context: Context) => Step[];

/** What a skeleton may ask. */
export interface Context {
  readonly materialized: ReadonlySet<Term>;
  readonly schedule: Schedule;
  readonly target: Target;
  /** The plan that makes the parts of a streaming fold. */
  readonly streamOf: (fold: Term) => Plan;
  /** A name for the plan's kernels. */
  readonly name: string;
}

/** One function a skeleton. */
export type Skeletons = Readonly<Record<SkeletonName, Skeleton>>;

/** The name of the number of entries that an axis of an input has room for. */
export const roomOf = (input: string, axis: number, dim: string): string =>
  `room ${axis} of ${input} for ${dim}`;

/** The number behind a name that a kernel reads; a tensor without more room has room for what it holds. */
export const uniformOf = (name: string, sizes: Sizes): number =>
  sizeOf(/^room \d+ of .* for (.+)$/.exec(name)?.[1] ?? name, sizes);

/** Inputs and stored terms at or below `terms`: what a kernel reads from memory. */
export const leavesOf = (
  terms: readonly Term[],
  materialized: Pick<ReadonlySet<Term>, "has">,
): Term[] => {
  const out: Term[] = [];
  const seen = new Set<Term>();
  const visit = (t: Term): void => {
    if (seen.has(t)) return;
    seen.add(t);
    if (t.tag === "input" || materialized.has(t)) out.push(t);
    else if ("args" in t) t.args.forEach(visit);
  };
  terms.forEach(visit);
  return out;
};

/** Terms below the roots that this kernel computes itself. */
export const computedBy = (roots: readonly Term[], materialized: ReadonlySet<Term>): Term[] => {
  const leaves = new Set(leavesOf(roots, materialized));
  const out: Term[] = [];
  const seen = new Set<Term>();
  const visit = (t: Term): void => {
    if (seen.has(t) || leaves.has(t)) return;
    seen.add(t);
    if ("args" in t) t.args.forEach(visit);
    out.push(t);
  };
  roots.forEach(visit);
  return out;
};

/** Collects arrays, uniforms and statements of one kernel. */
export class Builder {
  readonly low: Lower;
  private readonly arrays: Arr[] = [];
  private readonly slots: Slot[] = [];
  private readonly shared: Arr[] = [];
  /** What earlier bodies of {@link inTurn} made and this one has not taken. */
  private spare: Arr[] = [];
  private readonly uniforms = new Set<string>();

  /** May loops over tokens be joined? */
  readonly serial: boolean;

  constructor(private readonly context: Context) {
    this.serial = context.target.serial;
    freshExprs();
    this.low = new Lower((d) => this.size(d));
  }

  /** A dim as an expression. */
  size(dim: Dim): Expr {
    if (typeof dim === "number") return int(dim);
    this.uniforms.add(dim);
    return uniform(dim);
  }

  /** Number of elements of a shape. */
  count(shape: Shape): Expr {
    return shape.reduce<Expr>((n, d) => bin("mul", n, this.size(d)), int(1));
  }

  /** Is the term read from memory as it is? */
  isLeaf(term: Term): boolean {
    return term.tag === "input" || this.context.materialized.has(term);
  }

  // `in`, `out` and `mid` are no variable's stem: both are followed by a number of their own.
  private array(stem: string, elem: Arr["elem"], mutable: boolean, slot: Slot): Arr {
    const arr: Arr = {
      name: `${stem}${this.arrays.length}`,
      elem,
      space: "storage",
      mutable,
      length: 0,
    };
    this.arrays.push(arr);
    this.slots.push(slot);
    return arr;
  }

  /** Makes every leaf below the roots readable. */
  read(roots: readonly Term[]): void {
    for (const leaf of leavesOf(roots, this.context.materialized)) {
      if (this.low.sources.has(leaf)) continue;
      const arr = this.array("in", elemOf(leaf.dtype), false, { tag: "term", term: leaf });
      // Where there may be room for more, that is what lies between one index and the next.
      const dims = leaf.shape.map((d, axis) =>
        leaf.tag === "input" && leaf.room && axis > 0 && typeof d === "string"
          ? this.size(roomOf(leaf.name, axis, d))
          : this.size(d)
      );
      const loose = (): boolean => this.low.loose;
      const source = sourceOf(arr, leaf.dtype, dims, loose, this.context.target.dot16);
      this.low.sources.set(leaf, source);
    }
  }

  /** The array a root is stored in. */
  write(root: Term): Arr {
    return this.array("out", elemOf(root.dtype), true, { tag: "term", term: root });
  }

  /** Memory shared with another kernel. */
  scratch(name: string, words: Size, mutable: boolean): Arr {
    const known = this.slots.findIndex((s) => s.tag === "scratch" && s.name === name);
    return known >= 0
      ? this.arrays[known]
      : this.array("mid", "f32", mutable, { tag: "scratch", name, words });
  }

  /**
   * Bodies that run one after the other, each with group memory of its own: what one leaves the next
   * may take, for the same purpose.
   */
  inTurn(bodies: readonly (() => void)[]): void {
    const before = this.shared.length;
    bodies.forEach((body) => {
      this.spare = this.shared.slice(before);
      body();
    });
    this.spare = [];
  }

  private again(stem: string, length: number, elem: Arr["elem"]): Arr | undefined {
    const [old] = this.spare
      .filter((a) => a.elem === elem && a.name.startsWith(`${stem}_s`))
      .sort((a, b) => Math.abs(a.length - length) - Math.abs(b.length - length));
    if (old === undefined) return undefined;
    this.spare = this.spare.filter((a) => a !== old);
    if (old.length < length) {
      this.shared[this.shared.indexOf(old)] = { ...old, length };
    }
    return { ...old, length };
  }

  /** Memory of one group. */
  local(stem: string, length: number, elem: Arr["elem"] = "f32"): Arr {
    const old = this.again(stem, length, elem);
    if (old !== undefined) return old;
    const arr: Arr = {
      name: `${stem}_s${this.shared.length}`,
      elem,
      space: "shared",
      mutable: true,
      length,
    };
    this.shared.push(arr);
    return arr;
  }

  /** The finished step. */
  finish(name: string, skeleton: SkeletonName, groups: Size): Step {
    const body = writeOut(this.low.block, this.context.target);
    return {
      kernel: {
        name,
        skeleton,
        arrays: this.arrays,
        shared: this.shared,
        uniforms: [...this.uniforms],
        lanes: this.context.schedule.lanes,
        groups,
        body: this.context.target.serial ? body : uniformEnds(body),
      },
      slots: this.slots,
    };
  }
}

/** Position → index, row-major. */
export const unravel = (at: Expr, dims: readonly Expr[]): Expr[] => {
  const out: Expr[] = [];
  let rest = at;
  for (let i = dims.length - 1; i > 0; i--) {
    out.unshift(bin("rem", rest, dims[i]));
    rest = bin("div", rest, dims[i]);
  }
  if (dims.length > 0) out.unshift(rest);
  return out;
};

/** Is the stored row of a root cut into whole units of this many elements? */
export const unitOf = (root: Term): number => {
  const last = root.shape[root.shape.length - 1];
  if (codesIn(root.dtype) !== undefined) return 0;
  const four = typeof last === "number" && last % 4 === 0;
  return four ? 4 : root.dtype === "f16" ? 2 : 1;
};
