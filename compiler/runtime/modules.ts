/**
 * WebAssembly text to modules. The same text is assembled once a process: modules are kept by it, and
 * in a folder too where the device was opened with one (`runtime/folder.ts`).
 * @module
 */
import wabtFactory from "wabt";
import { cacheOf } from "../cache.ts";
import { DeviceError } from "../errors.ts";
import { fromFolder, toFolder } from "./folder.ts";

/** A module, and the bytes it was made from. */
export interface Assembled {
  readonly module: WebAssembly.Module;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Wabt = Awaited<ReturnType<typeof wabtFactory>>;
let assembler: Promise<Wabt> | undefined;

/** The features are those of Deno, Bun and current browsers. */
const FEATURES = { simd: true, relaxed_simd: true, bulk_memory: true, threads: true };

/**
 * The assembler, started once. The engine compiles it in the background: started before there is a text, it
 * is ready by the time there is one.
 */
export const startAssembler = (): Promise<Wabt> => assembler ??= wabtFactory();

/**
 * Text to bytes. A text that the assembler refuses is a {@link DeviceError}; one that ends its stack leaves
 * it in pieces, so the next text gets another.
 */
export const encode = async (text: string): Promise<Uint8Array<ArrayBuffer>> => {
  const wabt = await startAssembler();
  try {
    const parsed = wabt.parseWat("kvfold.wat", text, FEATURES);
    try {
      return parsed.toBinary({}).buffer as Uint8Array<ArrayBuffer>;
    } finally {
      parsed.destroy();
    }
  } catch (error) {
    assembler = undefined;
    throw refused("the assembler", text, error);
  }
};

const refused = (by: string, text: string, error: unknown): DeviceError => {
  const [reason] = (error as Error).message.split("\n", 1);
  return new DeviceError("wasm", `${by} refused ${text.length} bytes of text: ${reason}`);
};

/** Bytes to a module. */
const moduleOf = (bytes: Uint8Array<ArrayBuffer>, text: string): WebAssembly.Module => {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw refused("the engine", text, error);
  }
};

/** Modules that are kept. */
const KEPT = 64;
const modules = cacheOf<Assembled>(KEPT);

/** Is this what the text stands for, from outside: the same functions over one memory? */
const fits = (module: WebAssembly.Module, text: string): boolean => {
  const wanted = Array.from(text.matchAll(/\(export "([^"]*)"\)/g), ([, name]) => name);
  const [imports, exports] = [
    WebAssembly.Module.imports(module),
    WebAssembly.Module.exports(module),
  ];
  return imports.length === 1 && imports[0].kind === "memory" &&
    exports.every((e) => e.kind === "function") &&
    exports.map((e) => e.name).join() === wanted.join();
};

/** The module of a text from a folder, unless there is none that can be believed. */
const stored = async (folder: string, text: string): Promise<Assembled | undefined> => {
  const bytes = await fromFolder(folder, text);
  if (bytes === undefined || !WebAssembly.validate(bytes)) return undefined;
  const module = new WebAssembly.Module(bytes);
  return fits(module, text) ? { module, bytes } : undefined;
};

/** Text to a module. A folder gets each text that is asked for with it, known elsewhere or not. */
export const assemble = (text: string, folder?: string): Promise<Assembled> =>
  modules(JSON.stringify([folder, text]), async () => {
    const known = folder === undefined ? undefined : await stored(folder, text);
    if (known !== undefined) return known;
    const bytes = await encode(text);
    const module = moduleOf(bytes, text);
    if (folder !== undefined) await toFolder(folder, text, bytes);
    return { module, bytes };
  });
