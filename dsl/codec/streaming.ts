/**
 * How a codec takes tokens as they come, derived from its parts: those along the tokens grow, the others are
 * fixed by the first tokens, and later ones are encoded against them.
 *
 * ```text
 * quantize per token      codes, scale          grow         nothing is fixed
 * quantize per channel    codes                 grow         scale is that of the first tokens
 * f16 scales, one a token                                    two tokens fill a word: they are written in twos
 * ```
 *
 * A codec whose later codes need all tokens once more (a routine of them, say) does not grow: that is an
 * error which names the part. So is a window that is not the outermost codec.
 * @module
 */
import { broadcast, input, map } from "../core/build.ts";
import { groupsOf, grows, rangeDim, rootOf } from "../core/dims.ts";
import { isPacked } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { summedDims } from "../core/shape.ts";
import { argsOf, type Dim, exchanged, type Shape, type Term, topological } from "../core/term.ts";
import { checkCodec, type Codec, type Parts } from "./codec.ts";
import { isOnline, online } from "./online.ts";
import { isWindowed, window, type Windowed } from "./window.ts";

/** The name of the number of tokens that a cache holds. */
export const TOKENS = "tokens";

/** Does a size follow from a name? */
const isOf = (name: string) => (d: Dim): d is string => typeof d === "string" && rootOf(d) === name;

/** How one part of a codec grows: along which axis, and how many tokens are one entry of it. */
export interface Growth {
  readonly axis: number;
  readonly tokens: number;
}

/** Along which axis a part grows, if it does. */
export const growthOf = (part: Term): Growth | undefined => {
  const axis = part.shape.findIndex((d) => isOf(TOKENS)(d) && grows(d));
  if (axis < 0) return undefined;
  return { axis, tokens: groupsOf(part.shape[axis] as string)?.group ?? 1 };
};

/** Tokens of which a part is whole words. */
const unitOf = (part: Term): number => {
  const growth = growthOf(part);
  if (growth === undefined) return 1;
  const rest = part.shape.slice(growth.axis + 1);
  if (isPacked(part.dtype) && rest.length === 0) {
    throw new ValueError(
      "growing cache",
      `${part.dtype} ${JSON.stringify(part.shape)} ends in tokens`,
    );
  }
  const count = rest.reduce<number>((n, d) => n * (d as number), 1);
  return growth.tokens * (part.dtype === "f16" && count % 2 === 1 ? 2 : 1);
};

/** A cache's shape with tokens of a name. */
const sized = (shape: Shape, tokens: Dim): Shape =>
  shape.map((d, i) => i === shape.length - 2 ? tokens : d);

/** A codec as a cache takes it. */
export interface Growing extends Windowed {
  /** Tokens, each encoded by itself, that are written together since they fill words. */
  readonly together: number;
}

/**
 * The codec as a window: what does not fill words is held until it does, in groups that do. Where every token
 * is encoded by itself there is none: a token is written once more with the one that shares its words.
 */
export const growingCodec = (codec: Codec, shape: Shape): Growing => {
  checkCodec("growing cache", codec);
  const outer = isWindowed(codec) ? codec : undefined;
  const behind = outer?.behind ?? codec;
  const group = outer?.held.group ?? 1;
  const packed = rangeDim(TOKENS, { start: 0 }, { start: 0, tail: 0, group });
  const parts = Object.values(
    behind.encode(input("x", sized(shape, group === 1 ? TOKENS : packed), "f32")),
  );
  const inner = parts.find((p) => p.shape.some((d) => isOf(TOKENS)(d) && !grows(d)));
  if (inner !== undefined) {
    throw new ValueError(
      "growing cache",
      codec.selective === undefined
        ? `${codec.name} holds a window that is not the outermost codec`
        : `${codec.name} chooses among all tokens, once: it does not take them as they come`,
    );
  }
  const whole = parts.map(unitOf).reduce((a, b) => a * b / gcd(a, b), group);
  const alone = outer === undefined && parts.every((p) => growthOf(p)?.tokens === 1);
  if (alone) return { ...codec, held: { tail: 0, sinks: 0, group }, behind, together: whole };
  if (whole !== group) {
    const own = { ...outer?.held, group: whole };
    const widened = outer !== undefined && isOnline(outer)
      ? online({ ...own, ...outer.refresh }, behind)
      : window(own, behind);
    return { ...widened, together: 1 };
  }
  return { ...outer ?? { ...codec, held: { tail: 0, sinks: 0, group }, behind }, together: 1 };
};

/** A part of a codec that encodes each token by itself. */
export interface Alone {
  /** The part of all tokens. */
  readonly part: Term;
  /** The axis of the tokens; none for what all of them share. */
  readonly axis: number | undefined;
  /** Tokens that fill whole words. */
  readonly whole: number;
}

/** The parts of a codec that encodes each token by itself, so that one can take the place of another. */
export const aloneParts = (codec: Codec, shape: Shape): Readonly<Record<string, Alone>> => {
  const refuse = (why: string): never => {
    throw new ValueError("evicting cache", `${codec.name} ${why}`);
  };
  if (codec.selective !== undefined) refuse("chooses tokens itself");
  if (isWindowed(codec)) refuse("holds its newest tokens apart: they cannot go one by one");
  const ofTokens = isOf(TOKENS);
  const parts = codec.encode(input("x", sized(shape, TOKENS), "f32"));
  if (
    topological(Object.values(parts)).some((t) => t.tag === "iota" && ofTokens(t.shape[t.axis]))
  ) {
    refuse("asks for the place of a token: what it held may be that of another one later");
  }
  return Object.fromEntries(
    Object.entries(parts).map(([name, part]) => {
      const dims = part.shape.filter(ofTokens);
      const growth = growthOf(part);
      if (dims.length > 0 && growth === undefined) refuse(`holds ${name} of some tokens`);
      if (growth !== undefined && growth.tokens > 1) {
        refuse(`has one ${name} for ${growth.tokens} tokens: they cannot go one by one`);
      }
      return [name, { part, axis: growth?.axis, whole: unitOf(part) }];
    }),
  );
};

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b);

/**
 * Parts of new tokens, made against the parts that are fixed, which are inputs of their names. `before` is
 * how many tokens came earlier, for codecs that ask for the place of a token.
 */
export const encodedAgainst = (codec: Codec, x: Term, name: string, before?: Term): Parts => {
  const parts = codec.encode(x);
  const tokens = x.shape[x.shape.length - 2] as string;
  const isAlong = isOf(rootOf(tokens));
  const along = (t: Term): boolean => t.shape.some(isAlong);
  const given = new Map<Term, Term>();
  for (const t of before === undefined ? [] : topological(Object.values(parts))) {
    if (t.tag !== "iota" || !isAlong(t.shape[t.axis])) continue;
    given.set(t, map("add", t, broadcast(before!, t.shape, [])));
  }
  const fixed: Record<string, Term> = {};
  for (const [part, term] of Object.entries(parts)) {
    if (along(term)) continue;
    const stored = input(`${name}.${part}`, term.shape, term.dtype);
    fixed[part] = stored;
    given.set(term, stored);
    // What was rounded to be stored is what is stored.
    if (term.tag === "cast") given.set(term.args[0], stored);
  }
  return Object.fromEntries(
    Object.entries(codec.extend?.(x, fixed) ?? parts).filter(([, t]) => along(t)).map(
      ([part, term]) => {
        const own = exchanged(term, given);
        const whole = topological([own]).find((t) =>
          (t.tag === "routine" && argsOf(t).some(along)) ||
          ((t.tag === "fold" || t.tag === "contract") &&
            summedDims(t.labels, argsOf(t)).some(isAlong))
        );
        if (whole === undefined) return [part, own];
        throw new ValueError(
          "growing cache",
          `${codec.name}: ${part} of later tokens needs a ${whole.tag} over all of them`,
        );
      },
    ),
  );
};
