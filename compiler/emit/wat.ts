/**
 * Kernels as WebAssembly text: one function a kernel, four lanes as v128 (SIMD and relaxed SIMD).
 * Numbers that become words, and words that become numbers, are below 2^31 (codes, halves, indices):
 * the signed conversions are exact and one instruction, the unsigned ones are eight on x86.
 * A group has one lane here: `par` is a loop, shared arrays lie in scratch memory. A call runs the groups
 * from the first up to the end: threads share out those of a launch, each with its own scratch.
 * @module
 */
import { type Arr, type Expr, isAll, type Ty } from "../ir/expr.ts";
import { GROUP, type Kernel, sizeName, type Stmt } from "../ir/stmt.ts";
import { place, type Printer } from "./place.ts";

const LOCAL: Readonly<Record<Ty, string>> = {
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

type Write = (e: Expr, args: readonly string[], at: Addresses) => string;

/** Where an array begins, and how an index becomes an address. */
type Addresses = (arr: Arr, index: Expr, code: string, bytesEach?: number) => string;

const signed = (type: Ty): string => type === "u32" ? "_u" : type === "i32" ? "_s" : "";
const plain = (name: string): Write => (e, args) => `(${PREFIX[e.type]}.${name} ${args.join(" ")})`;
const integer = (name: string): Write => (e, args) =>
  `(${PREFIX[e.type]}.${name}${signed(e.type)} ${args.join(" ")})`;
const compare = (name: string): Write => (e, args) =>
  `(${PREFIX[e.args[0].type]}.${name}${signed(e.args[0].type)} ${args.join(" ")})`;
const bits = (name: string): Write => (e, args) =>
  `(${LOCAL[e.type] === "v128" ? "v128" : PREFIX[e.type]}.${name} ${args.join(" ")})`;

const literal = (e: Expr): string => {
  if (e.type === "f32") {
    return `(f32.const ${
      Number.isFinite(e.value)
        ? (Object.is(e.value, -0) ? "-0" : e.value)
        : e.value < 0
        ? "-inf"
        : "inf"
    })`;
  }
  return `(i32.const ${e.value | 0})`;
};

/** The sum of lanes. */
const hsum: Write = (_e, [a]) => {
  const at = (k: number, x: string): string => `(f32x4.extract_lane ${k} ${x})`;
  const h = "(local.get $h)";
  return `(f32.add (f32.add ${at(0, `(local.tee $h ${a})`)} ${at(1, h)}) (f32.add ${at(2, h)} ${
    at(3, h)
  }))`;
};

/** An end of the lanes by shuffles, two and two, then one and one: one lane's own instructions are many. */
const across = (op: "pmin" | "pmax"): Write => (_e, [a]) => {
  const h = "(local.get $h)";
  const joined = (places: string, x: string): string =>
    `(f32x4.${op} (i8x16.shuffle ${places} (local.tee $h ${x}) ${h}) ${h})`;
  const halves = joined("8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7", a);
  return `(f32x4.extract_lane 0 ${joined("4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11", halves)})`;
};

const half = (k: number): string => k % 2 === 0 ? "low" : "high";

/** Units of so many bytes from the low or high half of one vector, each followed by that of another. */
const zipped = (unit: number): Write => (e, [a, b]) => {
  const first = Array.from({ length: 8 }, (_, k) => 8 * e.value + k);
  const units = Array.from({ length: 8 / unit }, (_, k) => first.slice(unit * k, unit * (k + 1)));
  const places = units.flatMap((bytes) => [...bytes, ...bytes.map((k) => k + 16)]);
  return `(i8x16.shuffle ${places.join(" ")} ${a} ${b})`;
};

/** Every other unit of so many bytes, of one vector and then of another. */
const unzipped = (unit: number): Write => (e, [a, b]) => {
  const places = Array.from({ length: 16 }, (_, k) => 2 * k + e.value * unit - k % unit);
  return `(i8x16.shuffle ${places.join(" ")} ${a} ${b})`;
};

/**
 * Four lanes use the pseudo forms, one instruction on x86: a NaN in the *first* operand is kept, so a
 * clamp of a NaN stays one.
 */
const smaller = (op: "min" | "max", e: Expr, [a, b]: readonly string[]): string => {
  if (e.type === "i32") return `(call $${op} ${a} ${b})`;
  if (e.type === "f32x4") return `(f32x4.p${op} ${a} ${b})`;
  // One lane of the same: the scalar instruction spends eight on NaN and the sign of zero.
  return `(f32x4.extract_lane 0 (f32x4.p${op} (f32x4.splat ${a}) (f32x4.splat ${b})))`;
};

const writtenOut = (op: string): Write => () => {
  throw new Error(`${op} is written out before it is printed`);
};

/** Quotients and rests of what is not negative: by powers of two they are one instruction, not three or four. */
const byPowers = (name: string, instead: (n: number) => readonly [string, number]): Write => {
  const any = integer(name);
  return (e, args, at) => {
    const [a, b] = e.args;
    const power = b.op === "const" && b.value > 0 && (b.value & (b.value - 1)) === 0;
    if (e.type !== "i32" || !(a.lo >= 0) || !power) return any(e, args, at);
    const [op, by] = instead(b.value);
    return `(i32.${op} ${args[0]} (i32.const ${by}))`;
  };
};

/** One entry an operator. */
const OPS: Readonly<Record<Expr["op"], Write>> = {
  const: (e) => literal(e),
  var: (e) => `(local.get $${e.name})`,
  uniform: (e) => `(local.get $${sizeName(e.name)})`,
  load: (e, [i], at) =>
    `(${e.type.endsWith("x4") ? "v128" : PREFIX[e.type]}.load ${at(e.arr!, e.args[0], i)})`,
  halves: (e, [i, kept, scale], at) =>
    `(f32x4.mul (v128.and (i32x4.shl (v128.load16x4_s ${
      at(e.arr!, e.args[0], i, 2)
    }) (i32.const 13)) ${kept}) ${scale})`,
  twice: (e, [i], at) =>
    `(i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.tee $h (v128.load64_zero ${
      at(e.arr!, e.args[0], i)
    })) (i32x4.shr_u (local.get $h) (i32.const ${e.value})))`,
  // The lanes of a condition are all ones or all zeros.
  select: (e, [c, a, b]) =>
    !e.type.endsWith("x4")
      ? `(select ${a} ${b} ${c})`
      : isAll(e.args[2], 0)
      ? `(v128.and ${a} ${c})`
      : `(i32x4.relaxed_laneselect ${a} ${b} ${c})`,
  lane: (e, [a]) => `(${PREFIX[e.args[0].type]}.extract_lane ${e.value} ${a})`,
  vec4: (e, parts) => {
    const p = PREFIX[e.type];
    return parts.slice(1).reduce(
      (v, x, k) => `(${p}.replace_lane ${k + 1} ${v} ${x})`,
      `(${p}.splat ${parts[0]})`,
    );
  },
  madd: (e, [a, b, c]) =>
    e.type === "f32x4"
      ? `(f32x4.relaxed_madd ${a} ${b} ${c})`
      : `(f32.add (f32.mul ${a} ${b}) ${c})`,
  bytes: (e, [a]) =>
    `(f32x4.convert_i32x4_s (i32x4.extend_${half(e.value)}_i16x8_u (i16x8.extend_${
      half(Math.floor(e.value / 2))
    }_i8x16_u ${a})))`,
  packBytes: (_e, parts) => {
    const [a, b, c, d] = parts.map((p) => `(i32x4.relaxed_trunc_f32x4_s ${p})`);
    return `(i8x16.narrow_i16x8_u (i16x8.narrow_i32x4_u ${a} ${b}) (i16x8.narrow_i32x4_u ${c} ${d}))`;
  },
  packWords: (e, [a, b, c, d, most, more]) => {
    const packed =
      `(i8x16.narrow_i16x8_u (i16x8.narrow_i32x4_s ${a} ${b}) (i16x8.narrow_i32x4_s ${c} ${d}))`;
    const held = isAll(e.args[4], 0xffffffff) ? packed : `(i8x16.min_u ${packed} ${most})`;
    return isAll(e.args[5], 0) ? held : `(i8x16.add ${held} ${more})`;
  },
  dot16: (_e, [a, b]) => `(i32x4.dot_i16x8_s ${a} ${b})`,
  dot8: (_e, [a, codes]) => `(i16x8.relaxed_dot_i8x16_i7x16_s ${a} ${codes})`,
  pairs: (_e, [a]) => `(i32x4.extadd_pairwise_i16x8_s ${a})`,
  widen16: (e, [a]) => `(i32x4.extend_${half(e.value)}_i16x8_s ${a})`,
  packI8: (_e, parts) => {
    const [a, b, c, d] = parts.map((p) => `(i32x4.relaxed_trunc_f32x4_s ${p})`);
    return `(i8x16.narrow_i16x8_s (i16x8.narrow_i32x4_s ${a} ${b}) (i16x8.narrow_i32x4_s ${c} ${d}))`;
  },
  packI16: (_e, parts) => {
    const [a, b] = parts.map((p) => `(i32x4.relaxed_trunc_f32x4_s ${p})`);
    return `(i16x8.narrow_i32x4_s ${a} ${b})`;
  },
  asI16: (_e, [a]) => a,
  zip8: zipped(1),
  zip16: zipped(2),
  zip32: zipped(4),
  unzip16: unzipped(2),
  unzip32: unzipped(4),
  reversed: (_e, [a]) =>
    `(i8x16.shuffle 12 13 14 15 8 9 10 11 4 5 6 7 0 1 2 3 (local.tee $h ${a}) (local.get $h))`,
  turned: (e, [a]) => {
    const places = Array.from({ length: 16 }, (_, k) => (k + 4 * e.value) % 16).join(" ");
    return `(i8x16.shuffle ${places} (local.tee $h ${a}) (local.get $h))`;
  },
  swizzle: (_e, [a, b]) => `(i8x16.relaxed_swizzle ${a} ${b})`,
  lookup: writtenOut("lookup"),
  above: writtenOut("above"),
  hsum4: writtenOut("hsum4"),
  hmax4: writtenOut("hmax4"),
  hmin4: writtenOut("hmin4"),
  roundedHalves: writtenOut("roundedHalves"),
  narrowU16: (_e, [a, b]) => `(i16x8.narrow_i32x4_u ${a} ${b})`,
  neg: plain("neg"),
  abs: plain("abs"),
  sqrt: plain("sqrt"),
  exp: writtenOut("exp"),
  rint: plain("nearest"),
  toF32: (e, [a]) => {
    const from = e.args[0].type;
    if (from === "u32x4" || from === "i32x4") return `(f32x4.convert_i32x4_s ${a})`;
    return `(f32.convert_i32_s ${a})`;
  },
  toI32: (e, [a]) => e.args[0].type === "f32" ? `(i32.trunc_sat_f32_s ${a})` : a,
  toU32: (e, [a]) => {
    if (e.type === "u32x4") return `(i32x4.trunc_sat_f32x4_s ${a})`;
    return e.args[0].type === "f32" ? `(i32.trunc_sat_f32_s ${a})` : a;
  },
  asF32: (e, [a]) => e.type === "f32x4" ? a : `(f32.reinterpret_i32 ${a})`,
  asU32: (e, [a]) => e.type === "u32x4" ? a : `(i32.reinterpret_f32 ${a})`,
  splat: (e, [a]) => {
    if (e.type === "bool4") return `(i32x4.splat (i32.sub (i32.const 0) ${a}))`;
    const [from] = e.args;
    if (from.op === "lane" && e.type === "f32x4") {
      const bytes = Array.from({ length: 16 }, (_, k) => 4 * from.value + k % 4).join(" ");
      const inner = /^\(f32x4.extract_lane \d (.*)\)$/s.exec(a)?.[1];
      if (inner) return `(i8x16.shuffle ${bytes} (local.tee $h ${inner}) (local.get $h))`;
    }
    const loaded = /^\([if]32\.load /.exec(a);
    return loaded
      ? `(v128.load32_splat ${a.slice(loaded[0].length)}`
      : `(${PREFIX[e.type]}.splat ${a})`;
  },
  not: (e, [a]) => e.type === "bool4" ? `(v128.not ${a})` : `(i32.eqz ${a})`,
  popcount: plain("popcnt"),
  hsum,
  hmax: across("pmax"),
  hmin: across("pmin"),
  add: plain("add"),
  sub: plain("sub"),
  mul: plain("mul"),
  div: byPowers("div", (n) => ["shr_u", Math.log2(n)]),
  rem: byPowers("rem", (n) => ["and", n - 1]),
  min: (e, args) => smaller("min", e, args),
  max: (e, args) => smaller("max", e, args),
  and: bits("and"),
  or: bits("or"),
  shl: plain("shl"),
  shr: (e, args) => `(${PREFIX[e.type]}.shr${e.type === "i32" ? "_s" : "_u"} ${args.join(" ")})`,
  lt: compare("lt"),
  le: compare("le"),
  eq: (e, args) => `(${PREFIX[e.args[0].type]}.eq ${args.join(" ")})`,
};

/** Functions that kernels share. */
const HELPERS = `(func $min (param $a i32) (param $b i32) (result i32)
  (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))
(func $max (param $a i32) (param $b i32) (result i32)
  (select (local.get $a) (local.get $b) (i32.gt_s (local.get $a) (local.get $b))))`;

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

const indent = (lines: readonly string[]): string[] => lines.map((l) => `  ${l}`);

const emitFunction = (kernel: Kernel): string => {
  const shared = sharedOffsets(kernel);
  const locals = new Map<string, string>([["h", "v128"], [GROUP, "i32"]]);
  const address: Addresses = (arr, index, code, each = 4) => {
    const base = arr.space === "shared" ? "scratch" : `p_${arr.name}`;
    let offset = shared.get(arr.name) ?? 0;
    let at = code;
    // A constant at the end of an index travels in the instruction.
    if (index.op === "const") {
      offset += index.value * each;
      at = "";
    } else if (
      index.op === "add" && index.args[1].op === "const" && index.args[1].value > 0 &&
      at.startsWith("(i32.add ")
    ) {
      const tail = ` (i32.const ${index.args[1].value}))`;
      if (at.endsWith(tail)) {
        offset += index.args[1].value * each;
        at = at.slice("(i32.add ".length, -tail.length);
      }
    }
    const scaled = at === ""
      ? `(local.get $${base})`
      : `(i32.add (local.get $${base}) (i32.shl ${at} (i32.const ${Math.log2(each)})))`;
    return offset === 0 ? scaled : `offset=${offset} ${scaled}`;
  };
  let label = 0;
  const loop = (
    name: string,
    from: string,
    to: string,
    step: number,
    body: readonly string[],
  ): string[] => {
    locals.set(name, "i32");
    const n = label++;
    return [
      `(local.set $${name} ${from})`,
      `(block $b${n} (loop $l${n}`,
      `  (br_if $b${n} (i32.ge_s (local.get $${name}) ${to}))`,
      ...indent(body),
      `  (local.set $${name} (i32.add (local.get $${name}) (i32.const ${step})))`,
      `  (br $l${n})))`,
    ];
  };
  const printer: Printer = {
    expr: (e, args) => OPS[e.op](e, args, address),
    bind: (name, e, code) => {
      locals.set(name, LOCAL[e.type]);
      return `(local.set $${name} ${code})`;
    },
    ref: (name) => `(local.get $${name})`,
    simple: (s: Stmt, [a, b]) => {
      if (s.tag === "var" || s.tag === "assign") {
        if (s.tag === "var") locals.set(s.name, LOCAL[s.type]);
        return `(local.set $${s.name} ${a})`;
      }
      if (s.tag !== "store") throw new Error(`${s.tag} has a body`);
      const op = s.value.type.endsWith("x4") ? "v128" : PREFIX[s.value.type];
      return `(${op}.store ${address(s.arr, s.index, a)} ${b})`;
    },
    nested: (s, args, body) => {
      if (s.tag === "if") return [`(if ${args[0]} (then`, ...indent(body), "))"];
      if (s.tag === "for") return loop(s.name, args[0], args[1], s.step, body);
      if (s.tag !== "par") throw new Error(`${s.tag} has no body`);
      return loop(s.name, "(i32.const 0)", args[0], 1, body);
    },
  };
  const body = place(kernel.body, printer);
  const whole = loop(GROUP, "(local.get $first)", "(local.get $end)", 1, body);
  return [
    `(func (export "${kernel.name}")`,
    ...kernel.arrays.map((a) => `  (param $p_${a.name} i32)`),
    ...kernel.uniforms.map((u) => `  (param $${sizeName(u)} i32)`),
    "  (param $scratch i32) (param $first i32) (param $end i32)",
    ...[...locals].map(([n, t]) => `  (local $${n} ${t})`),
    ...indent(whole),
    ")",
  ].join("\n");
};

/** One module for the kernels of a program; threads share their memory. */
export const emitWat = (kernels: readonly Kernel[], shared = false): string =>
  [
    "(module",
    `(import "kvfold" "memory" (memory 1 65536${shared ? " shared" : ""}))`,
    HELPERS,
    ...kernels.map(emitFunction),
    ")",
    "",
  ].join("\n");
