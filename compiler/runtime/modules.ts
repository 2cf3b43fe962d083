/**
 * WebAssembly text to modules. The same text is assembled once: modules are kept by it.
 * @module
 */
import wabtFactory from "wabt";
import { cacheOf } from "../cache.ts";

/** A module, and the bytes it was made from. */
export interface Assembled {
  readonly module: WebAssembly.Module;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Wabt = Awaited<ReturnType<typeof wabtFactory>>;
let assembler: Promise<Wabt> | undefined;

/** The features are those of Deno, Bun and current browsers. */
const FEATURES = { simd: true, relaxed_simd: true, bulk_memory: true, threads: true };

/** Text to bytes. */
const encode = async (text: string): Promise<Uint8Array<ArrayBuffer>> => {
  assembler ??= wabtFactory();
  const parsed = (await assembler).parseWat("kvfold.wat", text, FEATURES);
  try {
    return parsed.toBinary({}).buffer as Uint8Array<ArrayBuffer>;
  } finally {
    parsed.destroy();
  }
};

/** Modules that are kept. */
const KEPT = 64;
const modules = cacheOf<Assembled>(KEPT);

/** Text to a module. */
export const assemble = (text: string): Promise<Assembled> =>
  modules(text, async () => {
    const bytes = await encode(text);
    return { module: new WebAssembly.Module(bytes), bytes };
  });
