/**
 * The embedded device: WebAssembly SIMD in this thread, nothing to install. All tensors live in one
 * growing memory; freed blocks are reused by size class.
 * @module
 */
import wabtFactory from "wabt";
import { emitWat, scratchBytes } from "../emit/wat.ts";
import { DeviceError } from "../errors.ts";
import type { Step, Target } from "../kernel.ts";
import type { Device, Executable, Memory } from "./device.ts";

interface Block extends Memory {
  readonly address: number;
  readonly bytes: number;
}

const PAGE = 65536;
const MAX_PAGES = 65536;
/** Reads of whole vectors may pass the end of a tensor by less than this. */
const SLACK = 64;

type Wabt = Awaited<ReturnType<typeof wabtFactory>>;
let assembler: Promise<Wabt> | undefined;

/** Text to a module; the features are those of Deno, Bun and current browsers. */
export const assemble = async (text: string): Promise<WebAssembly.Module> => {
  assembler ??= wabtFactory();
  const wabt = await assembler;
  const parsed = wabt.parseWat("kvfold.wat", text, {
    simd: true,
    relaxed_simd: true,
    bulk_memory: true,
  });
  try {
    const { buffer } = parsed.toBinary({});
    return new WebAssembly.Module(buffer as Uint8Array<ArrayBuffer>);
  } finally {
    parsed.destroy();
  }
};

/** SIMD with 16-bit products; group memory is ordinary memory, and values are walked within L1. */
export const WASM_TARGET: Target = {
  dot16: true,
  exp: false,
  groupFloats: 2 ** 16,
  cacheBytes: 2 ** 14,
  partsPerGroup: 64,
};

/** How to open the device. */
export interface WasmOptions {
  /** Fill fresh memory with NaN, so that a kernel that reads what nobody wrote is found out. */
  readonly poison?: boolean;
}

/** Opens the device. */
export const openWasm = ({ poison = false }: WasmOptions = {}): Device => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES });
  const free = new Map<number, Block[]>();
  let top = PAGE;
  const reserve = (bytes: number): number => {
    const address = top;
    top += bytes;
    const missing = Math.ceil((top + PAGE - memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      try {
        memory.grow(Math.max(missing, Math.min(256, MAX_PAGES - memory.buffer.byteLength / PAGE)));
      } catch {
        top -= bytes;
        throw new DeviceError(
          "wasm",
          `out of memory: ${bytes} bytes on top of ${memory.buffer.byteLength}`,
        );
      }
    }
    return address;
  };
  const sizeClass = (bytes: number): number => {
    const rounded = Math.ceil(bytes / 256) * 256;
    return rounded < 4096 ? rounded : Math.ceil(rounded / 4096) * 4096;
  };
  const alloc = (words: number): Block => {
    const bytes = sizeClass(words * 4 + SLACK);
    const old = free.get(bytes)?.pop();
    const address = old?.address ?? reserve(bytes);
    if (poison) new Uint32Array(memory.buffer, address, bytes / 4).fill(0xffffffff);
    return { words, bytes, address };
  };
  let scratch: Block | undefined;

  const build = async (steps: readonly Step[]): Promise<Executable> => {
    const text = emitWat(steps.map((s) => s.kernel));
    const instance = new WebAssembly.Instance(await assemble(text), { kvfold: { memory } });
    const functions = steps.map((s) =>
      instance.exports[s.kernel.name] as (...args: number[]) => void
    );
    const needed = Math.max(0, ...steps.map((s) => scratchBytes(s.kernel)));
    return {
      text,
      run: (launches) => {
        if (scratch === undefined || scratch.bytes < needed + SLACK) scratch = alloc(needed / 4);
        for (const { step, memory: blocks, uniforms, groups } of launches) {
          functions[step](
            ...blocks.map((m) => (m as Block).address),
            ...uniforms,
            scratch.address,
            groups,
          );
        }
        return Promise.resolve();
      },
    };
  };
  return {
    name: "wasm",
    description: "WebAssembly SIMD, one thread",
    target: WASM_TARGET,
    build,
    alloc,
    write: (m, data) => new Uint32Array(memory.buffer, (m as Block).address, m.words).set(data),
    read: (blocks) =>
      Promise.resolve(
        blocks.map((m) => new Uint32Array(memory.buffer, (m as Block).address, m.words).slice()),
      ),
    free: (m) => {
      const block = m as Block;
      free.set(block.bytes, [...free.get(block.bytes) ?? [], block]);
    },
    close: () => free.clear(),
  };
};
