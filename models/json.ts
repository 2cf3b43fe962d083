/**
 * JSON from untrusted bytes: bounded, then UTF-8, then JSON, each with its own error.
 * @module
 */
import { type Either, isLeft, right } from "../fp.ts";
import { fail, type ModelError, show } from "./errors.ts";

/** A JSON object whose values are yet to be checked. */
export type Json = Readonly<Record<string, unknown>>;

/** True for a JSON object, not for a list. */
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const message = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 200);

/** Reads a JSON object of at most `limit` bytes. */
export const parseObject = (
  where: string,
  bytes: Uint8Array,
  limit: number,
): Either<ModelError, Json> => {
  if (bytes.length > limit) return fail({ tag: "limit", where, limit, have: bytes.length });
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return right(value);
    return fail({ tag: "value", where, want: "an object", have: show(value) });
  } catch (thrown) {
    return fail({ tag: "syntax", where, why: message(thrown) });
  }
};

/** Every element's result, or the first failure. */
export const every = <A, B>(
  items: Iterable<A>,
  read: (item: A) => Either<ModelError, B>,
): Either<ModelError, readonly B[]> => {
  const out: B[] = [];
  for (const item of items) {
    const result = read(item);
    if (isLeft(result)) return result;
    out.push(result.right);
  }
  return right(out);
};

/** A record of results as a result of a record, or the first failure. */
export const all = <A extends object>(
  results: { readonly [K in keyof A]: Either<ModelError, A[K]> },
): Either<ModelError, A> => {
  const out: Partial<A> = {};
  for (const key of Object.keys(results) as (keyof A)[]) {
    const result = results[key];
    if (isLeft(result)) return result;
    out[key] = result.right;
  }
  return right(out as A);
};
