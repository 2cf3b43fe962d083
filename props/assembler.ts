/**
 * WebAssembly text to bytes by `wabt`: for modules written by hand, and to hold the compiler's own bytes to.
 * @module
 */
import wabtFactory from "wabt";

/** The features are those of Deno, Bun and current browsers. */
const FEATURES = { simd: true, relaxed_simd: true, bulk_memory: true, threads: true };

let assembler: ReturnType<typeof wabtFactory> | undefined;

/** The bytes of a text. */
export const assembled = async (text: string): Promise<Uint8Array<ArrayBuffer>> => {
  const parsed = (await (assembler ??= wabtFactory())).parseWat("kvfold.wat", text, FEATURES);
  try {
    return parsed.toBinary({}).buffer as Uint8Array<ArrayBuffer>;
  } finally {
    parsed.destroy();
  }
};
