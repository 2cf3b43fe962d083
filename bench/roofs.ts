/**
 * What this machine can do inside WebAssembly on one thread, measured in the run that uses it: bytes
 * copied and bytes read a second, and multiply-adds a second. Shares of these say how far a kernel is
 * from its roof; they are measured by hand-written kernels in the same engine, since a native copy or a
 * native multiply-add is no roof of ours.
 * @module
 */
import { assembled } from "../props/assembler.ts";
import type { Case } from "./harness.ts";

/** An instruction that multiplies and adds. */
interface Peak {
  /** Multiply-adds of one. */
  readonly lanes: number;
  /** What is added to `a`; it reads `a` as well, so that no engine takes it out of the loop. */
  readonly step: (x: string, a: string) => string;
}

/** The instructions that kernels multiply by; a kernel's peak is that of the widest in its text. */
const PEAKS = {
  "f32x4.relaxed_madd": { lanes: 4, step: (x, a) => `(f32x4.relaxed_madd ${x} ${x} ${a})` },
  "i32x4.dot_i16x8_s": {
    lanes: 8,
    step: (x, a) => `(i32x4.add ${a} (i32x4.dot_i16x8_s ${a} ${x}))`,
  },
  "i16x8.relaxed_dot_i8x16_i7x16_s": {
    lanes: 16,
    step: (x, a) => `(i16x8.add ${a} (i16x8.relaxed_dot_i8x16_i7x16_s ${a} ${x}))`,
  },
} as const satisfies Readonly<Record<string, Peak>>;

/** Names of these instructions. */
export type Instruction = keyof typeof PEAKS;

/** All of them, widest last. */
export const INSTRUCTIONS = Object.keys(PEAKS) as readonly Instruction[];

/** What a kernel's text multiplies by: the widest instruction in it. */
export const instructionOf = (text: string): Instruction =>
  INSTRUCTIONS.findLast((name) => text.includes(name)) ?? "f32x4.relaxed_madd";

/** Roofs of one thread. */
export interface Roofs {
  /** Copies this many bytes from one half of a memory to the other. */
  readonly copy: (bytes: number) => Case;
  /** Adds up this many bytes, four f32 at a time. */
  readonly read: (bytes: number) => Case;
  /** Runs this many multiply-adds by one instruction, all in registers. */
  readonly madds: (count: number, by?: Instruction) => Case;
}

const CHAINS = 10;
const PAGE = 65536;

const chain = (make: (i: number) => string): string =>
  Array.from({ length: CHAINS }, (_, i) => make(i)).join("\n");

const maddsText = (name: Instruction): string =>
  `(func (export "${name}") (param $n i32) (result f32)
  (local $x v128)
  ${chain((i) => `(local $a${i} v128)`)}
  (local.set $x (v128.load (i32.const 0)))
  (loop $l
    ${
    chain((i) => `(local.set $a${i} ${PEAKS[name].step("(local.get $x)", `(local.get $a${i})`)})`)
  }
    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (f32x4.extract_lane 0 ${
    Array.from({ length: CHAINS }, (_, i) => `(local.get $a${i})`).reduce((a, b) =>
      `(f32x4.add ${a} ${b})`
    )
  }))`;

const TEXT = `(module
(import "roof" "memory" (memory 1 65536))
(func (export "copy") (param $to i32) (param $from i32) (param $bytes i32)
  (memory.copy (local.get $to) (local.get $from) (local.get $bytes)))
(func (export "read") (param $at i32) (param $end i32) (result f32)
  (local $a v128) (local $b v128) (local $c v128) (local $d v128)
  (loop $l
    (local.set $a (f32x4.add (local.get $a) (v128.load (local.get $at))))
    (local.set $b (f32x4.add (local.get $b) (v128.load offset=16 (local.get $at))))
    (local.set $c (f32x4.add (local.get $c) (v128.load offset=32 (local.get $at))))
    (local.set $d (f32x4.add (local.get $d) (v128.load offset=48 (local.get $at))))
    (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end))))
  (f32x4.extract_lane 0 (f32x4.add (f32x4.add (local.get $a) (local.get $b))
    (f32x4.add (local.get $c) (local.get $d)))))
${INSTRUCTIONS.map((name) => maddsText(name)).join("\n")})`;

/** Kernels of the roofs over a memory of `bytes` twice. */
export const openRoofs = async (bytes: number): Promise<Roofs> => {
  const half = Math.ceil(bytes / PAGE) * PAGE;
  const memory = new WebAssembly.Memory({ initial: 2 * half / PAGE, maximum: PAGE });
  new Uint32Array(memory.buffer).fill(0x3f800000);
  const module = new WebAssembly.Module(await assembled(TEXT));
  const { exports } = new WebAssembly.Instance(module, { roof: { memory } });
  const call = (name: string, ...args: number[]): Case["run"] => () => {
    (exports[name] as (...xs: number[]) => number | void)(...args);
  };
  return {
    copy: (n) => ({ name: "copy", run: call("copy", half, 0, n) }),
    read: (n) => ({ name: "read", run: call("read", 0, n) }),
    madds: (n, by = "f32x4.relaxed_madd") => ({
      name: by,
      run: call(by, Math.ceil(n / (PEAKS[by].lanes * CHAINS))),
    }),
  };
};
