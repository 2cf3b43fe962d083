/**
 * A cache that grows: the parts of a codec in memory with room for more tokens, and newer tokens put behind
 * those that are there. One token costs the same however many came before, and after the first ones nothing
 * is compiled or allocated. Where the room ends it is doubled, which copies everything once.
 *
 * ```text
 * append(x):   x in f16 -> behind the tail;  whole groups that leave the tail -> encode -> behind the packed
 * ```
 *
 * Every token goes the same way whenever it comes, so a cache of some tokens is the same however they were
 * split. Parts that have no tokens are those of the first tokens that the codec takes, or made anew as tokens
 * come where the codec learns (`online.ts`).
 * @module
 */
import type { Codec } from "../dsl/codec/codec.ts";
import { growingCodec, growthOf, TOKENS } from "../dsl/codec/streaming.ts";
import { isOnline } from "../dsl/codec/online.ts";
import { PACKED } from "../dsl/codec/window.ts";
import { cast, input } from "../dsl/core/build.ts";
import { rangeDim, sizeOf, type Sizes } from "../dsl/core/dims.ts";
import type { Shape, Term } from "../dsl/core/term.ts";
import { type Given, isTensor, tokensIn } from "./bind.ts";
import { BEFORE, type Compile, programsFor } from "./encoders.ts";
import { InputError } from "./errors.ts";
import { type Learner, learnerOf } from "./online.ts";
import type { Recording } from "./recording.ts";
import type { Copy, Device } from "./runtime/device.ts";
import { type Tensor, tensorOn, toWords, upload, viewOf } from "./runtime/tensor.ts";
import { entriesTo, wholeTo } from "./runtime/tokens.ts";
import { type Sealed, sealedOf } from "./sealed.ts";

/** A cache of one tensor, K or V. */
export interface GrowingCache {
  /** What it stores: the codec asked for, or a window around it where a token fills no whole words. */
  readonly codec: Codec;
  /** The shape of what it holds, for `cached(codec, name, shape)`: the tokens have a name. */
  readonly shape: Shape;
  /** Tokens that it holds. */
  readonly tokens: () => number;
  /** Tokens that there is room for. */
  readonly capacity: () => number;
  /** Bytes that it takes. */
  readonly bytes: () => number;
  /** Puts tokens `[heads, n, channels]` behind those that are there. */
  readonly append: (x: Given) => Promise<void>;
  /** Its parts as inputs `name.part` of a program, as they are until the next `append`. */
  readonly parts: (name: string) => Record<string, Tensor>;
  /** What is never written again, for whoever keeps it elsewhere; see `tier.ts`. */
  readonly sealed: Sealed;
  /** Gives its memory back. */
  readonly dispose: () => void;
}

type Tensors = Readonly<Record<string, Tensor>>;

/** The number of new tokens. */
const NEW = "added";

const even = (n: number): number => Math.ceil(n / 2) * 2;
/** The shape of a part for so many tokens behind the window, whole groups. */
const packedShape = (part: Term, count: number): number[] => {
  const growth = growthOf(part);
  return part.shape.map((d, i) => i === growth?.axis ? count / growth.tokens : d as number);
};

/** Opens an empty cache for tensors `[heads, tokens, channels]`; see the head of the file. */
export const growingCache = async (
  compile: Compile,
  device: Device,
  asked: Codec,
  heads: number,
  channels: number,
  room: number,
): Promise<GrowingCache> => {
  if (!(Number.isInteger(room) && room >= 0)) {
    throw new InputError("capacity", `is ${room}, not a count of tokens`);
  }
  const shape: Shape = [heads, TOKENS, channels];
  const codec = growingCodec(asked, shape);
  const { held: { tail, sinks, group }, behind, together } = codec;
  const windowed = tail > 0 || sinks > 0 || group > 1;
  const terms = new Map(Object.entries(codec.encode(input("x", shape, "f32"))));
  const own = (part: string): string => windowed ? `${PACKED}.${part}` : part;
  const made = (dtype: Term["dtype"], sizes: readonly number[]): Tensor =>
    tensorOn(device, dtype, sizes);

  let tokens = 0;
  let capacity = even(Math.max(room, 1));
  /** First tokens behind the window that are kept elsewhere. */
  let away = 0;
  /** Entries of a part that are kept elsewhere. */
  const goneOf = (part: string): number => away / (growthOf(terms.get(part)!)?.tokens ?? Infinity);
  const waiting = [heads, even(tail + group), channels];
  const roomFor = (part: string): number[] =>
    part === "tail"
      ? waiting
      : terms.get(part)!.shape.map((d) =>
        typeof d === "number" ? d : even(sizeOf(d, { [TOKENS]: capacity }) - goneOf(part))
      );
  const store = new Map([...terms].map(([part, t]) => [part, made(t.dtype, roomFor(part))]));
  let spare = made("f16", terms.has("tail") ? waiting : [1]);

  // Whole groups of new tokens are encoded at once.
  const groups = group === 1 ? NEW : rangeDim(NEW, { start: 0 }, { start: 0, tail: 0, group });
  const fresh = input("x", [heads, groups, channels], windowed ? "f16" : "f32");
  const plain = input("x", [heads, NEW, channels], "f32");
  const { first, later, narrow, fixed, placed } = await programsFor(
    compile,
    behind,
    cast(fresh, "f32"),
    windowed ? cast(plain, "f16") : undefined,
  );
  let begun = fixed.length === 0;
  const learner = isOnline(codec)
    ? await learnerOf(compile, device, behind, codec.refresh, [heads, group, channels])
    : undefined;
  /** Tokens of an encoding that comes again and again. */
  const usual = windowed ? group : together;
  /** One token as it is given, and the newest ones that do not fill words. */
  const [one, newest] = [1, together].map((n) => made("f32", [heads, n, channels]));

  /** The fixed parts. */
  const fixedNow = (): Tensors =>
    Object.fromEntries(fixed.map((part) => [part, store.get(own(part))!]));
  /** How many tokens come before those that are encoded. */
  const before = made("f32", []);
  /** What tokens are encoded against: the fixed parts, and their place. */
  const against = (): Tensors => ({
    ...Object.fromEntries(fixed.map((part) => [`fixed.${part}`, store.get(own(part))!])),
    ...placed ? { [BEFORE]: before } : {},
  });
  const recordings = new Map<string, Recording>();
  /** What comes again and again is recorded once. */
  const recorded = (name: string, make: () => Recording): Recording => {
    if (!recordings.has(name)) recordings.set(name, make());
    return recordings.get(name)!;
  };

  const place = (results: Tensors, at: number): void =>
    device.copy(
      Object.entries(results).flatMap(([part, tensor]) => {
        const to = store.get(own(part))!;
        const growth = growthOf(terms.get(own(part))!);
        return growth === undefined ? wholeTo(tensor, to) : entriesTo(
          tensor,
          0,
          to,
          (at - away) / growth.tokens,
          growth.axis,
          tensor.shape[growth.axis],
        );
      }),
    );

  /** Makes the fixed parts anew, and turns the `count` tokens that are stored by the old ones. */
  const renew = async (by: Learner, count: number): Promise<void> => {
    const parts = await by.solve();
    const turned = count === 0 ? {} : await by.turn(
      Object.fromEntries(
        [...terms].filter(([part]) => part.startsWith(`${PACKED}.`)).map(([name, t]) => [
          name.slice(PACKED.length + 1),
          viewOf(store.get(name)!, packedShape(t, count)),
        ]),
      ),
      parts,
    );
    device.copy(Object.entries(parts).flatMap(([p, t]) => wholeTo(t, store.get(own(p))!)));
    place(turned, 0);
    [...Object.values(parts), ...Object.values(turned)].forEach((t) => t.dispose());
  };

  /** Encodes whole groups one after the other: the codec learns from each before it is encoded. */
  const learning = async (
    by: Learner,
    count: number,
    at: number,
    fill: (to: Tensor) => void,
  ): Promise<void> => {
    const x = made(fresh.dtype, [heads, count, channels]);
    fill(x);
    for (let done = 0; done < count; done += group) {
      const next = made(fresh.dtype, [heads, group, channels]);
      device.copy(entriesTo(x, done, next, 0, 1, group));
      await by.take(next, begun ? fixedNow() : undefined);
      if (by.due()) await renew(by, at + done);
      begun = true;
      await encode(group, at + done, (to) => device.copy(wholeTo(next, to)));
      next.dispose();
    }
    x.dispose();
  };

  /** Encodes `count` tokens that `fill` puts where they are read, behind `at` others. */
  const encode = async (
    count: number,
    at: number,
    fill: (to: Tensor) => void,
  ): Promise<void> => {
    if (placed) before.write([at]);
    if (begun && count === usual) {
      const record = recorded(
        "group",
        () =>
          later.record({ x: made(fresh.dtype, [heads, usual, channels]), ...against() }, {
            [NEW]: usual,
          }),
      );
      fill(record.inputs.x);
      await record.replay();
      return place(record.outputs, at);
    }
    const x = made(fresh.dtype, [heads, count, channels]);
    fill(x);
    const program = begun ? later : first;
    const results = await program.run({ x, ...begun ? against() : {} }, { [NEW]: count });
    place(results, at);
    begun = true;
    [x, ...Object.values(results)].forEach((t) => t.dispose());
  };

  /** Encodes n tokens; those before that share words with them are written again. */
  const behindOthers = async (given: Tensor, n: number): Promise<void> => {
    const before = tokens % together;
    const count = Math.ceil((before + n) / together) * together;
    const extra = count - before - n;
    await encode(count, tokens - before, (to) =>
      device.copy([
        ...entriesTo(newest, 0, to, 0, 1, before),
        ...entriesTo(given, 0, to, before, 1, n),
        // What fills the words is overwritten by the tokens to come.
        ...entriesTo(given, n - extra, to, before + n, 1, extra),
      ]));
    device.copy(entriesTo(given, n - extra, newest, 0, 1, extra));
  };

  /** Moves n tokens in f16 into the window, and out of it what leaves its tail. */
  const through = async (halves: Tensor, n: number): Promise<void> => {
    const packed = rangeDim(TOKENS, { start: sinks }, { start: sinks, tail, group });
    const [before, after] = [tokens, tokens + n].map((all) => {
      const [first, behind] = [Math.min(sinks, all), sizeOf(packed, { [TOKENS]: all })];
      return { first, behind, last: all - first - behind };
    });
    const sunk = after.first - before.first;
    const leaving = after.behind - before.behind;
    /** Of the tokens that wait and the new ones behind them, `count` from `at` on. */
    const queued = (at: number, to: Tensor, count: number): Copy[] => {
      const old = Math.min(Math.max(0, before.last - at), count);
      const next = Math.max(0, at - before.last) + sunk;
      return [
        ...(old > 0 ? entriesTo(store.get("tail")!, at, to, 0, 1, old) : []),
        ...entriesTo(halves, next, to, old, 1, count - old),
      ];
    };
    if (sunk > 0) {
      device.copy(entriesTo(halves, 0, store.get("sinks")!, before.first, 1, sunk));
    }
    if (leaving === 0) {
      const more = after.last - before.last;
      if (more > 0) {
        device.copy(entriesTo(halves, sunk, store.get("tail")!, before.last, 1, more));
      }
      return;
    }
    const leave = (to: Tensor): void => device.copy(queued(0, to, leaving));
    if (learner === undefined) await encode(leaving, before.behind, leave);
    else await learning(learner, leaving, before.behind, leave);
    if (after.last === 0) return;
    device.copy(queued(leaving, spare, after.last));
    const old = store.get("tail")!;
    store.set("tail", spare);
    spare = old;
  };

  /** Room for some tokens: twice as much where it ends. */
  const reserve = (wanted: number): void => {
    if (wanted <= capacity) return;
    capacity = even(Math.max(wanted, 2 * capacity));
    for (const [part, old] of store) {
      const growth = growthOf(terms.get(part)!);
      if (growth === undefined) {
        if (part !== "sinks" || old.shape.join() === roomFor(part).join()) continue;
      }
      const axis = growth?.axis ?? 1;
      const next = made(old.dtype, roomFor(part));
      device.copy(entriesTo(old, 0, next, 0, axis, old.shape[axis]));
      old.dispose();
      store.set(part, next);
    }
  };

  const append = async (x: Given): Promise<void> => {
    const n = tokensIn("append", x, heads, channels);
    if (n === 0) return;
    reserve(tokens + n);
    const fill = (to: Tensor): void =>
      isTensor(x)
        ? device.copy(wholeTo(x, to))
        : device.write(to.memory, toWords("append", to.dtype, to.shape, x));
    if (narrow === undefined) {
      if (n === 1) fill(one);
      const given = n === 1
        ? one
        : isTensor(x)
        ? x
        : upload(device, "append", "f32", [heads, n, channels], x);
      await behindOthers(given, n);
      if (given !== one && given !== x) given.dispose();
    } else if (n === 1) {
      const record = recorded(
        "halves",
        () => narrow.record({ x: made("f32", [heads, 1, channels]) }),
      );
      fill(record.inputs.x);
      await record.replay();
      await through(record.outputs.x, 1);
    } else {
      const given = isTensor(x) ? x : upload(device, "append", "f32", [heads, n, channels], x);
      const { x: halves } = await narrow.run({ x: given });
      await through(halves, n);
      halves.dispose();
      if (given !== x) given.dispose();
    }
    tokens += n;
  };

  const sizes = (): Sizes => ({ [TOKENS]: tokens });
  const all = (): Tensor[] => [...store.values(), spare, one, newest, before];
  const unit = windowed ? group : together;
  const sealed = sealedOf({
    device,
    name: codec.name,
    along: new Map([...terms].filter(([, t]) => growthOf(t) !== undefined)),
    fixed: fixed.map(own),
    store,
    unit,
    tokens: () => {
      // What is learnt anew turns what is stored.
      if (learner !== undefined) return 0;
      if (!windowed) return Math.floor(tokens / unit) * unit;
      const packed = rangeDim(TOKENS, { start: sinks }, { start: sinks, tail, group });
      return sizeOf(packed, { [TOKENS]: tokens });
    },
    away: () => away,
    setAway: (count) => away = count,
    roomFor,
  });
  /** The parts of a cache are all of its tokens. */
  const whole = (): void => {
    if (away === 0) return;
    throw new InputError(
      "cache",
      `${away} of ${tokens} tokens are in a file: restore() them first`,
    );
  };
  return {
    codec,
    shape,
    sealed,
    tokens: () => tokens,
    capacity: () => capacity,
    bytes: () => all().reduce((n, t) => n + t.bytes, learner?.bytes() ?? 0),
    append,
    parts: (name) => {
      whole();
      return Object.fromEntries([...store].map(([part, tensor]) => [
        `${name}.${part}`,
        viewOf(tensor, terms.get(part)!.shape.map((d) => sizeOf(d, sizes()))),
      ]));
    },
    dispose: () => {
      const inputs = [...recordings.values()].map((r) => r.inputs.x);
      recordings.forEach((r) => r.dispose());
      learner?.dispose();
      [...all(), ...inputs].forEach((t) => t.dispose());
    },
  };
};
