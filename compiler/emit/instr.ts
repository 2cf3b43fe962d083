/**
 * Instructions of WebAssembly as a tree: operands inside what takes them. The text for people
 * (`wat.ts`) and the bytes for the engine (`binary.ts`) are two readings of it.
 *
 * ```text
 * op("f32.add", get("a"), f32(1))   →   (f32.add (local.get $a) (f32.const 1))   →   20 00 43 00 00 80 3f 92
 * ```
 * @module
 */

/** Types of locals and results. */
export type WasmType = "i32" | "f32" | "v128";

/** An instruction, a loop over `imm[0]` in steps of `imm[1]` from and up to its operands, or an `if`. */
export interface Instr {
  /** Its name in the text format, or `for`. */
  readonly op: string;
  /** What stands in the instruction itself: lanes, an offset, the name of a local, a number. */
  readonly imm: readonly (number | string)[];
  readonly args: readonly Instr[];
  /** What a loop or an `if` runs. */
  readonly body?: readonly Instr[];
}

/** A function; locals and parameters by name, in order. */
export interface Func {
  readonly name: string;
  /** Is it seen from outside? */
  readonly exported: boolean;
  readonly params: ReadonlyMap<string, WasmType>;
  readonly result?: WasmType;
  readonly locals: ReadonlyMap<string, WasmType>;
  readonly body: readonly Instr[];
}

/** Functions over one memory. */
export interface Module {
  /** Do threads share the memory? */
  readonly shared: boolean;
  readonly funcs: readonly Func[];
}

/** Where the memory comes from, and its pages. */
export const MEMORY = { from: "kvfold", name: "memory", least: 1, most: 65536 } as const;

const NONE: readonly never[] = [];

/** An instruction of operands alone. */
export const op = (name: string, ...args: readonly Instr[]): Instr => ({
  op: name,
  imm: NONE,
  args,
});

/** One that holds something itself. */
export const opOf = (
  name: string,
  imm: readonly (number | string)[],
  ...args: readonly Instr[]
): Instr => ({ op: name, imm, args });

/** A number. */
export const i32 = (value: number): Instr => opOf("i32.const", [value | 0]);

/** A number. */
export const f32 = (value: number): Instr => opOf("f32.const", [value]);

/** A local's value. */
export const get = (name: string): Instr => opOf("local.get", [name]);

/** Gives a local a value. */
export const set = (name: string, value: Instr): Instr => opOf("local.set", [name], value);

/** Gives a local a value, and is that value. */
export const tee = (name: string, value: Instr): Instr => opOf("local.tee", [name], value);
