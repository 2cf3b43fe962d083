import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { isLeft } from "../fp.ts";
import { describe, orThrow } from "./errors.ts";
import { testShared } from "./shared_test.ts";
import { parseTokenizer } from "./tokenizer.ts";
import { convertTokenizer } from "./wiki4m/convert_tokenizer.ts";

const read = (name: string): Uint8Array => readFileSync(new URL(name, import.meta.url));
const bytes = read("./wiki4m/tokenizer.json");
const json = new TextDecoder().decode(bytes);
const tokenizer = orThrow(parseTokenizer(bytes));

/** Ids by the SentencePiece library itself. */
const pinned: readonly (readonly [text: string, ids: readonly number[]])[] = [
  ["", [1]],
  ["The history of lighthouses", [1, 318, 1057, 590, 280, 311, 429, 368, 498, 273]],
  ["naïve 😀\n", [1, 310, 1233, 1407, 316, 1230, 243, 162, 155, 131, 13]],
  ["<s> x", [1, 1230, 1372, 1238, 1366, 1230, 1270]],
  ["  two", [1, 1230, 1230, 620]],
  ["hello  \n", [1, 449, 904, 1236, 1230, 1230, 13]],
];

/** SHA-256 of the ids of all held-out documents as u16, by the SentencePiece library itself. */
const heldOut = "5e4f241f9fb330a62b5cdf5882edf3ba8e8762e4a43c083f2c0e4c804e6be21e";

Deno.test("tokenizer: pinned examples, there and back", () => {
  assert.deepEqual([tokenizer.vocabSize, tokenizer.bos, tokenizer.eos], [2048, 1, 2]);
  for (const [text, ids] of pinned) {
    assert.deepEqual(tokenizer.encode(text), ids);
    assert.equal(tokenizer.decode(ids), text);
  }
});

Deno.test("tokenizer: the file alone is enough for the library", () => {
  const library = new Library(JSON.parse(json), { clean_up_tokenization_spaces: false });
  for (const [text, ids] of pinned) {
    assert.deepEqual(library.encode(text).ids, ids);
    if (ids.length > 1) assert.equal(library.decode(ids.slice(1)), text);
  }
});

Deno.test("tokenizer: decode keeps every byte, and cuts by id", () => {
  for (const text of ["\ufeffmark", "a\0b", " lead", "漢字\t\r\n", "trail "]) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assert.equal(tokenizer.decode([]), "");
  assert.equal(tokenizer.decode([1, 2]), "");
  assert.equal(tokenizer.decode([243]), "\ufffd");
  assert.throws(() => tokenizer.decode([2048]), /id 2048 is not in a vocabulary of 2048/);
  assert.throws(() => tokenizer.decode([-1]), RangeError);
});

Deno.test("tokenizer: the demonstration text is long enough, and survives", () => {
  const text = new TextDecoder().decode(read("./text/lighthouses.txt"));
  const ids = tokenizer.encode(text);
  assert.ok(ids.length >= 1400, `${ids.length} tokens`);
  assert.equal(tokenizer.decode(ids), text);
});

Deno.test("tokenizer: what is not of the family is refused by name", () => {
  const refusal = (text: string): string => {
    const result = parseTokenizer(new TextEncoder().encode(text));
    assert.ok(isLeft(result), "was accepted");
    return describe(result.left);
  };
  type Changed = Record<string, unknown> & {
    model: Record<string, unknown> & { vocab: Record<string, unknown>; merges: unknown[] };
  };
  const changed = (change: (file: Changed) => void): string => {
    const copy = JSON.parse(json) as Changed;
    change(copy);
    return refusal(JSON.stringify(copy));
  };
  assert.match(refusal(""), /tokenizer: /);
  assert.match(refusal("[]"), /wants an object/);
  assert.match(refusal("{}"), /model.type: wants "BPE"/);
  assert.match(refusal(json.slice(0, 1000)), /tokenizer: /);
  assert.match(changed((f) => f.model.type = "Unigram"), /model.type/);
  assert.match(changed((f) => f.normalizer = null), /normalizer: wants /);
  const evil = { type: "Split", pattern: { Regex: "(a+)+$" } };
  assert.match(changed((f) => f.pre_tokenizer = evil), /pre_tokenizer: wants null/);
  assert.match(changed((f) => f.added_tokens = [{ id: 1 }]), /added_tokens/);
  assert.match(changed((f) => f.post_processor = undefined), /post_processor.type/);
  assert.match(changed((f) => f.model.vocab["he"] = 2048), /id of "he" below 2048, has 2048/);
  assert.match(changed((f) => f.model.vocab["he"] = 261), /one piece with id 261/);
  assert.match(changed((f) => f.model.merges[3] = "t  h"), /merges\[3\]/);
  assert.match(changed((f) => f.model.merges[3] = 7), /merges\[3\].*has 7/);
  assert.match(changed((f) => f.model.merges[3] = "q z"), /merges\[3\].*has "q z"/);
});

testShared(
  "tokenizer: the ids of every held-out document are those that training saw",
  ["text/wiki_own_dev.txt", "text/wiki_own_dev_tokens.u16"],
  ([text, tokens]) => {
    const raw = readFileSync(tokens!);
    const want = Array.from({ length: raw.length / 2 }, (_, i) => raw.readUInt16LE(2 * i));
    const documents = readFileSync(text!, "utf8").split("\n\n").filter((d) => d.trim() !== "");
    const have: number[] = [];
    for (const document of documents) {
      const ids = tokenizer.encode(document);
      assert.equal(tokenizer.decode(ids), document);
      for (const id of ids) have.push(id);
    }
    assert.ok(have.length >= want.length, `${have.length} ids of ${want.length}`);
    const differs = want.findIndex((id, i) => have[i] !== id);
    assert.equal(differs, -1, `first difference at ${differs}`);
    // The stored ids are a prefix; the digest covers every document.
    const all = Buffer.from(Uint16Array.from(have).buffer);
    assert.equal(createHash("sha256").update(all).digest("hex"), heldOut);
  },
);

testShared(
  "tokenizer: the file is what the script makes",
  ["models/wiki4M/tok2048.model"],
  ([path]) => assert.equal(convertTokenizer(readFileSync(path!)), json),
);
