/**
 * Kernels as WebAssembly instructions, one function a kernel, four lanes as v128 (SIMD and relaxed SIMD).
 * Numbers that become words, and words that become numbers, are below 2^31 (codes, halves, indices):
 * the signed conversions are exact and one instruction, the unsigned ones are eight on x86.
 * A group has one lane here: `par` is a loop, shared arrays lie in scratch memory. A call runs the groups
 * from the first up to the end: threads share out those of a launch, each with its own scratch.
 * @module
 */
import { type Arr, type Expr, isAll, type Ty } from "../ir/expr.ts";
import { GROUP, type Kernel, sizeName, type Stmt } from "../ir/stmt.ts";
import {
  f32,
  type Func,
  get,
  i32,
  type Instr,
  type Module,
  op,
  opOf,
  set,
  tee,
  type WasmType,
} from "./instr.ts";
import { place, type Printer } from "./place.ts";

const LOCAL: Readonly<Record<Ty, WasmType>> = {
  i32: "i32",
  u32: "i32",
  f32: "f32",
  bool: "i32",
  f32x4: "v128",
  u32x4: "v128",
  bool4: "v128",
  i32x4: "v128",
  i16x8: "v128",
};

const PREFIX: Readonly<Record<Ty, string>> = {
  i32: "i32",
  u32: "i32",
  f32: "f32",
  bool: "i32",
  f32x4: "f32x4",
  u32x4: "i32x4",
  bool4: "i32x4",
  i32x4: "i32x4",
  i16x8: "i16x8",
};

type Write = (e: Expr, args: readonly Instr[], at: Addresses) => Instr;

/** A place in memory: an address, and what the instruction adds to it. */
interface Address {
  readonly at: Instr;
  readonly offset: number;
}

/** Where an array begins, and how an index becomes an address. */
type Addresses = (arr: Arr, index: Expr, code: Instr, bytesEach?: number) => Address;

const signed = (type: Ty): string => type === "u32" ? "_u" : type === "i32" ? "_s" : "";
const plain = (name: string): Write => (e, args) => op(`${PREFIX[e.type]}.${name}`, ...args);
const integer = (name: string): Write => (e, args) =>
  op(`${PREFIX[e.type]}.${name}${signed(e.type)}`, ...args);
const compare = (name: string): Write => (e, args) =>
  op(`${PREFIX[e.args[0].type]}.${name}${signed(e.args[0].type)}`, ...args);
const bits = (name: string): Write => (e, args) =>
  op(`${LOCAL[e.type] === "v128" ? "v128" : PREFIX[e.type]}.${name}`, ...args);

const literal = ({ type, value }: Expr): Instr =>
  type === "f32" ? f32(Number.isNaN(value) ? Infinity : value) : i32(value);

const loaded = (name: string, { at, offset }: Address): Instr => opOf(name, [offset], at);
const laneOf = (k: number, v: Instr): Instr => opOf("f32x4.extract_lane", [k], v);
const shuffled = (places: readonly number[], a: Instr, b: Instr): Instr =>
  opOf("i8x16.shuffle", places, a, b);

/** A vector that is read more than once. */
const HELD = "h";
const held = get(HELD);

/** The sum of lanes. */
const hsum: Write = (_e, [a]) =>
  op(
    "f32.add",
    op("f32.add", laneOf(0, tee(HELD, a)), laneOf(1, held)),
    op("f32.add", laneOf(2, held), laneOf(3, held)),
  );

/** An end of the lanes by shuffles, two and two, then one and one: one lane's own instructions are many. */
const across = (end: "pmin" | "pmax"): Write => (_e, [a]) => {
  const joined = (places: readonly number[], x: Instr): Instr =>
    op(`f32x4.${end}`, shuffled(places, tee(HELD, x), held), held);
  const halves = joined([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7], a);
  return laneOf(0, joined([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11], halves));
};

const half = (k: number): string => k % 2 === 0 ? "low" : "high";

/** Units of so many bytes from the low or high half of one vector, each followed by that of another. */
const zipped = (unit: number): Write => (e, [a, b]) => {
  const first = Array.from({ length: 8 }, (_, k) => 8 * e.value + k);
  const units = Array.from({ length: 8 / unit }, (_, k) => first.slice(unit * k, unit * (k + 1)));
  return shuffled(units.flatMap((bytes) => [...bytes, ...bytes.map((k) => k + 16)]), a, b);
};

/** Every other unit of so many bytes, of one vector and then of another. */
const unzipped = (unit: number): Write => (e, [a, b]) =>
  shuffled(Array.from({ length: 16 }, (_, k) => 2 * k + e.value * unit - k % unit), a, b);

/**
 * Four lanes use the pseudo forms, one instruction on x86: a NaN in the *first* operand is kept, so a
 * clamp of a NaN stays one.
 */
const smaller = (end: "min" | "max"): Write => (e, [a, b]) => {
  if (e.type === "i32") return opOf("call", [end], a, b);
  if (e.type === "f32x4") return op(`f32x4.p${end}`, a, b);
  // One lane of the same: the scalar instruction spends eight on NaN and the sign of zero.
  return laneOf(0, op(`f32x4.p${end}`, op("f32x4.splat", a), op("f32x4.splat", b)));
};

/** Four vectors of numbers as sixteen bytes, by way of words of 16 bits. */
const packed = (sign: "s" | "u", parts: readonly Instr[]): Instr => {
  const [a, b, c, d] = parts.map((p) => op("i32x4.relaxed_trunc_f32x4_s", p));
  const narrow = `i16x8.narrow_i32x4_${sign}`;
  return op(`i8x16.narrow_i16x8_${sign}`, op(narrow, a, b), op(narrow, c, d));
};

const writtenOut = (name: string): Write => () => {
  throw new Error(`${name} is written out before it is printed`);
};

/** Quotients and rests of what is not negative: by powers of two they are one instruction, not three or four. */
const byPowers = (name: string, instead: (n: number) => readonly [string, number]): Write => {
  const any = integer(name);
  return (e, args, at) => {
    const [a, b] = e.args;
    const power = b.op === "const" && b.value > 0 && (b.value & (b.value - 1)) === 0;
    if (e.type !== "i32" || !(a.lo >= 0) || !power) return any(e, args, at);
    const [other, by] = instead(b.value);
    return op(`i32.${other}`, args[0], i32(by));
  };
};

/** The same number in four lanes; straight from memory, or from the lane it is in. */
const splat: Write = (e, [a]) => {
  if (e.type === "bool4") return op("i32x4.splat", op("i32.sub", i32(0), a));
  const [from] = e.args;
  if (e.type === "f32x4" && from.op === "lane" && a.op === "f32x4.extract_lane") {
    const places = Array.from({ length: 16 }, (_, k) => 4 * from.value + k % 4);
    return shuffled(places, tee(HELD, a.args[0]), held);
  }
  return a.op === "i32.load" || a.op === "f32.load"
    ? { ...a, op: "v128.load32_splat" }
    : op(`${PREFIX[e.type]}.splat`, a);
};

/** One entry an operator. */
const OPS: Readonly<Record<Expr["op"], Write>> = {
  const: (e) => literal(e),
  var: (e) => get(e.name),
  uniform: (e) => get(sizeName(e.name)),
  load: (e, [i], at) =>
    loaded(`${e.type.endsWith("x4") ? "v128" : PREFIX[e.type]}.load`, at(e.arr!, e.args[0], i)),
  halves: (e, [i, kept, scale], at) => {
    const words = loaded("v128.load16x4_s", at(e.arr!, e.args[0], i, 2));
    return op("f32x4.mul", op("v128.and", op("i32x4.shl", words, i32(13)), kept), scale);
  },
  twice: (e, [i], at) => {
    const words = loaded("v128.load64_zero", at(e.arr!, e.args[0], i));
    const places = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
    return shuffled(places, tee(HELD, words), op("i32x4.shr_u", held, i32(e.value)));
  },
  // The lanes of a condition are all ones or all zeros.
  select: (e, [c, a, b]) =>
    !e.type.endsWith("x4")
      ? op("select", a, b, c)
      : isAll(e.args[2], 0)
      ? op("v128.and", a, c)
      : op("i32x4.relaxed_laneselect", a, b, c),
  lane: (e, [a]) => opOf(`${PREFIX[e.args[0].type]}.extract_lane`, [e.value], a),
  vec4: (e, [first, ...rest]) => {
    const p = PREFIX[e.type];
    return rest.reduce(
      (v, x, k) => opOf(`${p}.replace_lane`, [k + 1], v, x),
      op(`${p}.splat`, first),
    );
  },
  madd: (e, [a, b, c]) =>
    e.type === "f32x4" ? op("f32x4.relaxed_madd", a, b, c) : op("f32.add", op("f32.mul", a, b), c),
  bytes: (e, [a]) => {
    const words = op(`i16x8.extend_${half(Math.floor(e.value / 2))}_i8x16_u`, a);
    return op("f32x4.convert_i32x4_s", op(`i32x4.extend_${half(e.value)}_i16x8_u`, words));
  },
  packBytes: (_e, parts) => packed("u", parts),
  packWords: (e, [a, b, c, d, most, more]) => {
    const narrow = "i16x8.narrow_i32x4_s";
    const codes = op("i8x16.narrow_i16x8_u", op(narrow, a, b), op(narrow, c, d));
    const clamped = isAll(e.args[4], 0xffffffff) ? codes : op("i8x16.min_u", codes, most);
    return isAll(e.args[5], 0) ? clamped : op("i8x16.add", clamped, more);
  },
  dot16: (_e, [a, b]) => op("i32x4.dot_i16x8_s", a, b),
  dot8: (_e, [a, codes]) => op("i16x8.relaxed_dot_i8x16_i7x16_s", a, codes),
  pairs: (_e, [a]) => op("i32x4.extadd_pairwise_i16x8_s", a),
  widen16: (e, [a]) => op(`i32x4.extend_${half(e.value)}_i16x8_s`, a),
  packI8: (_e, parts) => packed("s", parts),
  packI16: (_e, parts) => {
    const [a, b] = parts.map((p) => op("i32x4.relaxed_trunc_f32x4_s", p));
    return op("i16x8.narrow_i32x4_s", a, b);
  },
  asI16: (_e, [a]) => a,
  zip8: zipped(1),
  zip16: zipped(2),
  zip32: zipped(4),
  unzip16: unzipped(2),
  unzip32: unzipped(4),
  reversed: (_e, [a]) => {
    const places = [12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3];
    return shuffled(places, tee(HELD, a), held);
  },
  turned: (e, [a]) => {
    const places = Array.from({ length: 16 }, (_, k) => (k + 4 * e.value) % 16);
    return shuffled(places, tee(HELD, a), held);
  },
  swizzle: (_e, [a, b]) => op("i8x16.relaxed_swizzle", a, b),
  lookup: writtenOut("lookup"),
  above: writtenOut("above"),
  hsum4: writtenOut("hsum4"),
  hmax4: writtenOut("hmax4"),
  hmin4: writtenOut("hmin4"),
  roundedHalves: writtenOut("roundedHalves"),
  narrowU16: (_e, [a, b]) => op("i16x8.narrow_i32x4_u", a, b),
  neg: plain("neg"),
  abs: plain("abs"),
  sqrt: plain("sqrt"),
  exp: writtenOut("exp"),
  rint: plain("nearest"),
  toF32: (e, [a]) => {
    const from = e.args[0].type;
    if (from === "u32x4" || from === "i32x4") return op("f32x4.convert_i32x4_s", a);
    return op("f32.convert_i32_s", a);
  },
  toI32: (e, [a]) => e.args[0].type === "f32" ? op("i32.trunc_sat_f32_s", a) : a,
  toU32: (e, [a]) => {
    if (e.type === "u32x4") return op("i32x4.trunc_sat_f32x4_s", a);
    return e.args[0].type === "f32" ? op("i32.trunc_sat_f32_s", a) : a;
  },
  asF32: (e, [a]) => e.type === "f32x4" ? a : op("f32.reinterpret_i32", a),
  asU32: (e, [a]) => e.type === "u32x4" ? a : op("i32.reinterpret_f32", a),
  splat,
  not: (e, [a]) => op(e.type === "bool4" ? "v128.not" : "i32.eqz", a),
  popcount: plain("popcnt"),
  hsum,
  hmax: across("pmax"),
  hmin: across("pmin"),
  add: plain("add"),
  sub: plain("sub"),
  mul: plain("mul"),
  div: byPowers("div", (n) => ["shr_u", Math.log2(n)]),
  rem: byPowers("rem", (n) => ["and", n - 1]),
  min: smaller("min"),
  max: smaller("max"),
  and: bits("and"),
  or: bits("or"),
  shl: plain("shl"),
  shr: (e, args) => op(`${PREFIX[e.type]}.shr${e.type === "i32" ? "_s" : "_u"}`, ...args),
  lt: compare("lt"),
  le: compare("le"),
  eq: (e, args) => op(`${PREFIX[e.args[0].type]}.eq`, ...args),
};

/** A function that kernels share: the end of two integers. */
const end = (name: "min" | "max", first: "lt_s" | "gt_s"): Func => ({
  name,
  exported: false,
  params: new Map([["a", "i32"], ["b", "i32"]]),
  result: "i32",
  locals: new Map(),
  body: [op("select", get("a"), get("b"), op(`i32.${first}`, get("a"), get("b")))],
});

const HELPERS: readonly Func[] = [end("min", "lt_s"), end("max", "gt_s")];

const sharedOffsets = (kernel: Kernel): Map<string, number> => {
  const offsets = new Map<string, number>();
  let at = 0;
  for (const arr of kernel.shared) {
    offsets.set(arr.name, at);
    at += Math.ceil(arr.length / 4) * 16;
  }
  return offsets;
};

/** Bytes of scratch memory that a kernel's shared arrays take. */
export const scratchBytes = (kernel: Kernel): number =>
  kernel.shared.reduce((n, a) => n + Math.ceil(a.length / 4) * 16, 0);

/** Every index as an address: a constant at the end of it travels in the instruction. */
const addressesOf = (kernel: Kernel): Addresses => {
  const shared = sharedOffsets(kernel);
  return (arr, index, code, each = 4) => {
    const base = get(arr.space === "shared" ? "scratch" : `p_${arr.name}`);
    const start = shared.get(arr.name) ?? 0;
    if (index.op === "const") return { at: base, offset: start + index.value * each };
    const more = index.op === "add" && index.args[1].op === "const" ? index.args[1].value : 0;
    // What has a name of its own is no sum here.
    const apart = more > 0 && code.op === "i32.add";
    const at = op("i32.shl", apart ? code.args[0] : code, i32(Math.log2(each)));
    return { at: op("i32.add", base, at), offset: start + (apart ? more * each : 0) };
  };
};

const functionOf = (kernel: Kernel): Func => {
  const locals = new Map<string, WasmType>([[HELD, "v128"], [GROUP, "i32"]]);
  const address = addressesOf(kernel);
  const loop = (
    name: string,
    from: Instr,
    to: Instr,
    step: number,
    body: readonly Instr[],
  ): Instr => {
    locals.set(name, "i32");
    return { op: "for", imm: [name, step], args: [from, to], body };
  };
  const printer: Printer<Instr> = {
    expr: (e, args) => OPS[e.op](e, args, address),
    bind: (name, e, code) => {
      locals.set(name, LOCAL[e.type]);
      return set(name, code);
    },
    ref: get,
    simple: (s: Stmt, [a, b]) => {
      if (s.tag === "var" || s.tag === "assign") {
        if (s.tag === "var") locals.set(s.name, LOCAL[s.type]);
        return set(s.name, a);
      }
      if (s.tag !== "store") throw new Error(`${s.tag} has a body`);
      const type = s.value.type.endsWith("x4") ? "v128" : PREFIX[s.value.type];
      const { at, offset } = address(s.arr, s.index, a);
      return opOf(`${type}.store`, [offset], at, b);
    },
    nested: (s, args, body) => {
      if (s.tag === "if") return [{ op: "if", imm: [], args, body }];
      if (s.tag === "for") return [loop(s.name, args[0], args[1], s.step, body)];
      if (s.tag !== "par") throw new Error(`${s.tag} has no body`);
      return [loop(s.name, i32(0), args[0], 1, body)];
    },
  };
  const body = place(kernel.body, printer);
  const whole = loop(GROUP, get("first"), get("end"), 1, body);
  const params = [
    ...kernel.arrays.map((a) => `p_${a.name}`),
    ...kernel.uniforms.map(sizeName),
    "scratch",
    "first",
    "end",
  ];
  return {
    name: kernel.name,
    exported: true,
    params: new Map(params.map((name) => [name, "i32"])),
    locals,
    body: [whole],
  };
};

/** One module for the kernels of a program; threads share their memory. */
export const moduleOf = (kernels: readonly Kernel[], shared = false): Module => ({
  shared,
  funcs: [...HELPERS, ...kernels.map(functionOf)],
});
