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
const MAGIC = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const SECTIONS = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;
const TYPE: Readonly<Record<WasmType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const FUNCTION_TYPE = 0x60;
const [A_FUNCTION, A_MEMORY] = [0, 2];
const NO_RESULT = 0x40;
const [BLOCK, LOOP, IF, END, BR, BR_IF] = [0x02, 0x03, 0x04, 0x0b, 0x0c, 0x0d];

/** Bytes that grow. */
class Bytes {
  private held = new Uint8Array(1024);
  length = 0;

  byte(value: number): void {
    if (this.length === this.held.length) this.room(1);
    this.held[this.length++] = value;
  }

  private room(more: number): void {
    const wider = new Uint8Array(Math.max(2 * this.held.length, this.length + more));
    wider.set(this.held);
    this.held = wider;
  }

  /** A number from 0 on, seven bits a byte. */
  count(value: number): void {
    let rest = value;
    for (; rest > 127; rest >>>= 7) this.byte(rest & 127 | 128);
    this.byte(rest);
  }

  /** A signed number, seven bits a byte. */
  signed(value: number): void {
    let rest = value;
    for (; rest < -64 || rest > 63; rest >>= 7) this.byte(rest & 127 | 128);
    this.byte(rest & 127);
  }

  all(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.held.length) this.room(bytes.length);
    this.held.set(bytes, this.length);
    this.length += bytes.length;
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.count(bytes.length);
    this.all(bytes);
  }

  /** What `write` writes, after its length. */
  sized(write: (to: Bytes) => void): void {
    const inner = new Bytes();
    write(inner);
    this.count(inner.length);
    this.all(inner.done());
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.held.slice(0, this.length);
  }
}

const single = new DataView(new ArrayBuffer(4));

/** Writes the body of a function; `called` are the numbers of functions by name. */
const writeBody = (func: Func, called: ReadonlyMap<string, number>, to: Bytes): void => {
  const locals = new Map(
    [...func.params.keys(), ...func.locals.keys()].map((name, i) => [name, i]),
  );
  const numberOf = (name: string | number, among: ReadonlyMap<string | number, number>): number => {
    const found = among.get(name);
    if (found === undefined) throw new Error(`${func.name} names ${name}, which is not there`);
    return found;
  };
  const held = ({ op, imm }: Instr, holds: Holds): void => {
    switch (holds) {
      case "nothing":
        return;
      case "local":
        return to.count(numberOf(imm[0], locals));
      case "function":
        return to.count(numberOf(imm[0], called));
      case "lanes":
        return imm.forEach((lane) => to.byte(Number(lane)));
      case "i32":
        return to.signed(Number(imm[0]));
      case "f32":
        single.setFloat32(0, Number(imm[0]), true);
        for (let k = 0; k < 4; k++) to.byte(single.getUint8(k));
        return;
      default:
        if (!(Number(imm[0]) >= 0)) throw new Error(`${op} at ${imm[0]} of ${func.name}`);
        to.count(holds);
        to.count(Number(imm[0]));
    }
  };
  const write = (e: Instr): void => {
    if (e.body !== undefined) return e.op === "if" ? condition(e) : loop(e);
    for (const a of e.args) write(a);
    const known = CODES.get(e.op);
    if (known === undefined) throw new Error(`there is no instruction ${e.op}`);
    if (known.prefix === 0) to.byte(known.code);
    else {
      to.byte(known.prefix);
      to.count(known.code);
    }
    held(e, known.holds);
  };
  const block = (code: number): void => {
    to.byte(code);
    to.byte(NO_RESULT);
  };
  const branch = (code: number, blocks: number): void => {
    to.byte(code);
    to.count(blocks);
  };
  const condition = ({ args: [asked], body }: Instr): void => {
    write(asked);
    block(IF);
    body!.forEach(write);
    to.byte(END);
  };
  const loop = ({ imm: [name, step], args: [from, end], body }: Instr): void => {
    const now = get(`${name}`);
    write(set(`${name}`, from));
    block(BLOCK);
    block(LOOP);
    write(op("i32.ge_s", now, end));
    branch(BR_IF, 1);
    body!.forEach(write);
    write(set(`${name}`, op("i32.add", now, i32(Number(step)))));
    branch(BR, 0);
    to.byte(END);
    to.byte(END);
  };
  const runs: { type: WasmType; n: number }[] = [];
  for (const type of func.locals.values()) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.n++;
    else runs.push({ type, n: 1 });
  }
  to.count(runs.length);
  for (const { type, n } of runs) {
    to.count(n);
    to.byte(TYPE[type]);
  }
  func.body.forEach(write);
  to.byte(END);
};

/** The type of a function, as bytes. */
const typeOf = ({ params, result }: Func): number[] => {
  const given = [...params.values()].map((t) => TYPE[t]);
  const made = result === undefined ? [] : [TYPE[result]];
  return [FUNCTION_TYPE, given.length, ...given, made.length, ...made];
};

/** The bytes of a module. */
export const bytesOf = ({ shared, funcs }: Module): Uint8Array<ArrayBuffer> => {
  const types = funcs.map(typeOf);
  const keys = types.map((t) => t.join());
  const own = [...new Set(keys)];
  const called = new Map(funcs.map((f, i) => [f.name, i]));
  const to = new Bytes();
  const section = (id: number, write: (to: Bytes) => void): void => {
    to.byte(id);
    to.sized(write);
  };
  to.all(MAGIC);
  section(SECTIONS.types, (s) => {
    s.count(own.length);
    own.forEach((key) => types[keys.indexOf(key)].forEach((byte) => s.byte(byte)));
  });
  section(SECTIONS.imports, (s) => {
    s.count(1);
    s.text(MEMORY.from);
    s.text(MEMORY.name);
    s.byte(A_MEMORY);
    s.byte(shared ? 3 : 1);
    s.count(MEMORY.least);
    s.count(MEMORY.most);
  });
  section(SECTIONS.functions, (s) => {
    s.count(funcs.length);
    keys.forEach((key) => s.count(own.indexOf(key)));
  });
  section(SECTIONS.exports, (s) => {
    const seen = funcs.filter((f) => f.exported);
    s.count(seen.length);
    for (const f of seen) {
      s.text(f.name);
      s.byte(A_FUNCTION);
      s.count(called.get(f.name)!);
    }
  });
  section(SECTIONS.code, (s) => {
    s.count(funcs.length);
    funcs.forEach((f) => s.sized((inner) => writeBody(f, called, inner)));
  });
  return to.done();
};
