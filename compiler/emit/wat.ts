/**
 * Instructions as WebAssembly text, for people: what `explain()` shows. The engine takes their bytes
 * (`binary.ts`), which are those that an assembler makes of this text (`props/assembler_test.ts`).
 * @module
 */
import type { Kernel } from "../ir/stmt.ts";
import { type Func, type Instr, MEMORY, type Module } from "./instr.ts";
import { moduleOf } from "./wasm.ts";

const number = (value: number): string =>
  Number.isFinite(value) ? (Object.is(value, -0) ? "-0" : `${value}`) : value < 0 ? "-inf" : "inf";

const immediates = ({ op, imm }: Instr): string =>
  imm.map((value) => {
    if (typeof value === "string") return ` $${value}`;
    if (!/\.(load|store)/.test(op)) return ` ${number(value)}`;
    return value === 0 ? "" : ` offset=${value}`;
  }).join("");

const expression = (e: Instr): string =>
  `(${e.op}${immediates(e)}${e.args.map((a) => ` ${expression(a)}`).join("")})`;

const indent = (lines: readonly string[]): string[] => lines.map((l) => `  ${l}`);

const functionText = (func: Func): string => {
  let labels = 0;
  const statement = (s: Instr): string[] => {
    if (s.body === undefined) return [expression(s)];
    const body = indent(s.body.flatMap(statement));
    const args = s.args.map(expression);
    if (s.op === "if") return [`(if ${args[0]} (then`, ...body, "))"];
    const [name, step] = s.imm;
    const n = labels++;
    return [
      `(local.set $${name} ${args[0]})`,
      `(block $b${n} (loop $l${n}`,
      `  (br_if $b${n} (i32.ge_s (local.get $${name}) ${args[1]}))`,
      ...body,
      `  (local.set $${name} (i32.add (local.get $${name}) (i32.const ${step})))`,
      `  (br $l${n})))`,
    ];
  };
  return [
    `(func ${func.exported ? `(export "${func.name}")` : `$${func.name}`}`,
    ...[...func.params].map(([n, t]) => `  (param $${n} ${t})`),
    ...func.result === undefined ? [] : [`  (result ${func.result})`],
    ...[...func.locals].map(([n, t]) => `  (local $${n} ${t})`),
    ...indent(func.body.flatMap(statement)),
    ")",
  ].join("\n");
};

/** A module as text. */
export const textOf = ({ shared, funcs }: Module): string => {
  const { from, name, least, most } = MEMORY;
  return [
    "(module",
    `(import "${from}" "${name}" (memory ${least} ${most}${shared ? " shared" : ""}))`,
    ...funcs.map(functionText),
    ")",
    "",
  ].join("\n");
};

/** The text of the module of a program's kernels. */
export const emitWat = (kernels: readonly Kernel[], shared = false): string =>
  textOf(moduleOf(kernels, shared));
