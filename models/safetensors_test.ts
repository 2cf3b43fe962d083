import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { isLeft, isRight } from "../fp.ts";
import { describe, ModelFailure, orThrow } from "./errors.ts";
import { parseSafetensors } from "./safetensors.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A file with any header and any bytes after it. */
const file = (header: unknown, data: readonly number[] = [], length?: bigint): Uint8Array => {
  const json = typeof header === "string" ? encode(header) : encode(JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
};

const one = (dtype: string, shape: unknown, offsets: unknown): unknown => ({
  t: { dtype, shape, data_offsets: offsets },
});

const four = [0, 0, 0x80, 0x3f];

/** The tag of the refusal, and its text. */
const refusal = (bytes: Uint8Array): readonly [string, string] => {
  const result = parseSafetensors(bytes);
  assert.ok(isLeft(result), "was accepted");
  return [result.left.tag, describe(result.left)];
};

Deno.test("safetensors: reads the three dtypes, unaligned, in any order", () => {
  const weights = orThrow(parseSafetensors(file({
    __metadata__: { format: "pt" },
    c: { dtype: "F32", shape: [1, 1], data_offsets: [4, 8] },
    a: { dtype: "F16", shape: [1], data_offsets: [0, 2] },
    b: { dtype: "BF16", shape: [], data_offsets: [2, 4] },
    none: { dtype: "F32", shape: [0, 3], data_offsets: [8, 8] },
  }, [0x00, 0x3c, 0x20, 0xc0, ...four])));
  assert.deepEqual([...weights.keys()], ["a", "b", "c", "none"]);
  assert.deepEqual(weights.get("a")!.data, Float32Array.of(1));
  assert.deepEqual(weights.get("b")!.data, Float32Array.of(-2.5));
  assert.deepEqual(weights.get("c")!.data, Float32Array.of(1));
  assert.deepEqual(weights.get("none")!.data, new Float32Array(0));
  assert.deepEqual(weights.get("c")!.shape, [1, 1]);
  assert.equal(weights.get("a")!.data, weights.get("a")!.data, "decoded once");
});

Deno.test("safetensors: a Node buffer inside a larger one is read where it lies", () => {
  const inner = file(one("F32", [1], [0, 4]), four);
  const outer = Buffer.alloc(inner.length + 13);
  outer.set(inner, 5);
  const weights = orThrow(parseSafetensors(outer.subarray(5, 5 + inner.length)));
  assert.deepEqual(weights.get("t")!.data, Float32Array.of(1));
});

Deno.test("safetensors: a name is only a name", () => {
  const header = '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const weights = orThrow(parseSafetensors(file(header, four)));
  assert.deepEqual([...weights.keys()], ["__proto__"]);
});

Deno.test("safetensors: hostile files are refused, and the error names what disagrees", () => {
  const huge = 2 ** 52;
  const cases: readonly (readonly [bytes: Uint8Array, tag: string, text: RegExp])[] = [
    [new Uint8Array(0), "length", /needs 8 bytes, has 0/],
    [file("{}", [], 2n ** 64n - 1n), "limit", /header length.*16777216/],
    [file("{}", [], 100n), "length", /header: needs 100 bytes, has 2/],
    [file(""), "syntax", /header/],
    [file("{"), "syntax", /header/],
    [file("[".repeat(100_000)), "syntax", /header/],
    [file("[]"), "value", /wants an object, has \[\]/],
    [file({}, [1]), "length", /needs 0 bytes, has 1/],
    [file({ __metadata__: { a: 1 } }), "value", /__metadata__/],
    [file({ t: null }), "value", /tensor "t": wants an object, has null/],
    [file(one("I64", [1], [0, 8])), "value", /dtype.*"I64"/],
    [file(one("toString", [1], [0, 8])), "value", /dtype.*"toString"/],
    [file(one("F32", [-1], [0, 4]), four), "value", /shape.*\[-1\]/],
    [file(one("F32", [1.5], [0, 4]), four), "value", /shape.*\[1.5\]/],
    [file(one("F32", "1", [0, 4]), four), "value", /shape/],
    [file(one("F32", Array(9).fill(1), [0, 4]), four), "limit", /rank: is 9, over the limit of 8/],
    [file(one("F32", [1], [4, 0]), four), "value", /begin <= end, has \[4, 0\]/],
    [file(one("F32", [1], [0])), "value", /data_offsets/],
    [file(one("F32", [1], [0, 4, 8]), four), "value", /data_offsets/],
    [file(one("F32", [2], [0, 4]), four), "bytes", /"t": F32 \[2\] takes 8 bytes.*span 4/],
    [file(one("F16", [huge, huge], [0, 4]), four), "bytes", /takes .* span 4/],
    [file(one("F32", [1], [0, 4]), [0, 0]), "length", /tensor "t": needs 4 bytes, has 2/],
    [file(one("F32", [2 ** 40], [0, 2 ** 42])), "length", /has 0/],
    [file(one("F32", [1], [0, 4]), [...four, 9]), "length", /tensors: needs 4 bytes, has 5/],
    [file(one("F32", [1], [4, 8]), [...four, ...four]), "gap", /"t": begins at 4.*ends at 0/],
    [
      file({
        a: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
        b: { dtype: "F16", shape: [1], data_offsets: [2, 4] },
      }, four),
      "overlap",
      /"b": begins at 2, but "a" ends at 4/,
    ],
  ];
  for (const [bytes, tag, text] of cases) {
    const [foundTag, foundText] = refusal(bytes);
    assert.equal(foundTag, tag, foundText);
    assert.match(foundText, text);
  }
  const badText = file("{}");
  badText[9] = 0xff;
  assert.equal(refusal(badText)[0], "syntax");
});

Deno.test("safetensors: a hostile name does not flood the error", () => {
  const name = `a\n${"x".repeat(1e6)}`;
  const [, text] = refusal(file({ [name]: { dtype: "I8", shape: [], data_offsets: [0, 1] } }, [0]));
  assert.ok(text.length < 300 && !text.includes("\n"));
});

Deno.test("safetensors: every truncation of a good file is refused", () => {
  const good = file(one("F32", [2], [0, 8]), [...four, ...four]);
  assert.ok(isRight(parseSafetensors(good)));
  for (let n = 0; n < good.length; n++) refusal(good.subarray(0, n));
});

Deno.test("safetensors: truncated and stretched model files fail fast", () => {
  const bytes = readFileSync(new URL("./wiki4m/model.safetensors", import.meta.url));
  const begun = performance.now();
  for (const n of [0, 7, 8, 100, 5000, bytes.length - 1]) refusal(bytes.subarray(0, n));
  assert.equal(refusal(Buffer.concat([bytes, Buffer.alloc(4)]))[0], "length");
  assert.ok(performance.now() - begun < 1000);
});

Deno.test("safetensors: the throwing form carries the error", () => {
  assert.throws(() => orThrow(parseSafetensors(new Uint8Array(3))), (thrown: unknown) => {
    assert.ok(thrown instanceof ModelFailure);
    assert.deepEqual(thrown.error, { tag: "length", where: "header length", need: 8, have: 3 });
    return true;
  });
});
