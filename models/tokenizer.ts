/**
 * Text to token ids and back: SentencePiece BPE with byte fallback, as a `tokenizer.json` describes
 * it. Merging is the work of `@huggingface/tokenizers`; this file checks an untrusted description
 * before that library sees it, and turns ids into bytes itself, so that `decode` undoes `encode` on
 * every well-formed text without U+2581 (the library drops a byte order mark).
 *
 * Only one family is understood: a prefix space, spaces as U+2581, BOS in front. Special tokens are
 * never read from the text: "<s>" in a text is three characters, as in SentencePiece.
 * @module
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { type Either, isLeft, right } from "../fp.ts";
import { fail, type ModelError, quote, show } from "./errors.ts";
import { isObject, type Json, parseObject } from "./json.ts";

/** Text to ids and back. */
export type Tokenizer = {
  /** Number of ids. */
  readonly vocabSize: number;
  /** The id that begins a text. */
  readonly bos: number;
  /** The id that ends a text. */
  readonly eos: number;
  /** Ids of a text, BOS first. */
  readonly encode: (text: string) => number[];
  /** Text of ids. Special tokens have none; bytes that are not UTF-8 become U+FFFD. */
  readonly decode: (ids: readonly number[]) => string;
};

const maxBytes = 1 << 24;
const space = "\u2581";
const specials = ["<unk>", "<s>", "</s>"] as const;

/** The normalizer of this family. */
export const normalizer = {
  type: "Sequence",
  normalizers: [
    { type: "Prepend", prepend: space },
    { type: "Replace", pattern: { String: " " }, content: space },
  ],
} as const;

/** The template of this family: BOS, then the text. */
export const template = [
  { SpecialToken: { id: "<s>", type_id: 0 } },
  { Sequence: { id: "A", type_id: 0 } },
] as const;

/** The piece that stands for one byte. */
export const bytePiece = (byte: number): string =>
  `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

const bytePieces: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 256 }, (_, byte) => [bytePiece(byte), byte]),
);

/** Pieces by id, if ids count up from 0 without holes. */
const readVocab = (vocab: unknown): Either<ModelError, readonly string[]> => {
  const where = "model.vocab";
  if (!isObject(vocab)) return fail({ tag: "value", where, want: "an object", have: show(vocab) });
  const entries = Object.entries(vocab);
  const pieces = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [piece, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= pieces.length) {
      const want = `an id of ${quote(piece)} below ${pieces.length}`;
      return fail({ tag: "value", where, want, have: show(id) });
    }
    if (pieces[id] !== undefined) {
      const want = `one piece with id ${id}`;
      return fail({ tag: "value", where, want, have: `${quote(pieces[id])} and ${quote(piece)}` });
    }
    pieces[id] = piece;
  }
  for (const piece of [...specials, ...bytePieces.keys()]) {
    if (!Object.hasOwn(vocab, piece)) {
      return fail({ tag: "value", where, want: `the piece ${piece}`, have: "none" });
    }
  }
  return right(pieces as string[]);
};

/** A merge is two pieces with a blank between, and they join to a piece. */
const checkMerges = (merges: unknown, known: ReadonlySet<string>): Either<ModelError, null> => {
  const where = "model.merges";
  if (!Array.isArray(merges)) {
    return fail({ tag: "value", where, want: "a list", have: show(merges) });
  }
  for (const [i, merge] of merges.entries()) {
    const parts = typeof merge === "string" ? merge.split(" ") : [];
    if (parts.length !== 2 || ![...parts, parts.join("")].every((part) => known.has(part))) {
      const want = "two pieces that join to a piece";
      return fail({ tag: "value", where: `${where}[${i}]`, want, have: show(merge) });
    }
  }
  return right(null);
};

/** What the description must say to be of this family. */
const checkFamily = (json: Json, model: Json): Either<ModelError, null> => {
  const post = isObject(json.post_processor) ? json.post_processor : {};
  const facts: readonly (readonly [where: string, want: unknown, have: unknown])[] = [
    ["model.type", "BPE", model.type],
    ["model.byte_fallback", true, model.byte_fallback],
    ["model.unk_token", "<unk>", model.unk_token],
    ["model.ignore_merges", false, model.ignore_merges ?? false],
    ["model.end_of_word_suffix", null, model.end_of_word_suffix ?? null],
    ["model.continuing_subword_prefix", null, model.continuing_subword_prefix ?? null],
    ["normalizer", normalizer, json.normalizer],
    ["pre_tokenizer", null, json.pre_tokenizer],
    ["added_tokens", [], json.added_tokens],
    ["post_processor.type", "TemplateProcessing", post.type],
    ["post_processor.single", template, post.single],
  ];
  for (const [where, want, have] of facts) {
    const [a, b] = [JSON.stringify(want), JSON.stringify(have) ?? "nothing"];
    if (a !== b) return fail({ tag: "value", where, want: a, have: quote(b) });
  }
  return right(null);
};

const decoder = (pieces: readonly string[]): Tokenizer["decode"] => {
  const utf8 = new TextEncoder();
  const bytesOf = pieces.map((piece) => {
    const byte = bytePieces.get(piece);
    if (byte !== undefined) return Uint8Array.of(byte);
    const silent = specials.some((special) => special === piece);
    return utf8.encode(silent ? "" : piece.replaceAll(space, " "));
  });
  return (ids) => {
    const parts = ids.map((id) => {
      const bytes = bytesOf[id];
      if (bytes !== undefined) return bytes;
      throw new RangeError(`id ${id} is not in a vocabulary of ${pieces.length}`);
    });
    const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    // The prefix space is not part of the text.
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
    return text.startsWith(" ") ? text.slice(1) : text;
  };
};

/** Reads and checks a `tokenizer.json`. */
export const parseTokenizer = (bytes: Uint8Array): Either<ModelError, Tokenizer> => {
  const parsed = parseObject("tokenizer", bytes, maxBytes);
  if (isLeft(parsed)) return parsed;
  const json = parsed.right;
  const model = isObject(json.model) ? json.model : {};
  const family = checkFamily(json, model);
  if (isLeft(family)) return family;
  const pieces = readVocab(model.vocab);
  if (isLeft(pieces)) return pieces;
  const merges = checkMerges(model.merges, new Set(pieces.right));
  if (isLeft(merges)) return merges;
  const library = new Library(json, { clean_up_tokenization_spaces: false });
  return right({
    vocabSize: pieces.right.length,
    bos: pieces.right.indexOf("<s>"),
    eos: pieces.right.indexOf("</s>"),
    encode: (text) => library.encode(text).ids,
    decode: decoder(pieces.right),
  });
};
