/**
 * What is compared: every listed scheme at every width it takes, and schemes of the user's own from a file.
 *
 * A file of schemes is a module: each of its exports that is a codec, `{ k, v }` of two codecs, or a scheme that
 * chooses tokens is an entry under its own name.
 *
 * ```ts
 * import { hadamard, on, quantize } from "kvfold";
 * import { pipe } from "kvfold/fp";
 *
 * const codes = quantize({ bits: 3, per: 64, range: "asymmetric" });
 * export const mine = pipe(hadamard(), on("values", codes));
 * ```
 * @module
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Either, left, right } from "../../fp.ts";
import {
  type Bits,
  choose,
  type Chosen,
  type Codec,
  compile,
  decomposed,
  expectedAttention,
  f16,
  FORMATS,
  h2o,
  identity,
  kivi,
  kvquant,
  lathe,
  mikv,
  rtnGrouped,
  type SchemeName,
  SCHEMES,
  snapkv,
  streamingllm,
  WIDTHS,
  zipcache,
} from "../../mod.ts";
import { calibrate, GRAIN, GRAIN_BEFORE, KVTC } from "../../models/calibrate.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { Model } from "../../models/load.ts";
import { ropeOf } from "../../models/rope.ts";
import type { Codecs, Runner } from "../../models/runner.ts";

/** A way to hold a cache. */
export interface Entry {
  /** What tables and plots call it. */
  readonly name: string;
  /** Points of a family have one colour and one line. */
  readonly family: string;
  /** Codecs of a layer, with so many tokens behind those that a scheme chooses among: none unless given. */
  readonly held: (layer: number, later?: number) => Codecs;
  /** Measured after a prompt: it drops tokens or chooses among them when a prompt ends, or stands beside those. */
  readonly prompted?: boolean;
}

/** The family of schemes from a file; they need not have anything to do with one another. */
export const OWN = "mine";

const pair = (family: string, name: string, codecs: Codecs): Entry => ({
  name,
  family,
  held: () => codecs,
});

/** Keys and values alike. */
export const both = (family: string, name: string, codec: Codec): Entry =>
  pair(family, name, { k: codec, v: codec });

/** A scheme that chooses tokens. */
const choosing = (family: string, name: string, scheme: Chosen): Entry => ({
  name,
  family,
  held: (_layer, later = 0) => later === 0 ? scheme : scheme.after(later),
  prompted: true,
});

const FOUR = rtnGrouped(4);

/** What drops nothing, measured as those are that do. */
const prompted = (bits: Bits): Entry => ({
  ...both("prompted", `prompted rtnGrouped ${bits}`, rtnGrouped(bits)),
  prompted: true,
});

/** Schemes that drop tokens, alone in f16 and joined with codes: newest ones, and shares of those before them. */
const dropping = (): readonly Entry[] => [
  ...([8, 4, 3, 2] as const).map(prompted),
  ...[192, 96].flatMap((recent) => [
    choosing("streamingllm", `streamingllm ${recent}`, streamingllm({ recent }, f16)),
    choosing("streamingllm", `streamingllm ${recent} 4`, streamingllm({ recent }, FOUR)),
  ]),
  ...([["snapkv", snapkv], ["h2o", h2o], ["expected", expectedAttention]] as const).flatMap((
    [name, scheme],
  ) =>
    [0.5, 0.25, 0.1].flatMap((keep) => [
      choosing(name, `${name} ${keep}`, scheme({ keep }, f16)),
      choosing(name, `${name} ${keep} 4`, scheme({ keep }, FOUR)),
    ])
  ),
];

/** More bits for tokens that count more, none dropped. */
const mixed = (): readonly Entry[] => [
  ...[0.5, 0.25, 0.1].map((salient) =>
    choosing(
      "zipcache",
      `zipcache ${salient} 4 2`,
      zipcache({ salient }, [rtnGrouped(4), rtnGrouped(2)]),
    )
  ),
  ...[0.25, 0.1].flatMap((important) => [
    choosing("mikv", `mikv ${important} 8 2`, mikv({ important }, [rtnGrouped(8), rtnGrouped(2)])),
    choosing("mikv", `mikv ${important} 4 2`, mikv({ important }, [rtnGrouped(4), rtnGrouped(2)])),
  ]),
];

/** The cache that nothing is lost in. */
export const BASE: Entry = both("f32", "f32", identity);

/** Every scheme at every width it takes, widest first; the second form of DecoQuant has no bits to save. */
export const listed = (): readonly Entry[] => [
  ...([8, 4, 3, 2, 1] as const).flatMap((bits: Bits) =>
    Object.entries(SCHEMES)
      .filter(([name]) => name !== "decoquantA" && WIDTHS[name as SchemeName].includes(bits))
      .map(([name, make]) => both(name, `${name} ${bits}`, make(bits)))
  ),
  ...Object.entries(FORMATS).filter(([name]) => !/^oscar/.test(name))
    .map(([name, codec]) => both("formats", name, codec)),
  pair("oscar", "oscar", { k: FORMATS.oscarK, v: FORMATS.oscarV }),
  ...([4, 2] as const).map((bits) => pair("kivi", `kivi ${bits}`, kivi(bits))),
  pair("rtnGrouped", "rtnGrouped K4V2", { k: rtnGrouped(4), v: rtnGrouped(2) }),
  ...mixed(),
  ...dropping(),
];

/** Keys whose mean, or all of them, are held as they were before the model's RoPE turned them. */
export const beforeRope = (config: ModelConfig): readonly (Entry & { readonly width: Bits })[] => {
  const rope = ropeOf(config);
  return Object.entries({ "lathe rope": lathe, "kvquant rope": kvquant }).flatMap(
    ([family, scheme]) =>
      ([4, 3, 2] as const).map((width) => ({
        ...pair(family, `${family} ${width}`, { k: scheme(width, { rope }), v: scheme(width) }),
        width,
      })),
  );
};

/** Schemes that calibration allots bits to. */
export const ALLOTTED = { grain: GRAIN, "grain rope": GRAIN_BEFORE, kvtc: KVTC } as const;

/** Words of codes a token that schemes which allot them are asked for. */
const WORDS = [12.5, 8.5, 7.25, 4.5] as const;

/** Schemes that are fitted to the model on a text of their own. */
export const fitted = async (
  runner: Runner,
  model: Model,
  text: readonly number[],
): Promise<readonly Entry[]> => {
  const entries: Entry[] = [];
  for (const [family, graded] of Object.entries(ALLOTTED)) {
    const made = await calibrate(runner, model, [text], graded);
    entries.push(...WORDS.map((words) => {
      const { codecs, bits } = made(words);
      return { name: `${family} ${bits.toFixed(2)}`, family, held: codecs };
    }));
  }
  return entries;
};

/** A decomposition for each layer's keys and values, chosen by a text that the model reads on the f32 cache. */
export const adapted = async (
  runner: Runner,
  text: readonly number[],
): Promise<readonly Entry[]> => {
  const { layers } = await runner.run(text, undefined, { see: true });
  const { kvHeads, headDim } = runner.config;
  const found: Entry[] = [];
  for (const bits of [4, 2] as const) {
    const scheme = decomposed(bits, headDim);
    const held: Codecs[] = [];
    for (const { seen } of layers) {
      const [k, v] = [seen!.k[0], seen!.v[0]];
      const by = (x: Float64Array) => choose(compile, scheme, [kvHeads, "tokens", headDim], x);
      held.push({ k: (await by(k)).codec, v: (await by(v)).codec });
    }
    found.push({ name: `decomposed ${bits}`, family: "decomposed", held: (layer) => held[layer]! });
  }
  return found;
};

/** Why a file of schemes was refused. */
export class SchemeFileError extends Error {
  override readonly name = "SchemeFileError";
  constructor(path: string, why: string) {
    super(`schemes of ${path}: ${why}`);
  }
}

/** No scheme has a name that begins as asked. */
export class NoSchemeError extends Error {
  override readonly name = "NoSchemeError";
  constructor(asked: string, families: readonly string[]) {
    super(`no scheme's name begins with "${asked}": there are ${families.join(", ")}`);
  }
}

/** The entries whose names begin with one of `prefixes`; a prefix of none is refused. */
export const chosen = (
  entries: readonly Entry[],
  prefixes: readonly string[] | undefined,
): Either<NoSchemeError, readonly Entry[]> => {
  if (prefixes === undefined) return right(entries);
  const idle = prefixes.find((p) => !entries.some(({ name }) => name.startsWith(p)));
  return idle === undefined
    ? right(entries.filter(({ name }) => prefixes.some((p) => name.startsWith(p))))
    : left(new NoSchemeError(idle, [...new Set(entries.map(({ family }) => family))]));
};

const isCodec = (x: unknown): x is Codec =>
  typeof x === "object" && x !== null &&
  ["encode", "decode"].every((f) => typeof (x as Record<string, unknown>)[f] === "function");

const entryOf = (name: string, x: unknown): Entry | undefined => {
  if (isCodec(x)) return both(OWN, name, x);
  if (typeof x !== "object" || x === null) return undefined;
  const { k, v, after } = x as Record<string, unknown>;
  if (typeof after === "function") return choosing(OWN, name, x as Chosen);
  return isCodec(k) && isCodec(v) ? pair(OWN, name, { k, v }) : undefined;
};

/** The schemes that a module exports; one that cannot be loaded or holds none is a value. */
export const tryOwn = async (
  path: string,
): Promise<Either<SchemeFileError, readonly Entry[]>> => {
  const refuse = (why: string) => left(new SchemeFileError(path, why));
  try {
    const exported: Record<string, unknown> = await import(pathToFileURL(resolve(path)).href);
    const found = Object.entries(exported).map(([name, x]) => entryOf(name, x));
    const own = found.filter((e) => e !== undefined);
    if (own.length > 0) return right(own);
    const names = Object.keys(exported).join(", ") || "nothing";
    return refuse(`exports ${names}, but no codec and no { k, v } of codecs`);
  } catch (error) {
    return refuse((error as Error).message);
  }
};
