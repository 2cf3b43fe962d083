/**
 * Makes `tokenizer.json` from the SentencePiece model that training used:
 *
 *     deno run -RW models/wiki4m/convert_tokenizer.ts <tok2048.model> <output file>
 *
 * SentencePiece merges whatever adjacent pair joins to the best-scored piece; a `tokenizer.json`
 * lists pairs in order of preference. So each piece, best first, contributes every split of it into
 * two pieces. A piece that two splits make has two ranks instead of one, which is the only place
 * where the two could differ; the test compares them on every document at hand.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { normalizer, template } from "../tokenizer.ts";

type Field = { readonly id: number; readonly value: number | Uint8Array };
type Piece = { readonly text: string; readonly score: number; readonly kind: number };

/** The kind of a piece that text can become; the others are unknown, control and byte. */
const ordinary = 1;

const varint = (bytes: Uint8Array, at: number): readonly [value: number, next: number] => {
  let value = 0;
  for (let i = at, scale = 1; i < bytes.length && i < at + 10; i++, scale *= 128) {
    value += (bytes[i]! & 127) * scale;
    if (bytes[i]! < 128) return [value, i + 1];
  }
  throw new RangeError(`no integer at byte ${at}`);
};

/** The fields of a protocol buffer message. */
const fields = (bytes: Uint8Array): readonly Field[] => {
  const out: Field[] = [];
  for (let at = 0; at < bytes.length;) {
    const [key, start] = varint(bytes, at);
    const [id, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      const [value, next] = varint(bytes, start);
      out.push({ id, value });
      at = next;
      continue;
    }
    const [size, from] = wire === 2 ? varint(bytes, start) : [wire === 5 ? 4 : 8, start];
    at = from + size;
    if (![1, 2, 5].includes(wire) || at > bytes.length) {
      throw new RangeError(`field ${id} is of wire type ${wire} and ends at byte ${at}`);
    }
    out.push({ id, value: bytes.subarray(from, at) });
  }
  return out;
};

const readPiece = (bytes: Uint8Array): Piece => {
  const piece = { text: "", score: 0, kind: ordinary };
  for (const { id, value } of fields(bytes)) {
    if (id === 1 && typeof value !== "number") piece.text = new TextDecoder().decode(value);
    if (id === 2 && typeof value !== "number") {
      piece.score = new DataView(value.buffer, value.byteOffset, 4).getFloat32(0, true);
    }
    if (id === 3 && typeof value === "number") piece.kind = value;
  }
  return piece;
};

/** The pieces by id. */
const readPieces = (bytes: Uint8Array): readonly Piece[] =>
  fields(bytes).flatMap(({ id, value }) =>
    id === 1 && typeof value !== "number" ? [readPiece(value)] : []
  );

/** Every split of a piece into two pieces, as "left right". */
const splits = ({ text }: Piece, known: ReadonlySet<string>): readonly string[] => {
  const chars = [...text];
  return chars.slice(1).flatMap((_, i) => {
    const [a, b] = [chars.slice(0, i + 1).join(""), chars.slice(i + 1).join("")];
    return known.has(a) && known.has(b) ? [`${a} ${b}`] : [];
  });
};

/** The text of a `tokenizer.json`. */
export const convertTokenizer = (bytes: Uint8Array): string => {
  const pieces = readPieces(bytes);
  const mergeable = pieces.filter(({ kind }) => kind === ordinary);
  const known = new Set(mergeable.map(({ text }) => text));
  const best = mergeable.toSorted((a, b) => b.score - a.score);
  const file = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer,
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: template,
      pair: [...template, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "\u2581" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map(({ text }, id) => [text, id])),
      merges: best.flatMap((piece) => splits(piece, known)),
    },
  };
  return JSON.stringify(file, null, 2) + "\n";
};

if (import.meta.main) {
  const [source, target] = process.argv.slice(2);
  if (source === undefined || target === undefined) {
    console.error("usage: convert_tokenizer.ts <tok2048.model> <output file>");
    process.exit(2);
  }
  writeFileSync(target, convertTokenizer(readFileSync(source)));
}
