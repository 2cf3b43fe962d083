/**
 * Blocks of a cache in a file, each compressed by DEFLATE (RFC 1951, `node:zlib`). Nothing in a file is
 * trusted: what is read is bounded by what a block must hold, and a block is believed only if its checksum
 * says what the file is of, which block it is, the parts that its codes belong to, and its bytes.
 *
 * ```text
 * head   "kvfold" 01 00 | length, u32 | what the cache is, UTF-8 | sha-256 of all of that
 * block  number, u32 | packed length, u32 | sha-256 of head, key, number and bytes | bytes, packed
 * ```
 * @module
 */
import { type Either, left, right } from "../../fp.ts";

const MAGIC = new Uint8Array([...new TextEncoder().encode("kvfold"), 1, 0]);
const HASH = 32;
/** Bytes before what a head, or a block, is of. */
export const HEAD_BYTES = MAGIC.length + 4;
/** See {@link HEAD_BYTES}. */
export const BLOCK_BYTES = 8 + HASH;
/** No description comes near it. */
const MOST_KIND = 2 ** 16;

/** Bytes that DEFLATE may take for so many: it stores what it cannot compress, 5 bytes for 2^14 or more. */
export const mostPacked = (bytes: number): number => bytes + 5 * Math.ceil(bytes / 2 ** 14) + 16;

/** What a file is of, what its codes belong to, and how many bytes a block holds. */
export interface Expected {
  readonly kind: string;
  readonly key: Uint8Array;
  readonly bytes: number;
}

/** A reader of a file: bytes from a place on, fewer where it ends. */
export type ReadAt = (at: number, count: number) => Promise<Uint8Array>;

/** Why a file was refused. */
export interface Refusal {
  /** Which block; none if it is the head. */
  readonly block?: number;
  readonly reason: string;
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
  return all;
};

const u32 = (...numbers: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(4 * numbers.length);
  numbers.forEach((n, i) => new DataView(bytes.buffer).setUint32(4 * i, n, true));
  return bytes;
};

const u32At = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);

/** The checksum of bytes. */
export const sha256 = async (...parts: readonly Uint8Array[]): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, "0")).join("");

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

const refused = <A>(reason: string, block?: number): Either<Refusal, A> =>
  left(block === undefined ? { reason } : { block, reason });

/** The head of a file. */
export const headOf = async (kind: string): Promise<Uint8Array> => {
  const text = new TextEncoder().encode(kind);
  const start = joined(MAGIC, u32(text.length), text);
  return joined(start, await sha256(start));
};

/** The checksum that a block must have. */
const sumOf = async ({ kind, key }: Expected, block: number, bytes: Uint8Array) =>
  await sha256(new TextEncoder().encode(kind), u32(key.length), key, u32(block), bytes);

/** A block as it lies in a file. */
export const blockOf = async (
  expected: Expected,
  block: number,
  bytes: Uint8Array,
): Promise<Uint8Array> => {
  const { deflateRawSync } = await import("node:zlib");
  const packed = new Uint8Array(deflateRawSync(bytes, { level: 9 }));
  return joined(u32(block, packed.length), await sumOf(expected, block, bytes), packed);
};

/** Where the first block is, if the file is of what is expected. */
export const readHead = async (
  read: ReadAt,
  { kind }: Expected,
): Promise<Either<Refusal, number>> => {
  const start = await read(0, HEAD_BYTES);
  if (start.length < HEAD_BYTES) {
    return refused(`ends after ${start.length} bytes, a head has ${HEAD_BYTES} and more`);
  }
  if (!same(start.subarray(0, MAGIC.length), MAGIC)) {
    return refused(`begins with ${hex(start)}, blocks of a cache with ${hex(MAGIC)}`);
  }
  const length = u32At(start, MAGIC.length);
  if (length > MOST_KIND) {
    return refused(`says that its description has ${length} bytes, at most ${MOST_KIND} are read`);
  }
  const rest = await read(HEAD_BYTES, length + HASH);
  if (rest.length < length + HASH) {
    return refused(`ends after ${HEAD_BYTES + rest.length} bytes, within its head`);
  }
  const [text, sum] = [rest.subarray(0, length), rest.subarray(length)];
  const found = await sha256(start, text);
  if (!same(found, sum)) return refused(`its head has the checksum ${hex(found)}, not ${hex(sum)}`);
  const of = new TextDecoder().decode(text);
  if (of !== kind) return refused(`is of ${of}, the cache is ${kind}`);
  return right(HEAD_BYTES + length + HASH);
};

/** The bytes of a block that lies at a place, and where the next one is. */
export const readBlock = async (
  read: ReadAt,
  at: number,
  expected: Expected,
  block: number,
): Promise<Either<Refusal, { readonly bytes: Uint8Array; readonly next: number }>> => {
  const start = await read(at, BLOCK_BYTES);
  if (start.length < BLOCK_BYTES) {
    return refused(`the file ends at byte ${at + start.length}, within its head`, block);
  }
  const [number, length] = [u32At(start, 0), u32At(start, 4)];
  if (number !== block) return refused(`block ${number} stands in its place`, block);
  if (length > mostPacked(expected.bytes)) {
    return refused(
      `says ${length} packed bytes, ${expected.bytes} never pack to more than ${
        mostPacked(expected.bytes)
      }`,
      block,
    );
  }
  const packed = await read(at + BLOCK_BYTES, length);
  if (packed.length < length) {
    return refused(`has ${packed.length} packed bytes, its head says ${length}`, block);
  }
  const { inflateRawSync } = await import("node:zlib");
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(inflateRawSync(packed, { maxOutputLength: expected.bytes }));
  } catch (error) {
    return refused(
      `does not unpack to ${expected.bytes} bytes: ${(error as Error).message}`,
      block,
    );
  }
  if (bytes.length !== expected.bytes) {
    return refused(`unpacks to ${bytes.length} bytes, holds ${expected.bytes}`, block);
  }
  const [sum, found] = [start.subarray(8), await sumOf(expected, block, bytes)];
  if (!same(found, sum)) {
    return refused(`bytes and fixed parts have the checksum ${hex(found)}, not ${hex(sum)}`, block);
  }
  return right({ bytes, next: at + BLOCK_BYTES + length });
};
