/**
 * Instructions as the bytes of a module: what an engine takes. Operands come first, then the instruction;
 * loops and conditions are blocks, and a branch says how many blocks it leaves.
 * @module
 */
import {
  type Func,
  get,
  i32,
  type Instr,
  MEMORY,
  type Module,
  op,
  set,
  type WasmType,
} from "./instr.ts";
import { CODES, type Holds } from "./opcodes.ts";

/** The first bytes of a module: its name and version. */
const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const SECTIONS = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;
const TYPE: Readonly<Record<WasmType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const FUNCTION_TYPE = 0x60;
const [A_FUNCTION, A_MEMORY] = [0, 2];
const NO_RESULT = 0x40;
const [BLOCK, LOOP, IF, END, BR, BR_IF] = [0x02, 0x03, 0x04, 0x0b, 0x0c, 0x0d];

/** Adds a number from 0 on, seven bits a byte. */
const pushCount = (to: number[], value: number): void => {
  let rest = value;
  for (; rest > 127; rest >>>= 7) to.push(rest & 127 | 128);
  to.push(rest);
};

/** Adds a signed number, seven bits a byte. */
const pushSigned = (to: number[], value: number): void => {
  let rest = value;
  for (; rest < -64 || rest > 63; rest >>= 7) to.push(rest & 127 | 128);
  to.push(rest & 127);
};

const count = (value: number): number[] => {
  const out: number[] = [];
  pushCount(out, value);
  return out;
};

/** Bytes in parts, one after the other. */
type Parts = readonly (readonly number[])[];

/** Parts after their length. */
const sized = (parts: Parts): Parts => [count(parts.reduce((n, p) => n + p.length, 0)), ...parts];

/** Lists after their number. */
const listed = (lists: readonly Parts[]): Parts => [count(lists.length), ...lists.flat()];

const text = (value: string): Parts => sized([[...new TextEncoder().encode(value)]]);

const single = new DataView(new ArrayBuffer(4));

/** The body of a function; `called` are the numbers of functions by name. */
const bodyOf = (func: Func, called: ReadonlyMap<string, number>): number[] => {
  const out: number[] = [];
  const locals = new Map(
    [...func.params.keys(), ...func.locals.keys()].map((name, i) => [name, i]),
  );
  const numberOf = (name: string | number, among: ReadonlyMap<string | number, number>): number => {
    const found = among.get(name);
    if (found === undefined) throw new Error(`${func.name} names ${name}, which is not there`);
    return found;
  };
  const held = ({ op, imm }: Instr, holds: Exclude<Holds, "nothing">): void => {
    switch (holds) {
      case "local":
        return pushCount(out, numberOf(imm[0], locals));
      case "function":
        return pushCount(out, numberOf(imm[0], called));
      case "lanes":
        out.push(...imm as readonly number[]);
        return;
      case "i32":
        return pushSigned(out, Number(imm[0]));
      case "f32":
        single.setFloat32(0, Number(imm[0]), true);
        for (let k = 0; k < 4; k++) out.push(single.getUint8(k));
        return;
      default:
        if (!(Number(imm[0]) >= 0)) throw new Error(`${op} at ${imm[0]} of ${func.name}`);
        out.push(holds);
        pushCount(out, Number(imm[0]));
    }
  };
  const write = (e: Instr): void => {
    if (e.body !== undefined) return e.op === "if" ? condition(e) : loop(e);
    for (const a of e.args) write(a);
    const known = CODES.get(e.op);
    if (known === undefined) throw new Error(`there is no instruction ${e.op}`);
    const { bytes, holds } = known;
    if (bytes.length === 1) out.push(bytes[0]);
    else out.push(...bytes);
    if (holds !== "nothing") held(e, holds);
  };
  const condition = ({ args: [asked], body }: Instr): void => {
    write(asked);
    out.push(IF, NO_RESULT);
    body!.forEach(write);
    out.push(END);
  };
  const loop = ({ imm: [name, step], args: [from, end], body }: Instr): void => {
    const now = get(`${name}`);
    write(set(`${name}`, from));
    out.push(BLOCK, NO_RESULT, LOOP, NO_RESULT);
    write(op("i32.ge_s", now, end));
    out.push(BR_IF, 1);
    body!.forEach(write);
    write(set(`${name}`, op("i32.add", now, i32(Number(step)))));
    out.push(BR, 0, END, END);
  };
  const runs: { type: WasmType; n: number }[] = [];
  for (const type of func.locals.values()) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.n++;
    else runs.push({ type, n: 1 });
  }
  pushCount(out, runs.length);
  for (const { type, n } of runs) {
    pushCount(out, n);
    out.push(TYPE[type]);
  }
  func.body.forEach(write);
  out.push(END);
  return out;
};

/** The type of a function. */
const typeOf = ({ params, result }: Func): number[] => {
  const given = [...params.values()].map((t) => TYPE[t]);
  const made = result === undefined ? [] : [TYPE[result]];
  return [FUNCTION_TYPE, ...count(given.length), ...given, made.length, ...made];
};

/** The bytes of a module. */
export const bytesOf = ({ shared, funcs }: Module): Uint8Array<ArrayBuffer> => {
  const types = new Map(funcs.map(typeOf).map((bytes) => [bytes.join(), bytes]));
  const own = [...types.keys()];
  const called = new Map(funcs.map((f, i) => [f.name, i]));
  const memory = [A_MEMORY, shared ? 3 : 1, ...count(MEMORY.least), ...count(MEMORY.most)];
  const sections: readonly (readonly [number, readonly Parts[]])[] = [
    [SECTIONS.types, [...types.values()].map((bytes) => [bytes])],
    [SECTIONS.imports, [[...text(MEMORY.from), ...text(MEMORY.name), memory]]],
    [SECTIONS.functions, funcs.map((f) => [count(own.indexOf(typeOf(f).join()))])],
    [
      SECTIONS.exports,
      funcs.filter((f) => f.exported)
        .map((f) => [...text(f.name), [A_FUNCTION], count(called.get(f.name)!)]),
    ],
    [SECTIONS.code, funcs.map((f) => sized([bodyOf(f, called)]))],
  ];
  const parts = [MAGIC, ...sections.flatMap(([id, lists]) => [[id], ...sized(listed(lists))])];
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (bytes.set(p, at), at + p.length), 0);
  return bytes;
};
