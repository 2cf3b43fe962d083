/**
 * Writes statements of the loop language.
 * @module
 */
import { type Arr, type Expr, variable } from "../ir/expr.ts";
import type { Stmt } from "../ir/stmt.ts";

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b);

/** Stems that a number would make a name of its own: types of WGSL, and values named by `emit/place.ts`. */
const TAKEN: readonly string[] = ["i", "u", "f", "vec", "v"];

/** Collects the statements of a kernel, block by block. */
export class Writer {
  /** Statements so far of the block being written. */
  block: Stmt[] = [];
  /** Only indices matter: a reduction is looked at once, at a symbolic element. */
  symbolic = false;
  private counter = 0;

  /** A new name. */
  name(stem: string): string {
    return `${stem}${TAKEN.includes(stem) ? "_" : ""}${this.counter++}`;
  }

  /** Writes statements into a block of their own. */
  inBlock(write: () => void): Stmt[] {
    const outer = this.block;
    this.block = [];
    write();
    const made = this.block;
    this.block = outer;
    return made;
  }

  /** A loop over [from, to). */
  loop(stem: string, from: Expr, to: Expr, step: number, body: (i: Expr) => void): void {
    const name = this.name(stem);
    const i = variable(name, "i32", {
      lo: from.lo,
      hi: to.hi - 1,
      factor: gcd(from.factor, step),
    });
    this.block.push({ tag: "for", name, from, to, step, body: this.inBlock(() => body(i)) });
  }

  /** Iterations spread over the lanes of a group. */
  par(stem: string, count: Expr, body: (i: Expr) => void): void {
    const name = this.name(stem);
    const i = variable(name, "i32", { lo: 0, hi: count.hi - 1 });
    this.block.push({ tag: "par", name, count, body: this.inBlock(() => body(i)) });
  }

  /** A variable that statements may change. */
  mutable(stem: string, value: Expr): { get: () => Expr; set: (e: Expr) => void } {
    const name = this.name(stem);
    this.block.push({ tag: "var", name, type: value.type, value });
    return {
      get: () => variable(name, value.type, { mutable: true }),
      set: (e) => this.block.push({ tag: "assign", name, value: e }),
    };
  }

  /** A value with a name, computed here (or so far in a block around) and not changed after. */
  named(stem: string, value: Expr, block: Stmt[] = this.block): Expr {
    const name = this.name(stem);
    block.push({ tag: "var", name, type: value.type, value });
    return variable(name, value.type, { lo: value.lo, hi: value.hi, factor: value.factor });
  }

  /** Writes one element (or four) of an array. */
  store(arr: Arr, index: Expr, value: Expr): void {
    this.block.push({ tag: "store", arr, index, value });
  }

  /** Statements under a condition. */
  when(condition: Expr, body: () => void): void {
    this.block.push({ tag: "if", condition, body: this.inBlock(body) });
  }
}
