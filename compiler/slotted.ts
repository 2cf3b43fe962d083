/**
 * Tokens in memory, each put where another one was. Keys and values by their codecs, in the layout that they have
 * in every cache; a token's words are copied to its slot, the same for all heads or each head's own.
 *
 * ```text
 * put(slots, x)    codes, scales = encode(x);    stored[slots] = codes, scales
 * ```
 *
 * Where two tokens share a word (an f16 scale a token) the word is made of both:
 *
 * ```text
 * stored  s0 s1 | s2 s3        a new s into slot 2:    old = s2 s3, from = 1 0    ->    s s3, put where s2 s3 were
 * ```
 *
 * Parts that have no tokens are those of the first tokens that came.
 * @module
 */
import type { Codec } from "../dsl/codec/codec.ts";
import { type Alone, aloneParts, TOKENS } from "../dsl/codec/streaming.ts";
import { broadcast, cast, gather, input, map } from "../dsl/core/build.ts";
import { ValueError } from "../dsl/core/errors.ts";
import type { DType } from "../dsl/core/dtype.ts";
import type { Shape, Term } from "../dsl/core/term.ts";
import { type Compile, programsFor } from "./encoders.ts";
import { type Recording, replay } from "./recording.ts";
import type { Copy, Device } from "./runtime/device.ts";
import { type Tensor, tensorOn, viewOf } from "./runtime/tensor.ts";
import { entriesUnder, leadsOf, wholeTo } from "./runtime/tokens.ts";

/** Keys and values. */
export const SIDES = ["k", "v"] as const;

/** Keys or values. */
export type Side = typeof SIDES[number];

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** Slots of some tokens, for each head. */
export type Slots = readonly (readonly number[])[];

/** What is stored, and how. */
export interface Overwritten {
  /** As errors call it. */
  readonly name: string;
  /** Codecs that encode each token by itself. */
  readonly codecs: Readonly<Record<Side, Codec>>;
  readonly heads: number;
  readonly channels: number;
  /** Slots. */
  readonly room: number;
  /** Are slots the same for all heads? */
  readonly alike: boolean;
}

/** Memory of tokens; see the head of the file. */
export interface Slotted {
  /** Puts as many tokens as there are slots; `fill` writes them into `x.k` and `x.v` `[heads, n, channels]`. */
  readonly put: (slots: Slots, fill: (inputs: Tensors) => void) => Promise<void>;
  /** The parts `k.…` and `v.…` of the first so many slots. */
  readonly parts: (tokens: number) => Tensors;
  /** Bytes that it takes. */
  readonly bytes: () => number;
  /** Gives its memory back. */
  readonly dispose: () => void;
}

/** The number of new tokens. */
const NEW = "added";
/** Which new token a half of a word is of, from 1 on; 0 for one that stays. */
const FROM = "from";

/** One token that comes: where it is written, what is run, and what comes of it. */
interface Usual {
  readonly inputs: Tensors;
  readonly work: readonly Recording[];
  readonly outputs: Tensors;
}

/** Two tokens of a part that share words: new ones where `from` says so, else what was there. */
const mended = (
  name: string,
  dtype: DType,
  shape: Shape,
  axis: number,
  from: Term,
): Term => {
  const pairs = [...shape.slice(0, axis), NEW, 2];
  const which = broadcast(
    from,
    pairs,
    from.shape.length === 2 ? [axis, axis + 1] : [0, axis, axis + 1],
  );
  const index = cast(map("max", map("sub", which, 1), 0), "u32");
  const taken = gather(input(`new.${name}`, shape, dtype), index, axis);
  const old = input(`old.${name}`, [...pairs, ...shape.slice(axis + 1)], dtype);
  const mine = broadcast(map("min", which, 1), old.shape, pairs.map((_, i) => i));
  return cast(map("select", mine, taken, old), dtype);
};

/** Opens memory for tokens, none of which is written yet. */
export const slotted = async (
  compile: Compile,
  device: Device,
  { name, codecs, heads, channels, room, alike }: Overwritten,
): Promise<Slotted> => {
  const parts: ReadonlyMap<string, Alone> = new Map(
    SIDES.flatMap((side) =>
      Object.entries(aloneParts(codecs[side], [heads, TOKENS, channels])).map(([part, own]) =>
        [`${side}.${part}`, own] as const
      )
    ),
  );
  for (const [part, { part: { shape: own }, axis }] of parts) {
    if (alike || axis === undefined || (axis > 0 && own[0] === heads)) continue;
    throw new ValueError(
      "evicting cache",
      `${name}: ${part} ${
        JSON.stringify(own)
      } has no axis of ${heads} heads, whose tokens go one by one: shared?`,
    );
  }
  const made = (dtype: Term["dtype"], sizes: Shape, tokens: number): Tensor =>
    tensorOn(device, dtype, sizes.map((d) => typeof d === "number" ? d : tokens));
  const store = new Map(
    [...parts].map(([part, { part: t }]) => [part, made(t.dtype, t.shape, room)]),
  );
  const halves = [...parts].filter(([, { whole }]) => whole > 1).map(([part]) => part);

  const x = input("x", [heads, NEW, channels], "f32");
  const [k, v] = await Promise.all(
    SIDES.map((side) => programsFor(compile, codecs[side], x, undefined)),
  );
  const encoders: Readonly<Record<Side, typeof k>> = { k, v };
  const from = input(FROM, alike ? [NEW, 2] : [heads, NEW, 2], "u32");
  const mend = halves.length === 0 ? undefined : await compile(
    Object.fromEntries(halves.map((part) => {
      const { part: { dtype, shape }, axis } = parts.get(part)!;
      return [part, mended(part, dtype, shape.map((d, i) => i === axis ? NEW : d), axis!, from)];
    })),
  );
  let begun = SIDES.every((side) => encoders[side].fixed.length === 0);

  const against = (side: Side): Tensors =>
    Object.fromEntries(
      encoders[side].fixed.map((part) => [`fixed.${part}`, store.get(`${side}.${part}`)!]),
    );
  /** What new tokens are read from, and words that two tokens share. */
  const inputsFor = (count: number): Record<string, Tensor> => ({
    ...Object.fromEntries(
      SIDES.map((side) => [`x.${side}`, made("f32", [heads, NEW, channels], count)]),
    ),
    ...mend === undefined ? {} : { [FROM]: made("u32", from.shape, count) },
    ...Object.fromEntries(halves.map((part) => {
      const { part: { dtype, shape }, axis } = parts.get(part)!;
      const pairs = [...shape.slice(0, axis), count, 2, ...shape.slice(axis! + 1)];
      return [`old.${part}`, made(dtype, pairs, count)];
    })),
  });
  const under = (side: Side, tensors: Tensors): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([part, t]) => [`${side}.${part}`, t]));
  /** Inputs of the program that makes words of two tokens. */
  const mending = (inputs: Tensors, fresh: Tensors): Tensors => ({
    [FROM]: inputs[FROM],
    ...Object.fromEntries(
      halves.flatMap((p) => [[`old.${p}`, inputs[`old.${p}`]], [`new.${p}`, fresh[p]]]),
    ),
  });

  /** What comes again and again: one token. */
  const recorded = (): Usual => {
    const inputs = inputsFor(1);
    const each = SIDES.map((side) =>
      encoders[side].later.record({ x: inputs[`x.${side}`], ...against(side) }, { [NEW]: 1 })
    );
    const fresh = Object.assign({}, ...SIDES.map((side, i) => under(side, each[i].outputs)));
    const last = mend === undefined ? [] : [mend.record(mending(inputs, fresh), { [NEW]: 1 })];
    return {
      inputs,
      work: [...each, ...last],
      outputs: { ...fresh, ...last[0]?.outputs ?? {} },
    };
  };
  /** Any number of tokens, in memory of its own. */
  const once = async (
    count: number,
    inputs: Tensors,
  ): Promise<{ outputs: Tensors; all: Tensor[] }> => {
    const found: Record<string, Tensor> = {};
    for (const side of SIDES) {
      const { first, later } = encoders[side];
      const own = { x: inputs[`x.${side}`], ...begun ? against(side) : {} };
      Object.assign(found, under(side, await (begun ? later : first).run(own, { [NEW]: count })));
    }
    const whole = await mend?.run(mending(inputs, found), { [NEW]: count }) ?? {};
    return {
      outputs: { ...found, ...whole },
      all: [inputs, found, whole].flatMap((t) => Object.values(t)),
    };
  };

  /** Entries of one tensor as those of another, at places that each head has for itself. */
  const scattered = (
    axis: number,
    a: Tensor,
    b: Tensor,
    moves: (head: number) => readonly (readonly [at: number, into: number])[],
    count: number,
  ): Copy[] => {
    const leads = leadsOf(a, axis);
    return Array.from(
      { length: leads },
      (_, lead) =>
        moves(alike ? 0 : Math.floor(lead * heads / leads)).map(([at, into]) =>
          entriesUnder(lead, a, at, b, into, axis, count)
        ),
    ).flat();
  };

  /** Whose halves the two slots have that share words with each of these. */
  const halvesOf = (slots: readonly number[]): number[] =>
    slots.flatMap((slot) =>
      [slot - slot % 2, slot - slot % 2 + 1].map((at) => slots.indexOf(at) + 1)
    );

  let usual: Usual | undefined;
  const put: Slotted["put"] = async (slots, fill) => {
    const count = slots[0].length;
    if (begun && count === 1) usual ??= recorded();
    const again = count === 1 ? usual : undefined;
    const inputs = again?.inputs ?? inputsFor(count);
    fill(inputs);
    if (mend !== undefined) {
      inputs[FROM].write((alike ? slots.slice(0, 1) : slots).flatMap(halvesOf));
    }
    device.copy(halves.flatMap((part) =>
      scattered(
        parts.get(part)!.axis!,
        store.get(part)!,
        inputs[`old.${part}`],
        (head) => slots[head].map((slot, i) => [slot - slot % 2, i]),
        2,
      )
    ));
    if (again !== undefined) await replay(again.work);
    const { outputs, all } = again === undefined
      ? await once(count, inputs)
      : { ...again, all: [] };
    device.copy(
      Object.entries(outputs).flatMap(([part, t]) => {
        const { axis, whole } = parts.get(part)!;
        const to = store.get(part)!;
        return axis === undefined ? wholeTo(t, to) : scattered(
          axis,
          t,
          to,
          (head) => slots[head].map((slot, i) => [i, slot - slot % whole]),
          1,
        );
      }),
    );
    all.forEach((t) => t.dispose());
    begun = true;
  };

  const all = (): Tensor[] => [
    ...store.values(),
    ...usual === undefined
      ? []
      : [...Object.values(usual.inputs), ...usual.work.flatMap((r) => Object.values(r.outputs))],
  ];
  return {
    put,
    parts: (tokens) =>
      Object.fromEntries(
        [...store].map(([part, tensor]) => [
          part,
          viewOf(tensor, tensor.shape.map((d, i) => i === parts.get(part)!.axis ? tokens : d)),
        ]),
      ),
    bytes: () => all().reduce((n, t) => n + t.bytes, 0),
    dispose: () => {
      const given = all();
      usual?.work.forEach((r) => r.dispose());
      given.forEach((t) => t.dispose());
    },
  };
};
