/**
 * The text of a term, for people, snapshots and error messages. A term is a graph with sharing, so a
 * nested expression could be exponentially long; here every node is one line and is named by a number
 * that depends on the term alone (never on the intern table), so that texts of two runs agree.
 * @module
 */
import { printNotation } from "../core/notation.ts";
import type { Op } from "../core/ops.ts";
import { shapeText } from "../core/errors.ts";
import { argsOf, read, type Reading, type Term, topological } from "../core/term.ts";

const number = (x: number): string => Object.is(x, -0) ? "-0" : String(x);

/** What a node does, without its operands: one entry a node kind. */
const HEAD: Reading<[], string> = {
  input: (t) => `input ${t.name}`,
  constant: (t) => `constant ${number(t.value)}`,
  table: (t) => `table ${t.values.map(number).join(" ")}`,
  iota: (t) => `iota ${t.axis}${t.start === 0 ? "" : ` from ${t.start}`}`,
  map: (t) => t.op,
  cast: () => "cast",
  reshape: () => "reshape",
  permute: (t) => `permute ${t.axes.join(" ")}`,
  broadcast: (t) => `broadcast ${t.axes.join(" ")}`.trimEnd(),
  slice: (t) => `slice ${t.axis} from ${t.start}`,
  concat: (t) => `concat ${t.axis}`,
  gather: (t) => t.batch === undefined ? "gather" : `gather in ${t.batch}`,
  contract: (t) => `contract "${printNotation(t.labels)}"`,
  fold: (t) => {
    const project = t.project === t.monoid ? "" : ` ${t.project}`;
    const weights = t.weights === undefined ? "" : `, weights in ${t.weights} bits`;
    return `fold ${t.monoid}${project}${weights} "${printNotation(t.labels)}"`;
  },
  routine: (t) => `${t.routine} ${t.project}`,
};

const typeOf = (term: Term): string => `${term.dtype} ${shapeText(term.shape)}`;

/**
 * Lines of several terms that share nodes, operands first; `=> %3 %5` at the end names the roots
 * when there is more than one.
 */
export const printAll = (terms: readonly Term[]): string => {
  const names = new Map<Term, string>();
  const lines: string[] = [];
  const order = topological(terms);
  // A constant is written where it stands only if its shape can be read off its neighbours.
  const bare = new Set(order.filter((t) => t.tag === "constant" && !terms.includes(t)));
  for (const term of order) {
    if (term.tag !== "map") argsOf(term).forEach((a) => bare.delete(a));
  }
  const allConstant = (t: Term): boolean => argsOf(t).every((a) => bare.has(a));
  for (const term of order) {
    if (term.tag === "map" && allConstant(term)) argsOf(term).forEach((a) => bare.delete(a));
  }
  let next = 1;
  for (const term of order) {
    if (term.tag === "input") {
      names.set(term, term.name);
      lines.push(`input ${term.name} : ${typeOf(term)}`);
    } else if (term.tag === "constant" && bare.has(term)) {
      names.set(term, number(term.value));
    } else {
      const name = `%${next++}`;
      const words = [read(HEAD, term), ...argsOf(term).map((a) => names.get(a)!)];
      names.set(term, name);
      lines.push(`${name} = ${words.join(" ")} : ${typeOf(term)}`);
    }
  }
  if (terms.length > 1) lines.push(`=> ${terms.map((t) => names.get(t)!).join(" ")}`);
  return lines.join("\n");
};

/**
 * The text of a term, one line a node.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { contract, input, print } from "kvfold";
 * const k = input("k", ["h", "t", 64], "f32");
 * const q = input("q", ["h", 64], "f32");
 * const text = print(contract("h t d, h d -> h t", k, q));
 * ok(text.endsWith('%1 = contract "a b c, a c -> a b" k q : f32 ["h","t"]'));
 * ```
 */
export const print = (term: Term): string => printAll([term]);

const INFIX: Partial<Record<Op, string>> = { add: "+", sub: "-", mul: "*", div: "/", less: "<" };

/** Deeper than this an inline text says nothing any more. */
const DEEP = 6;

const inline = (term: Term, depth: number, inside: boolean): string => {
  if (term.tag === "input") return term.name;
  if (term.tag === "constant") return number(term.value);
  if (depth === DEEP) return "…";
  const infix = term.tag === "map" ? INFIX[term.op] : undefined;
  const args = argsOf(term).map((a) => inline(a, depth + 1, infix !== undefined));
  if (infix !== undefined) {
    const text = args.join(` ${infix} `);
    return inside ? `(${text})` : text;
  }
  const head = term.tag === "cast" ? term.dtype : read(HEAD, term);
  return args.length === 0 ? head : `${head}(${args.join(", ")})`;
};

/** A small expression on one line: `exp(s - m) * 0.5`; what lies deeper than six nodes is `…`. */
export const printInline = (term: Term): string => inline(term, 0, false);
