/**
 * Kernels as WGSL. Every `var` gets an initializer; barriers stand only in uniform control flow
 * (after a `par`, which never stands inside an `if` or another `par`).
 * @module
 */
import type { Arr, Expr, Ty } from "../ir/expr.ts";
import { type Block, GROUP, type Kernel, sizeName, type Stmt } from "../ir/stmt.ts";
import { ALIKE } from "../lower/uniform.ts";
import { place, type Printer } from "./place.ts";

const TYPES: Readonly<Record<Ty, string>> = {
  i32: "i32",
  u32: "u32",
  f32: "f32",
  bool: "bool",
  f32x4: "vec4<f32>",
  u32x4: "vec4<u32>",
  bool4: "vec4<bool>",
  i32x4: "vec4<i32>",
  i16x8: "vec4<i32>",
};

const literal = (e: Expr): string => {
  if (e.type === "u32") return `${e.value}u`;
  if (e.type === "i32") return e.value < 0 ? `(${e.value})` : `${e.value}`;
  if (e.type === "bool") return e.value ? "true" : "false";
  if (e.value === 0) return Object.is(e.value, -0) ? "-0.0" : "0.0";
  const text = `${e.value}`;
  return `${e.value < 0 ? "(" : ""}${/[.e]/.test(text) ? text : `${text}.0`}f${
    e.value < 0 ? ")" : ""
  }`;
};

const infix = (sign: string) => (_: Expr, [a, b]: readonly string[]): string =>
  `(${a} ${sign} ${b})`;
const call = (name: string) => (_: Expr, args: readonly string[]): string =>
  `${name}(${args.join(", ")})`;
const cast = (e: Expr, [a]: readonly string[]): string => `${TYPES[e.type]}(${a})`;
const bitcast = (e: Expr, [a]: readonly string[]): string => `bitcast<${TYPES[e.type]}>(${a})`;
const lanes = (join: (xs: string[]) => string) => (_: Expr, [a]: readonly string[]): string =>
  join(["x", "y", "z", "w"].map((k) => `${a}.${k}`));

type Write = (e: Expr, args: readonly string[]) => string;

const across4 = (op: string): Write => (_, parts) =>
  `vec4<f32>(${
    parts.map((p) => `${op}(${op}(${p}.x, ${p}.y), ${op}(${p}.z, ${p}.w))`).join(", ")
  })`;

const shift = (sign: string): Write => (e, [a, b]) =>
  e.type === "u32x4"
    ? `(${a} ${sign} vec4<u32>(${b}))`
    : e.type === "i32"
    ? `(${a} ${sign} u32(${b}))`
    : `(${a} ${sign} ${b})`;

const loadText = (arr: Arr, wide: boolean, at: string, vector: boolean): string => {
  if (!wide) return vector ? `${arr.name}[(${at}) >> 2u][(${at}) & 3]` : `${arr.name}[${at}]`;
  if (vector) return `${arr.name}[(${at}) >> 2u]`;
  const type = arr.elem === "f32" ? "vec4<f32>" : "vec4<u32>";
  return `${type}(${[0, 1, 2, 3].map((k) => `${arr.name}[(${at}) + ${k}]`).join(", ")})`;
};

/** 16-bit integer lanes exist on a CPU; a schedule for WGSL never asks for them. */
const noForm: Write = (e) => {
  throw new Error(`${e.op} has no form in WGSL`);
};

/** One entry an operator. `vectors` are arrays declared as four lanes an element. */
const table = (vectors: ReadonlySet<string>): Readonly<Record<Expr["op"], Write>> => ({
  const: (e) => literal(e),
  var: (e) => e.name,
  uniform: (e) => `args.${sizeName(e.name)}`,
  load: (e, [at]) =>
    e.value === ALIKE
      ? `workgroupUniformLoad(&${e.arr!.name}[${at}])`
      : loadText(e.arr!, e.type.endsWith("x4"), at, vectors.has(e.arr!.name)),
  halves: (e, [at]) => {
    const word = (k: number): string =>
      loadText(e.arr!, false, `((${at}) + ${k}) >> 1u`, vectors.has(e.arr!.name));
    const even = e.args[0].factor % 2 === 0;
    const half = (k: number): string => {
      if (even) return k % 2 === 0 ? `${word(k)} & 65535u` : `${word(k)} >> 16u`;
      return `(${word(k)} >> (u32(((${at}) + ${k}) & 1) * 16u)) & 65535u`;
    };
    return `numbers(vec4<u32>(${[0, 1, 2, 3].map(half).join(", ")}))`;
  },
  twice: (e, [at]) => {
    const [x, y] = [0, 1].map((k) =>
      loadText(e.arr!, false, `(${at}) + ${k}`, vectors.has(e.arr!.name))
    );
    return `(vec4<u32>(${x}, ${y}, ${x}, ${y}) >> vec4<u32>(0u, 0u, ${e.value}u, ${e.value}u))`;
  },
  select: (_, [c, a, b]) => `select(${b}, ${a}, ${c})`,
  lane: (e, [a]) => `${a}[${e.value}]`,
  vec4: cast_vec,
  madd: call("fma"),
  bytes: (e, [a]) => `vec4<f32>(unpack4xU8(${a}[${e.value}]))`,
  packBytes: (_, parts) => `vec4<u32>(${parts.map((p) => `pack4xU8(vec4<u32>(${p}))`).join(", ")})`,
  dot16: noForm,
  dot8: noForm,
  pairs: noForm,
  widen16: noForm,
  packWords: noForm,
  packI8: noForm,
  packI16: noForm,
  asI16: noForm,
  zip8: noForm,
  zip16: noForm,
  zip32: (e, [a, b]) => {
    const [x, y] = e.value === 0 ? "xy" : "zw";
    return `vec4<f32>((${a}).${x}, (${b}).${x}, (${a}).${y}, (${b}).${y})`;
  },
  unzip16: noForm,
  unzip32: (e, [a, b]) => {
    const places = e.value === 0 ? "xz" : "yw";
    return `vec4<f32>((${a}).${places}, (${b}).${places})`;
  },
  reversed: (_, [a]) => `(${a}).wzyx`,
  turned: (e, [a]) => `(${a}).${"xyzwxyz".slice(e.value, e.value + 4)}`,
  swizzle: noForm,
  lookup: noForm,
  above: noForm,
  roundedHalves: noForm,
  narrowU16: noForm,
  hmax4: across4("max"),
  hmin4: across4("min"),
  hsum4: (_, parts) => `vec4<f32>(${parts.map((p) => `dot(${p}, vec4<f32>(1.0))`).join(", ")})`,
  neg: (_, [a]) => `(-${a})`,
  abs: call("abs"),
  sqrt: call("sqrt"),
  exp: call("exp"),
  rint: call("round"),
  toF32: cast,
  toI32: cast,
  toU32: cast,
  asF32: bitcast,
  asU32: bitcast,
  splat: cast,
  not: (_, [a]) => `(!${a})`,
  popcount: call("countOneBits"),
  hsum: (_, [a]) => `dot(${a}, vec4<f32>(1.0))`,
  hmax: lanes(([x, y, z, w]) => `max(max(${x}, ${y}), max(${z}, ${w}))`),
  hmin: lanes(([x, y, z, w]) => `min(min(${x}, ${y}), min(${z}, ${w}))`),
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: infix("/"),
  rem: infix("%"),
  min: call("min"),
  max: call("max"),
  and: infix("&"),
  or: infix("|"),
  shl: shift("<<"),
  shr: shift(">>"),
  lt: infix("<"),
  le: infix("<="),
  eq: infix("=="),
});

function cast_vec(e: Expr, args: readonly string[]): string {
  return `${TYPES[e.type]}(${args.join(", ")})`;
}

const indent = (lines: readonly string[]): string[] => lines.map((l) => `  ${l}`);

/** Operators whose result may be too large for a number. */
const GROWING: ReadonlySet<Expr["op"]> = new Set(["add", "sub", "mul", "div", "exp", "madd"]);

const isConstant = (e: Expr): boolean =>
  e.op === "const" || (e.arr === undefined && e.args.length > 0 && e.args.every(isConstant));

/**
 * WGSL computes what is made of constants when it reads the text, and refuses an overflow there: a value
 * that passes through a function is computed when the kernel runs.
 */
const held = (e: Expr, code: string): string =>
  e.type === "f32" ? `held(${code})` : e.type === "f32x4" ? `held4(${code})` : code;
const HELD = `fn held(x : f32) -> f32 { return x; }
fn held4(x : vec4<f32>) -> vec4<f32> { return x; }`;

const printer = (lanesOfGroup: number, vectors: ReadonlySet<string>): Printer<string> => {
  const ops = table(vectors);
  return {
    expr: (e, args) =>
      ops[e.op](
        e,
        GROWING.has(e.op) && isConstant(e) ? args.map((code, i) => held(e.args[i], code)) : args,
      ),
    bind: (name, _e, code) => `let ${name} = ${code};`,
    ref: (name) => name,
    simple: (s, [a, b]) => {
      if (s.tag === "var") return `var ${s.name} : ${TYPES[s.type]} = ${a};`;
      if (s.tag === "assign") return `${s.name} = ${a};`;
      if (s.tag !== "store") throw new Error(`${s.tag} has a body`);
      const { arr, value } = s;
      if (!value.type.endsWith("x4")) return `${arr.name}[${a}] = ${b};`;
      if (vectors.has(arr.name)) return `${arr.name}[(${a}) >> 2u] = ${b};`;
      return `{ let s = ${b}; let i = ${a}; ${
        [0, 1, 2, 3].map((k) => `${arr.name}[i + ${k}] = s[${k}];`).join(" ")
      } }`;
    },
    nested: (s, args, body) => {
      if (s.tag === "if") return [`if (${args[0]}) {`, ...indent(body), "}"];
      if (s.tag === "for") {
        return [
          `for (var ${s.name} : i32 = ${args[0]}; ${s.name} < ${
            args[1]
          }; ${s.name} += ${s.step}) {`,
          ...indent(body),
          "}",
        ];
      }
      const { name } = s as Extract<Stmt, { tag: "par" }>;
      return [
        `for (var ${name} : i32 = lane; ${name} < ${args[0]}; ${name} += ${lanesOfGroup}) {`,
        ...indent(body),
        "}",
        "workgroupBarrier(); storageBarrier();",
      ];
    },
  };
};

/** Arrays that are only touched four elements at a time may be declared so. */
const vectorArrays = (kernel: Kernel): Set<string> => {
  const touched = new Map<string, boolean>();
  const note = (arr: Arr, wide: boolean): void => {
    touched.set(arr.name, (touched.get(arr.name) ?? true) && wide);
  };
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.op === "load") note(e.arr!, e.type.endsWith("x4") && e.args[0].factor % 4 === 0);
    if (e.op === "halves" || e.op === "twice") note(e.arr!, false);
    e.args.forEach(visit);
  };
  const walk = (block: Block): void =>
    block.forEach((s) => {
      if (s.tag === "store") {
        note(s.arr, s.value.type.endsWith("x4") && s.index.factor % 4 === 0);
        visit(s.index);
        visit(s.value);
      } else if (s.tag === "var" || s.tag === "assign") visit(s.value);
      else if (s.tag === "if") visit(s.condition);
      else if (s.tag === "for") [s.from, s.to].forEach(visit);
      else visit(s.count);
      if ("body" in s) walk(s.body);
    });
  walk(kernel.body);
  return new Set([...touched].filter(([, wide]) => wide).map(([name]) => name));
};

/** Halves as numbers, by bits: a device may flush subnormal halves in its own conversion. */
const NUMBERS = `fn numbers(h : vec4<u32>) -> vec4<f32> {
  let m = h & vec4<u32>(0x7fffu);
  let normal = bitcast<vec4<f32>>((m << vec4<u32>(13u)) + vec4<u32>(0x38000000u));
  let small = vec4<f32>(m) * 5.9604644775390625e-8;
  let size = select(normal, small, (h & vec4<u32>(0x7c00u)) == vec4<u32>(0u));
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(size) | ((h & vec4<u32>(0x8000u)) << vec4<u32>(16u)));
}`;

/** The module of one kernel. Binding i is array i; the last binding holds the uniforms. */
export const emitWgsl = (kernel: Kernel): string => {
  const vectors = vectorArrays(kernel);
  const elem = (a: Arr): string => vectors.has(a.name) ? `vec4<${a.elem}>` : a.elem;
  const body = place(kernel.body, printer(kernel.lanes, vectors));
  return [
    `struct Args { groups : u32, ${
      kernel.uniforms.map((u) => `${sizeName(u)} : i32`).join(", ")
    } }`,
    ...kernel.arrays.map((a, i) =>
      `@group(0) @binding(${i}) var<storage, ${
        a.mutable ? "read_write" : "read"
      }> ${a.name} : array<${elem(a)}>;`
    ),
    `@group(0) @binding(${kernel.arrays.length}) var<uniform> args : Args;`,
    ...kernel.shared.map((a) =>
      `var<workgroup> ${a.name} : array<${elem(a)}, ${
        vectors.has(a.name) ? Math.ceil(a.length / 4) : a.length
      }>;`
    ),
    ...(body.some((l) => l.includes("numbers(")) ? [NUMBERS] : []),
    ...(body.some((l) => /held4?\(/.test(l)) ? [HELD] : []),
    `@compute @workgroup_size(${kernel.lanes})`,
    "fn main(@builtin(workgroup_id) id : vec3<u32>, @builtin(num_workgroups) count : vec3<u32>,",
    "        @builtin(local_invocation_index) lane_index : u32) {",
    "  let flat = id.x + id.y * count.x;",
    "  if (flat >= args.groups) { return; }",
    `  let ${GROUP} = i32(flat);`,
    "  let lane = i32(lane_index);",
    ...indent(body),
    "}",
    "",
  ].join("\n");
};
