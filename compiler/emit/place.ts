/**
 * Decides where each expression is computed: once, in the outermost block where its variables live.
 * One traversal serves every target; a target says how an expression and a statement read.
 *
 * Before: `for t { for d { acc += load(q, d) * load(k, t * 64 + d) } }` with shared subterms;
 * after: addresses and loads that do not depend on `t` are named before the loop over `t`.
 * Reads of arrays this kernel writes stay where they are; nothing moves out of an `if`. What is nested
 * deeply is named on the way: parsers of a target's text recurse, and their stacks end.
 * @module
 */
import type { Expr } from "../ir/expr.ts";
import { type Block, GROUP, type Stmt } from "../ir/stmt.ts";

/**
 * Operators inside one another before a name comes between them. An operator's text nests up to seven deep,
 * loops two each; the parser of Tint ends at 512.
 */
const DEEPEST = 24;

/** How a target writes things, as text or as instructions. Operands come already written. */
export interface Printer<C> {
  /** An expression from its operands. */
  readonly expr: (e: Expr, args: readonly C[]) => C;
  /** A named value. */
  readonly bind: (name: string, e: Expr, code: C) => C;
  /** The value behind a name. */
  readonly ref: (name: string) => C;
  /** A statement without its body. */
  readonly simple: (s: Stmt, args: readonly C[]) => C;
  /** A statement around a body. */
  readonly nested: (s: Stmt, args: readonly C[], body: readonly C[]) => readonly C[];
}

interface Frame<C> {
  readonly lines: C[];
  readonly bound: Map<Expr, string>;
  readonly guard: boolean;
}

const operandsOf = (s: Stmt): readonly Expr[] => {
  switch (s.tag) {
    case "var":
    case "assign":
      return [s.value];
    case "for":
      return [s.from, s.to];
    case "par":
      return [s.count];
    case "if":
      return [s.condition];
    case "store":
      return [s.index, s.value];
  }
};

const bodyOf = (s: Stmt): Block => "body" in s ? s.body : [];

const countUses = (block: Block, uses: Map<Expr, number>): void => {
  const visit = (e: Expr): void => {
    const n = uses.get(e) ?? 0;
    uses.set(e, n + 1);
    if (n === 0) e.args.forEach(visit);
  };
  for (const s of block) {
    operandsOf(s).forEach(visit);
    countUses(bodyOf(s), uses);
  }
};

const trivial = (e: Expr): boolean => e.op === "const" || e.op === "var" || e.op === "uniform";

/** Writes a kernel's body. */
export const place = <C>(body: Block, printer: Printer<C>): C[] => {
  const uses = new Map<Expr, number>();
  countUses(body, uses);
  const depth = new Map<string, number>([[GROUP, 0]]);
  const frames: Frame<C>[] = [{ lines: [], bound: new Map(), guard: false }];
  const levels = new Map<Expr, number>();
  let fresh = 0;
  // Of what was written last: how many operators are inside one another there.
  let height = 0;
  // Volatile values hold for the statement being written only.
  let local = new Map<Expr, string>();

  const level = (e: Expr): number => {
    const known = levels.get(e);
    if (known !== undefined) return known;
    const made = e.op === "var"
      ? depth.get(e.name) ?? 0
      : e.args.reduce((top, a) => Math.max(top, level(a)), 0);
    levels.set(e, made);
    return made;
  };
  const find = (e: Expr): string | undefined => {
    for (let i = frames.length - 1; i >= 0; i--) {
      const name = frames[i].bound.get(e);
      if (name !== undefined) return name;
    }
    return local.get(e);
  };
  const write = (e: Expr): C => {
    const args: C[] = [];
    let top = 0;
    for (const a of e.args) {
      args.push(use(a));
      if (height > top) top = height;
    }
    height = top + 1;
    return printer.expr(e, args);
  };
  const use = (e: Expr): C => {
    if (trivial(e)) return write(e);
    const known = find(e);
    if (known !== undefined) return named(known);
    const here = frames.length - 1;
    let target = here;
    if (!e.volatile) {
      const wanted = level(e);
      while (target > wanted && !frames[target].guard) target--;
    }
    const bind = (name: string, code: C): C => {
      frames[target].lines.push(printer.bind(name, e, code));
      (e.volatile ? local : frames[target].bound).set(e, name);
      return named(name);
    };
    if (target !== here) return bind(`v${fresh++}`, writeAt(target, e));
    if ((uses.get(e) ?? 0) > 1) return bind(`v${fresh++}`, write(e));
    const written = write(e);
    return height < DEEPEST ? written : bind(`v${fresh++}`, written);
  };
  const named = (name: string): C => {
    height = 0;
    return printer.ref(name);
  };
  // Operands of a hoisted expression are named in the block it moves to.
  const writeAt = (target: number, e: Expr): C => {
    const inner = frames.splice(target + 1);
    const saved = local;
    local = new Map();
    const written = write(e);
    local = saved;
    frames.push(...inner);
    return written;
  };
  const statement = (s: Stmt): void => {
    local = new Map();
    const args = operandsOf(s).map(use);
    if (!("body" in s)) {
      if (s.tag === "var") depth.set(s.name, frames.length - 1);
      frames[frames.length - 1].lines.push(printer.simple(s, args));
      return;
    }
    if (s.tag !== "if") depth.set(s.name, frames.length);
    frames.push({ lines: [], bound: new Map(), guard: s.tag === "if" });
    s.body.forEach(statement);
    const { lines } = frames.pop()!;
    frames[frames.length - 1].lines.push(...printer.nested(s, args, lines));
  };
  body.forEach(statement);
  return frames[0].lines;
};
