/**
 * The embedded device: WebAssembly SIMD, nothing to install. All tensors live in one growing memory;
 * freed blocks are reused by size class. A run is over when the call returns, with one thread as with
 * many: what is written, freed or disposed of afterwards is seen by no kernel of it.
 * @module
 */
import { bytesOf } from "../emit/binary.ts";
import { moduleOf, scratchBytes } from "../emit/wasm.ts";
import { emitWat } from "../emit/wat.ts";
import { DeviceError } from "../errors.ts";
import type { Step, Target } from "../kernel.ts";
import { type Crew, type Loaded, openCrew } from "./crew.ts";
import type { Device, Executable, Memory, Recorded } from "./device.ts";

interface Block extends Memory {
  readonly address: number;
  readonly bytes: number;
}

/** Scratch memory: where it lies, and bytes for each thread. */
interface Scratch {
  readonly address: number;
  readonly each: number;
}

interface Calls extends Recorded {
  readonly calls: readonly ((scratch: Scratch) => void)[];
  readonly needed: number;
  /** Held, since the bytes of its modules are given back with it. */
  readonly executable: Executable;
}

const PAGE = 65536;
const MAX_PAGES = 65536;
/** Reads of whole vectors may pass the end of a tensor by less than this. */
const SLACK = 64;
/** More are a mistake. */
const MAX_THREADS = 256;

/**
 * SIMD with products of small integers; group memory is ordinary memory, and values are walked within L1. One
 * thread stages once for many parts of a streaming fold; several need groups to share.
 */
export const wasmTarget = (threads: number): Target => ({
  dot16: true,
  exp: false,
  serial: true,
  groupFloats: 2 ** 16,
  cacheBytes: 2 ** 14,
  partsPerGroup: threads === 1 ? 64 : 1,
  // For any number of threads, so that all of them give the same sums.
  schedule: { chunk: 2048 },
});

/** The target of one thread. */
export const WASM_TARGET: Target = wasmTarget(1);

/** How to open the device. */
export interface WasmOptions {
  /** Fill fresh memory with NaN, so that a kernel that reads what nobody wrote is found out. */
  readonly poison?: boolean;
  /**
   * Threads that share the groups of a launch, the calling one included: a number, or as many as the
   * machine has (one, where a page may not share memory). One if not given.
   */
  readonly threads?: number | "all";
}

/** The embedded device. */
export interface WasmDevice extends Device {
  /**
   * Starts the threads and waits until all work along. Without it they start at the first launch that
   * can be shared, and join when they are there.
   */
  readonly start: () => Promise<void>;
}

/** How many threads are meant; throws where a number cannot be had. */
const threadsOf = (asked: number | "all"): number => {
  const shares = typeof SharedArrayBuffer === "function";
  if (asked === "all") {
    return shares ? Math.min(MAX_THREADS, globalThis.navigator?.hardwareConcurrency ?? 1) : 1;
  }
  if (!(Number.isInteger(asked) && asked >= 1 && asked <= MAX_THREADS)) {
    throw new DeviceError("wasm", `threads are ${asked}, not a count from 1 to ${MAX_THREADS}`);
  }
  if (asked > 1 && !shares) {
    throw new DeviceError(
      "wasm",
      `${asked} threads share memory, which is not to be had (a page must be cross-origin isolated)`,
    );
  }
  return asked;
};

/** The engine's module of these bytes. */
const accepted = (bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module => {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw new DeviceError(
      "wasm",
      `the engine refused ${bytes.length} bytes of kernels: ${(error as Error).message}`,
    );
  }
};

/**
 * Opens the embedded device.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { compile, input, map, openWasm } from "kvfold";
 * const device = openWasm({ threads: "all" });
 * const program = await compile({ y: map("mul", input("x", ["n"], "f32"), 2) }, { device });
 * const { y } = await program.values({ x: [1, 2, 3] });
 * ok(y.join() === "2,4,6");
 * device.close();
 * ```
 */
export const openWasm = (
  { poison = false, threads: asked = 1 }: WasmOptions = {},
): WasmDevice => {
  const threads = threadsOf(asked);
  const shared = threads > 1;
  const memory = new WebAssembly.Memory({ initial: 16, maximum: MAX_PAGES, shared });
  const crew: Crew | undefined = shared ? openCrew(memory, threads) : undefined;
  let closed: DeviceError | undefined;
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
    if (closed) throw closed;
    const bytes = sizeClass(words * 4 + SLACK);
    const old = free.get(bytes)?.pop();
    const address = old?.address ?? reserve(bytes);
    if (poison) new Uint32Array(memory.buffer, address, bytes / 4).fill(0xffffffff);
    return { words, bytes, address };
  };
  const giveBack = (block: Block): void => {
    free.set(block.bytes, [...free.get(block.bytes) ?? [], block]);
  };

  let held: { readonly block: Block; readonly each: number } | undefined;
  /** Scratch memory for every thread, at least this much each. */
  const scratchFor = (bytes: number): Scratch => {
    if (held === undefined || held.each < bytes) {
      if (held !== undefined) giveBack(held.block);
      // Whole lines of a processor's cache: no two threads write to one.
      const each = Math.ceil((bytes + SLACK) / 256) * 256;
      held = { block: alloc(threads * each / 4), each };
    }
    return { address: held.block.address, each: held.each };
  };

  let modules = 0;
  /** Bytes of modules lie in memory for as long as their program is held. */
  const unloaded = new FinalizationRegistry<Block>(giveBack);

  const build = (steps: readonly Step[]): Executable => {
    if (closed) throw closed;
    const bytes = bytesOf(moduleOf(steps.map((s) => s.kernel), shared));
    const { exports } = new WebAssembly.Instance(accepted(bytes), { kvfold: { memory } });
    const kernels = steps.map((s) => exports[s.kernel.name] as (...args: number[]) => void);
    const needed = Math.max(0, ...steps.map((s) => scratchBytes(s.kernel)));
    const block = crew && alloc(Math.ceil(bytes.length / 4));
    if (block) new Uint8Array(memory.buffer, block.address, bytes.length).set(bytes);
    const address = block?.address ?? 0;
    const loaded: Loaded = { id: modules++, address, bytes: bytes.length, kernels };
    const executable: Executable = {
      get text() {
        return emitWat(steps.map((s) => s.kernel), shared);
      },
      record: (launches): Calls => {
        const calls = launches.map(({ step, memory: blocks, uniforms, groups }) => {
          const args = [...blocks.map((m) => (m as Block).address), ...uniforms];
          return (scratch: Scratch): void => {
            const { address, each: stride } = scratch;
            if (crew === undefined) kernels[step](...args, address, 0, groups);
            else crew.run({ loaded, kernel: step, args, groups, scratch: address, stride });
          };
        });
        return { calls, needed, executable, free: () => {} };
      },
    };
    if (block) unloaded.register(executable, block);
    return executable;
  };
  return {
    name: "wasm",
    description: `WebAssembly SIMD, ${threads === 1 ? "one thread" : `${threads} threads`}`,
    target: wasmTarget(threads),
    build: async (steps) => await build(steps),
    run: (recorded) => {
      if (closed) return Promise.reject(closed);
      for (const { calls, needed } of recorded as readonly Calls[]) {
        const scratch = scratchFor(needed);
        calls.forEach((call) => call(scratch));
      }
      return Promise.resolve();
    },
    copy: (copies) => {
      const words = new Uint32Array(memory.buffer);
      const first = (m: Memory): number => (m as Block).address / 4;
      for (const c of copies) {
        const from = first(c.from) + c.at;
        words.copyWithin(first(c.to) + c.into, from, from + c.words);
      }
    },
    alloc,
    write: (m, data) => new Uint32Array(memory.buffer, (m as Block).address, m.words).set(data),
    read: (blocks) =>
      Promise.resolve(
        blocks.map((m) => new Uint32Array(memory.buffer, (m as Block).address, m.words).slice()),
      ),
    free: (m) => giveBack(m as Block),
    start: () => crew?.start() ?? Promise.resolve(),
    close: () => {
      closed = new DeviceError("wasm", "was closed");
      free.clear();
      crew?.close();
    },
  };
};
