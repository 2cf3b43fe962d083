/**
 * What was found for a text (the schedule of a program, `tune.ts`) in a folder, for processes to come. What
 * lies there is not trusted: a file that is cut off, damaged, too large, of another version or of another
 * text counts as none, and the checksum covers the key, so that no file stands in for another. (It is no
 * signature: who may write to the folder may change what is found.)
 *
 * ```text
 * <sha-256 of version and text>.kvfold:  "kvfold" 00 01 | length, u32 | sha-256 of key and bytes | bytes
 * ```
 * @module
 */

const MAGIC = new Uint8Array([...new TextEncoder().encode("kvfold"), 0, 1]);
const HASH = 32;
const HEAD = MAGIC.length + 4 + HASH;
/** Nothing that is found comes near it. */
const MOST_BYTES = 2 ** 24;

const sha256 = async (...parts: readonly Uint8Array[]): Promise<Uint8Array> => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
};

const keyOf = (text: string): Promise<Uint8Array> => sha256(MAGIC, new TextEncoder().encode(text));

const pathOf = (folder: string, key: Uint8Array): string =>
  `${folder}/${Array.from(key, (b) => b.toString(16).padStart(2, "0")).join("")}.kvfold`;

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

/** The bytes that were found for a text, or nothing. */
export const fromFolder = async (
  folder: string,
  text: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  const { open } = await import("node:fs/promises");
  const key = await keyOf(text);
  try {
    const file = await open(pathOf(folder, key));
    try {
      const { size } = await file.stat();
      if (size <= HEAD || size > HEAD + MOST_BYTES) return undefined;
      const all = new Uint8Array(size);
      const { bytesRead } = await file.read(all, 0, size, 0);
      const length = new DataView(all.buffer).getUint32(MAGIC.length, true);
      const bytes = all.slice(HEAD);
      const whole = bytesRead === size && length === bytes.length;
      if (!whole || !same(all.subarray(0, MAGIC.length), MAGIC)) return undefined;
      return same(all.subarray(HEAD - HASH, HEAD), await sha256(key, bytes)) ? bytes : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
};

/** Leaves what was found for a text in the folder; where that fails, there is nothing to find. */
export const toFolder = async (folder: string, text: string, bytes: Uint8Array): Promise<void> => {
  if (bytes.length > MOST_BYTES) return;
  const { mkdir, rename, rm, writeFile } = await import("node:fs/promises");
  const key = await keyOf(text);
  const all = new Uint8Array(HEAD + bytes.length);
  all.set(MAGIC);
  new DataView(all.buffer).setUint32(MAGIC.length, bytes.length, true);
  all.set(await sha256(key, bytes), HEAD - HASH);
  all.set(bytes, HEAD);
  // Written aside and moved: a reader sees all of a file or none.
  const aside = `${pathOf(folder, key)}.${crypto.randomUUID()}`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(aside, all);
    await rename(aside, pathOf(folder, key));
  } catch {
    await rm(aside, { force: true }).catch(() => {});
  }
};
