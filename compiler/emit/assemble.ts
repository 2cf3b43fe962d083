/**
 * WebAssembly text to bytes, for the text that kernels are written in: one imported memory, functions
 * with named parameters and locals, folded instructions. It reads once, from left to right, and builds
 * no tree; what it does not know is an error. (A general assembler is a
 * large module itself: starting it took more than all the rest of a first compile.)
 *
 * ```text
 * (i32.add (local.get $a) (i32.const 4))   ──▶   20 00  41 04  6a
 * (block $b … (br_if $b …))                ──▶   02 40  …  … 0d 00  0b
 * ```
 * @module
 */
import { type Opcode, OPCODES, unsigned } from "./opcodes.ts";

const TYPES: Readonly<Record<string, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const [BLOCK, LOOP, IF, END, NO_RESULT] = [0x02, 0x03, 0x04, 0x0b, 0x40];
/** Magic word and version. */
const HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

const fail = (what: string): never => {
  throw new Error(`assemble: ${what}`);
};

/** An integer as bytes of seven bits, lowest first, the last with the sign. */
const signed = (value: number): number[] => {
  const out: number[] = [];
  let rest = value | 0;
  for (; rest >> 6 !== 0 && rest >> 6 !== -1; rest >>= 7) out.push(rest & 127 | 128);
  out.push(rest & 127);
  return out;
};

const float = new DataView(new ArrayBuffer(4));
const bytesOfWord = (word: number): number[] => [0, 8, 16, 24].map((by) => word >>> by & 255);
const bytesOfFloat = (text: string): number[] => {
  float.setFloat32(0, text.endsWith("inf") ? (text[0] === "-" ? -1 : 1) * Infinity : Number(text));
  return bytesOfWord(float.getUint32(0));
};

const latin = (text: string): number[] => [...new TextEncoder().encode(text)];
const named = (text: string): number[] => [...unsigned(latin(text).length), ...latin(text)];

/** A section: its number, its length, how many items, the items. */
const section = (id: number, items: readonly (readonly number[])[]): number[] => {
  if (items.length === 0) return [];
  const body = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(body.length), ...body];
};

/** Locals as counts of one type after another. */
const declared = (types: readonly string[]): number[] => {
  const runs: { count: number; type: string }[] = [];
  for (const type of types) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ count: 1, type });
  }
  return [
    ...unsigned(runs.length),
    ...runs.flatMap(({ count, type }) => [...unsigned(count), TYPES[type]]),
  ];
};

/** Words and parentheses of a text, in order. */
class Reader {
  private readonly tokens: readonly string[];
  private at = 0;

  constructor(text: string) {
    this.tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  }

  /** Is this parenthesis next? Then it is read. */
  takes(parenthesis: "(" | ")"): boolean {
    const here = this.tokens[this.at] === parenthesis;
    if (here) this.at++;
    return here;
  }

  /** Is a word next? */
  hasWord(): boolean {
    const token = this.tokens[this.at];
    return token !== "(" && token !== ")" && token !== undefined;
  }

  word(): string {
    if (!this.hasWord()) fail(`a word is missing before ${this.rest()}`);
    return this.tokens[this.at++];
  }

  /** A name in quotes. */
  quoted(): string {
    return this.word().slice(1, -1);
  }

  expect(parenthesis: "(" | ")"): void {
    if (!this.takes(parenthesis)) fail(`${parenthesis} is missing before ${this.rest()}`);
  }

  atEnd(): boolean {
    return this.at >= this.tokens.length;
  }

  private rest(): string {
    return `"${this.tokens.slice(this.at, this.at + 8).join(" ")}"`;
  }
}

/** What is known while the body of a function is read. */
interface Scope {
  readonly locals: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, number>;
  readonly labels: string[];
  readonly out: number[];
}

const found = (table: ReadonlyMap<string, number>, name: string): number =>
  table.get(name) ?? fail(`${name} is not known`);

/** Reads the immediate of an instruction. */
const immediate = (
  r: Reader,
  opcode: Opcode,
  { locals, functions, labels }: Scope,
): readonly number[] => {
  switch (opcode.immediate) {
    case "none":
      return NOTHING;
    case "memory":
      return [
        opcode.align,
        ...unsigned(r.hasWord() ? Number(r.word().slice("offset=".length)) : 0),
      ];
    case "lane":
      return [Number(r.word())];
    case "local":
      return unsigned(found(locals, r.word()));
    case "call":
      return unsigned(found(functions, r.word()));
    case "label": {
      const label = r.word();
      const at = labels.lastIndexOf(label);
      return unsigned(at < 0 ? fail(`${label} is not known`) : labels.length - 1 - at);
    }
    case "i32":
      return signed(Number(r.word()));
    case "f32":
      return bytesOfFloat(r.word());
    case "words":
      if (r.word() !== "i32x4") fail("a vector constant that is not i32x4");
      return Array.from({ length: 4 }, () => bytesOfWord(Number(r.word()))).flat();
    case "lanes":
      return Array.from({ length: 16 }, () => Number(r.word()));
    case "memories":
      return [0, 0];
  }
};

const NOTHING: readonly number[] = [];

const push = (out: number[], bytes: readonly number[]): void => {
  for (const b of bytes) out.push(b);
};

/** Instructions up to the closing parenthesis. */
const instructions = (r: Reader, scope: Scope): void => {
  while (!r.takes(")")) {
    if (r.takes("(")) instruction(r, r.word(), scope);
    else simple(r, r.word(), scope, false);
  }
};

/** A block whose instructions end at the parenthesis that is next to close. */
const nested = (r: Reader, code: number, label: string, scope: Scope): void => {
  scope.out.push(code, NO_RESULT);
  scope.labels.push(label);
  instructions(r, scope);
  scope.labels.pop();
  scope.out.push(END);
};

/** An instruction; folded, its operands come first. */
const simple = (r: Reader, name: string, scope: Scope, folded: boolean): void => {
  const opcode = OPCODES.get(name) ?? fail(`no instruction ${name}`);
  const after = immediate(r, opcode, scope);
  if (folded) instructions(r, scope);
  push(scope.out, opcode.bytes);
  push(scope.out, after);
};

/** One instruction in parentheses, the first of which and its name are read. */
const instruction = (r: Reader, name: string, scope: Scope): void => {
  if (name === "block" || name === "loop") {
    nested(r, name === "block" ? BLOCK : LOOP, r.hasWord() ? r.word() : "", scope);
  } else if (name === "if") {
    r.expect("(");
    instruction(r, r.word(), scope);
    r.expect("(");
    if (r.word() !== "then") fail("an if without then");
    nested(r, IF, "", scope);
    r.expect(")");
  } else simple(r, name, scope, true);
};

/** Text to the bytes of a module. */
export const assembleText = (text: string): Uint8Array<ArrayBuffer> => {
  const r = new Reader(text);
  const types: string[] = [];
  const imports: number[][] = [];
  const functions = new Map<string, number>();
  const used: number[][] = [];
  const exports: number[][] = [];
  const bodies: number[][] = [];

  const importMemory = (): void => {
    const from = [...named(r.quoted()), ...named(r.quoted())];
    r.expect("(");
    if (r.word() !== "memory") fail("an import that is no memory");
    const limits = [r.word(), r.word()].flatMap((n) => unsigned(Number(n)));
    imports.push([...from, 0x02, r.hasWord() && r.word() === "shared" ? 0x03 : 0x01, ...limits]);
    r.expect(")");
    r.expect(")");
  };

  const addFunction = (): void => {
    if (r.hasWord()) functions.set(r.word(), used.length);
    const locals = new Map<string, number>();
    const [params, results, own]: string[][] = [[], [], []];
    const scope: Scope = { locals, functions, labels: [], out: [] };
    let begun = false;
    while (!begun && r.takes("(")) {
      const head = r.word();
      if (head === "export") {
        exports.push([...named(r.quoted()), 0x00, ...unsigned(used.length)]);
      } else if (head === "result") results.push(r.word());
      else if (head === "param" || head === "local") {
        locals.set(r.word(), locals.size);
        (head === "param" ? params : own).push(r.word());
      } else {
        begun = true;
        instruction(r, head, scope);
        continue;
      }
      r.expect(")");
    }
    const type = `${params.join(" ")} -> ${results.join(" ")}`;
    if (!types.includes(type)) types.push(type);
    used.push(unsigned(types.indexOf(type)));
    instructions(r, scope);
    const body = [...declared(own), ...scope.out, END];
    bodies.push([...unsigned(body.length), ...body]);
  };

  r.expect("(");
  if (r.word() !== "module") fail("a text that is no module");
  while (!r.takes(")")) {
    r.expect("(");
    const head = r.word();
    if (head === "import") importMemory();
    else if (head === "func") addFunction();
    else fail(`no field ${head}`);
  }
  if (!r.atEnd()) fail("a text that goes on after its module");
  const list = (names: string): number[] => {
    const words = names === "" ? [] : names.split(" ");
    return [...unsigned(words.length), ...words.map((t) => TYPES[t] ?? fail(`no type ${t}`))];
  };
  const signatures = types.map((t) => [0x60, ...t.split(" -> ").flatMap(list)]);
  return new Uint8Array([
    ...HEAD,
    ...section(1, signatures),
    ...section(2, imports),
    ...section(3, used),
    ...section(7, exports),
    ...section(10, bodies),
  ]);
};
