/**
 * Statements of the loop language and kernels made of them. A kernel runs its body once a group;
 * `par` spreads iterations over the lanes of the group and ends in a barrier. On a CPU a group has
 * one lane, so `par` is a loop and the barrier is nothing.
 * @module
 */
import type { Arr, Expr, Ty } from "./expr.ts";

/** A statement. */
export type Stmt =
  | { readonly tag: "var"; readonly name: string; readonly type: Ty; readonly value: Expr }
  | { readonly tag: "assign"; readonly name: string; readonly value: Expr }
  | {
    readonly tag: "for";
    readonly name: string;
    readonly from: Expr;
    readonly to: Expr;
    readonly step: number;
    readonly body: Block;
  }
  | { readonly tag: "par"; readonly name: string; readonly count: Expr; readonly body: Block }
  | { readonly tag: "if"; readonly condition: Expr; readonly body: Block }
  | { readonly tag: "store"; readonly arr: Arr; readonly index: Expr; readonly value: Expr };

/** Statements in order. */
export type Block = readonly Stmt[];

/** A size computed when a program runs, from the sizes of its dims. */
export type Size = (sizes: Readonly<Record<string, number>>) => number;

/** A kernel: arrays, uniforms, and what one group does. */
export interface Kernel {
  /** Name of the kernel. */
  readonly name: string;
  /** Which skeleton made it, for people. */
  readonly skeleton: string;
  /** Storage, in binding order. */
  readonly arrays: readonly Arr[];
  /** Memory of one group. */
  readonly shared: readonly Arr[];
  /** Names of the sizes it reads. */
  readonly uniforms: readonly string[];
  /** Lanes of a group on a GPU. */
  readonly lanes: number;
  /** Groups to run. */
  readonly groups: Size;
  /** What one group does. */
  readonly body: Block;
}

/** The name of a size in a text: no word of the text's language, whatever it is; marks are written out. */
export const sizeName = (dim: string): string =>
  "u_" + dim.replace(/[^a-zA-Z0-9]/g, (mark) => `_${mark.charCodeAt(0).toString(16)}_`);

/** Name of the variable that holds the group's number. */
export const GROUP = "group";
