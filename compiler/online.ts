/**
 * What a cache needs that learns (`dsl/codec/online.ts`): sums over tokens in memory, the parts made of them,
 * and what is stored turned from old parts to new ones.
 *
 * ```text
 * take(group)   sums' = sums + those of the group;  lost', all' likewise          one program, a group at a time
 * due()         every so many tokens, and if these lost more than the share
 * solve()       fixed parts of the sums
 * turn(…)       encode(decode(stored, old parts), new parts)                      one program for all lengths
 * ```
 *
 * Sums take one group after the other, so rounding does not depend on how tokens were split.
 * @module
 */
import { type Codec, stored } from "../dsl/codec/codec.ts";
import type { Refresh } from "../dsl/codec/online.ts";
import { ValueError } from "../dsl/core/errors.ts";
import { encodedAgainst, TOKENS } from "../dsl/codec/streaming.ts";
import { cast, foldOver, input, map } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import type { Compile } from "./encoders.ts";
import type { Device } from "./runtime/device.ts";
import { type Tensor, tensorOn } from "./runtime/tensor.ts";
import { wholeTo } from "./runtime/tokens.ts";

/** The tokens of a group, by a name: what is encoded against parts has tokens of a name. */
const NEXT = "next";

type Tensors = Readonly<Record<string, Tensor>>;

/** What a cache learns with. */
export interface Learner {
  /** Takes a group of tokens, which are then encoded; `fixed` are the parts as they are, if there are any. */
  readonly take: (x: Tensor, fixed: Tensors | undefined) => Promise<void>;
  /** Are the parts to be made anew? Asked once after each group, before it is encoded. */
  readonly due: () => boolean;
  /** The fixed parts of all tokens so far. */
  readonly solve: () => Promise<Tensors>;
  /** Stored parts of some tokens, from old fixed parts (among `parts`) to new ones. */
  readonly turn: (parts: Tensors, fixed: Tensors) => Promise<Tensors>;
  /** Bytes that the sums take. */
  readonly bytes: () => number;
  /** Gives its memory back. */
  readonly dispose: () => void;
}

const under = (name: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([part, t]) => [`${name}.${part}`, t]));

/** Squares of what parts as they are lose of some tokens, and of those. */
const lossesOf = (codec: Codec, heads: number, channels: number) => {
  const x = cast(input("x", [heads, NEXT, channels], "f16"), "f32");
  const along = encodedAgainst(codec, x, "fixed");
  const fixed = Object.entries(codec.encode(x)).filter(([part]) => along[part] === undefined)
    .map(([part, t]): [string, Term] => [part, input(`fixed.${part}`, t.shape, t.dtype)]);
  const back = codec.decode({ ...Object.fromEntries(fixed), ...along }, x.shape);
  const square = (t: Term): Term => foldOver("sum", "sum", map("mul", t, t), [0, 1, 2]);
  return { lost: square(map("sub", x, back)), all: square(x) };
};

/** Opens a learner for a codec behind a window; see the head of the file. */
export const learnerOf = async (
  compile: Compile,
  device: Device,
  codec: Codec,
  { every, share }: Refresh,
  [heads, group, channels]: readonly [number, number, number],
): Promise<Learner> => {
  const learn = codec.learn!;
  const x = cast(input("x", [heads, group, channels], "f16"), "f32");
  const own = learn.sums(x);
  const held = Object.fromEntries(
    Object.entries(own).map(([part, t]) => [part, input(`sums.${part}`, t.shape, "f32")]),
  );
  const added = Object.fromEntries(
    Object.entries(own).map(([part, t]) => [part, map("add", held[part], t)]),
  );
  const made = learn.fixed(held);
  const unlearnt = Object.entries(codec.encode(input("x", [heads, NEXT, channels], "f32")))
    .find(([part, t]) => t.shape.every((d) => typeof d === "number") && made[part] === undefined);
  if (unlearnt !== undefined) {
    throw new ValueError("online", `${codec.name} learns ${Object.keys(made)}, not ${unlearnt[0]}`);
  }
  const learning = await compile(added);
  const solving = await compile({ ...made });

  const all = [heads, TOKENS, channels];
  const before = stored(codec, "old", all);
  const turning = await compile({
    ...encodedAgainst(codec, codec.decode(before, all), "fixed"),
  });

  const losing = share === undefined ? undefined : await compile(lossesOf(codec, heads, channels));

  const zero = (t: Term): Tensor => {
    const made = tensorOn(device, "f32", t.shape as readonly number[]);
    device.write(made.memory, new Uint32Array(made.bytes / 4));
    return made;
  };
  const sums: Tensors = Object.fromEntries(
    Object.entries(own).map(([part, t]) => [part, zero(t)]),
  );
  let [since, lost, total] = [0, 0, 0];
  let begun = false;
  return {
    take: async (given, fixed) => {
      const next = await learning.run({ x: given, ...under("sums", sums) });
      device.copy(Object.entries(next).flatMap(([part, t]) => wholeTo(t, sums[part])));
      Object.values(next).forEach((t) => t.dispose());
      since += group;
      if (losing === undefined || fixed === undefined) return;
      const found = await losing.values({ x: given, ...under("fixed", fixed) });
      [lost, total] = [lost + found.lost[0], total + found.all[0]];
    },
    due: () => {
      if (begun && since < every) return false;
      const anew = !begun || share === undefined || lost > share * total;
      begun = true;
      [since, lost, total] = [0, 0, 0];
      return anew;
    },
    solve: () => solving.run(under("sums", sums)),
    turn: (parts, fixed) => turning.run({ ...under("old", parts), ...under("fixed", fixed) }),
    bytes: () => Object.values(sums).reduce((n, t) => n + t.bytes, 0),
    dispose: () => Object.values(sums).forEach((t) => t.dispose()),
  };
};
