/**
 * The safetensors format: 8 bytes of header length, a JSON header of names, dtypes, shapes and byte
 * ranges, then the tensors back to back. A file is untrusted: the header is bounded, every tensor's
 * range must be as long as its shape and dtype say, and the ranges must tile the rest of the file,
 * so that no byte is shared, skipped or out of reach. Only the header is read before refusing.
 *
 * Does not do yet: integer and 8-bit dtypes, files in several shards.
 * @module
 */
import { type Either, isLeft, right } from "../fp.ts";
import { fail, type ModelError, quote, show } from "./errors.ts";
import { every, isObject, parseObject } from "./json.ts";
import { type Weight, weight, type Weights, type WeightType, widths } from "./weights.ts";

/** The longest header that is read; real ones take about 100 bytes a tensor. */
export const maxHeader: number = 16 * 1024 * 1024;
/** The most axes of a tensor. */
export const maxRank = 8;

type Entry = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: WeightType;
  readonly begin: number;
  readonly end: number;
};

const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;

const isCounts = (x: unknown): x is readonly number[] => Array.isArray(x) && x.every(isCount);

const isWeightType = (x: unknown): x is WeightType =>
  typeof x === "string" && Object.hasOwn(widths, x);

/** Bytes of a tensor; a product beyond exact integers is still larger than any file. */
const byteCount = (shape: readonly number[], dtype: WeightType): number =>
  shape.reduce((n, dim) => n * dim, widths[dtype]);

const parseEntry = ([name, value]: [string, unknown]): Either<ModelError, Entry> => {
  const where = `tensor ${quote(name)}`;
  if (!isObject(value)) return fail({ tag: "value", where, want: "an object", have: show(value) });
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isWeightType(dtype)) {
    return fail({ tag: "value", where, want: "dtype F32, F16 or BF16", have: show(dtype) });
  }
  if (!isCounts(shape)) {
    return fail({ tag: "value", where, want: "a shape of integers", have: show(shape) });
  }
  if (shape.length > maxRank) {
    return fail({ tag: "limit", where: `${where}, rank`, limit: maxRank, have: shape.length });
  }
  const [begin, end] = isCounts(offsets) && offsets.length === 2 ? offsets : [];
  if (begin === undefined || end === undefined || end < begin) {
    const want = "data_offsets [begin, end] with begin <= end";
    return fail({ tag: "value", where, want, have: show(offsets) });
  }
  const need = byteCount(shape, dtype);
  if (end - begin !== need) {
    return fail({ tag: "bytes", tensor: name, shape, dtype, need, have: end - begin });
  }
  return right({ name, shape, dtype, begin, end });
};

const checkMetadata = (value: unknown): Either<ModelError, null> => {
  if (value === undefined) return right(null);
  if (isObject(value) && Object.values(value).every((x) => typeof x === "string")) {
    return right(null);
  }
  return fail({ tag: "value", where: "__metadata__", want: "texts by name", have: show(value) });
};

/** The entries in file order, if they tile `size` bytes. */
const tile = (
  entries: readonly Entry[],
  size: number,
): Either<ModelError, readonly Entry[]> => {
  const sorted = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  let before = "the header";
  let at = 0;
  for (const { name, begin, end } of sorted) {
    if (begin !== at) {
      return fail({ tag: begin < at ? "overlap" : "gap", tensor: name, begin, before, end: at });
    }
    if (end > size) {
      return fail({ tag: "length", where: `tensor ${quote(name)}`, need: end, have: size });
    }
    [before, at] = [name, end];
  }
  if (at !== size) return fail({ tag: "length", where: "tensors", need: at, have: size });
  return right(sorted);
};

/** Reads a safetensors file. The bytes are borrowed, and decoded tensor by tensor on first use. */
export const parseSafetensors = (bytes: Uint8Array): Either<ModelError, Weights> => {
  if (bytes.length < 8) {
    return fail({ tag: "length", where: "header length", need: 8, have: bytes.length });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > maxHeader) {
    return fail({ tag: "limit", where: "header length", limit: maxHeader, have: length });
  }
  if (length > bytes.length - 8) {
    return fail({ tag: "length", where: "header", need: length, have: bytes.length - 8 });
  }
  const start = 8 + length;
  const header = parseObject("header", bytes.subarray(8, start), maxHeader);
  if (isLeft(header)) return header;
  const { __metadata__: metadata, ...tensors } = header.right;
  const checked = checkMetadata(metadata);
  if (isLeft(checked)) return checked;
  const entries = every(Object.entries(tensors), parseEntry);
  if (isLeft(entries)) return entries;
  const tiled = tile(entries.right, bytes.length - start);
  if (isLeft(tiled)) return tiled;
  return right(
    new Map(tiled.right.map(({ name, shape, dtype, begin, end }): [string, Weight] => [
      name,
      weight(shape, dtype, bytes.subarray(start + begin, start + end)),
    ])),
  );
};
