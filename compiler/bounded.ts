/**
 * A cache of bounded memory: keys and values of a layer, as many tokens as a budget. Which ones stay is said by
 * `dsl/codec/evicting.ts`; here each new token is encoded and its words put where those of the token lie that
 * goes. A step costs the same however many came before; once the budget is full nothing is compiled, and no
 * memory of the device reserved.
 *
 * ```text
 * append(k, v)    slots = stepped(held);   codes, scales = encode(k), encode(v);   stored[slots] = codes, scales
 * observe(q)      mass = lookedAt(held, Σ softmax(q·K))           where scores decide; read with the next step
 * ```
 *
 * Attention that tokens receive is computed where the tokens are, and read back when the next step asks which of
 * them go: nothing waits for it within a step.
 * @module
 */
import { attentionReceived } from "../dsl/attention/salience.ts";
import {
  type Evicting,
  type Held,
  isWeighed,
  keptOf,
  lookedAt,
  nothing,
  PLACES,
  stepOf,
  stepped,
} from "../dsl/codec/evicting.ts";
import { TOKENS } from "../dsl/codec/streaming.ts";
import { input } from "../dsl/core/build.ts";
import type { Shape } from "../dsl/core/term.ts";
import { type Given, isTensor, tokensIn } from "./bind.ts";
import type { Compile } from "./encoders.ts";
import { InputError } from "./errors.ts";
import type { Recording } from "./recording.ts";
import type { Device } from "./runtime/device.ts";
import { type Tensor, tensorOn, upload, viewOf } from "./runtime/tensor.ts";
import { entriesTo, wholeTo } from "./runtime/tokens.ts";
import { SIDES, slotted } from "./slotted.ts";

/** Keys and values of one layer, of which only some tokens stay. */
export interface BoundedCache {
  /** What it stores, and which tokens stay. */
  readonly codecs: Evicting;
  /** The shape of what it holds, for `keptOf(codecs, shape)`: the tokens have a name. */
  readonly shape: Shape;
  /** Tokens that it holds. */
  readonly tokens: () => number;
  /** Tokens that came. */
  readonly seen: () => number;
  /** Bytes that it takes: the same for any number of tokens once the budget is full. */
  readonly bytes: () => number;
  /** Takes keys and values `[heads, n, channels]` of n more tokens, in steps of at most `recent`. */
  readonly append: (tokens: { readonly k: Given; readonly v: Given }) => Promise<void>;
  /** Tells it the queries `[heads, group, n, channels]` of the tokens that were appended last. */
  readonly observe: (q: Given) => Promise<void>;
  /** Which tokens it holds. */
  readonly held: () => Promise<Held>;
  /** Its parts as inputs of a program, as they are until the next `append`. */
  readonly parts: () => Record<string, Tensor>;
  /** Gives its memory back. */
  readonly dispose: () => void;
}

/** The number of rows of queries. */
const ROWS = "rows";

const even = (n: number): number => Math.ceil(n / 2) * 2;

/** Opens an empty cache; see the head of the file. */
export const boundedCache = async (
  compile: Compile,
  device: Device,
  codecs: Evicting,
  heads: number,
  channels: number,
): Promise<BoundedCache> => {
  const { budget, eviction: { shared }, name } = codecs;
  const shape: Shape = [heads, TOKENS, channels];
  const room = even(budget);
  const alike = shared || !isWeighed(codecs);
  const store = await slotted(compile, device, { name, codecs, heads, channels, room, alike });
  const places = tensorOn(device, "u32", [heads, room]);
  let held = nothing(heads);
  /** How many tokens came last: whose queries are asked. */
  let last = 0;
  /** Attention that was received and is not counted yet. */
  let received: Tensor | undefined;

  const tokens = (): number => held.places[0].length;
  const views = (): Record<string, Tensor> => ({
    ...store.parts(tokens()),
    [PLACES]: viewOf(places, [heads, tokens()]),
  });

  /** Counts the attention that was received. */
  const settle = async (): Promise<void> => {
    if (received === undefined) return;
    held = lookedAt(codecs, held, await received.read());
    if (received !== looking?.outputs.mass) received.dispose();
    received = undefined;
  };

  const append: BoundedCache["append"] = async (given) => {
    const [n, other] = SIDES.map((side) => tokensIn(side, given[side], heads, channels));
    if (n !== other) throw new InputError("v", `is of ${other} tokens, k of ${n}`);
    if (n === 0) return;
    await settle();
    const own = SIDES.map((side) => {
      const x = given[side];
      return isTensor(x) ? x : upload(device, side, "f32", [heads, n, channels], x);
    });
    for (let at = 0; at < n;) {
      const count = Math.min(n - at, stepOf(codecs));
      const step = stepped(codecs, held, count);
      await store.put(step.slots, (inputs) =>
        device.copy(
          SIDES.flatMap((side, i) => entriesTo(own[i], at, inputs[`x.${side}`], 0, 1, count)),
        ));
      held = step.held;
      at += count;
    }
    last = n;
    const rows = held.places.map((row) => [...row, ...Array(room - row.length).fill(0)]);
    places.write(rows.flat());
    own.forEach((t, i) => t !== given[SIDES[i]] && t.dispose());
  };

  let looking: Recording | undefined;
  const observe: BoundedCache["observe"] = async (q) => {
    if (!isWeighed(codecs)) return;
    await settle();
    const group = (isTensor(q) ? q.shape.reduce((n, d) => n * d, 1) : q.length) /
      (heads * last * channels);
    const want = [heads, group, last, channels];
    if (
      !(Number.isInteger(group) && group > 0) || (isTensor(q) && q.shape.join() !== want.join())
    ) {
      const what = isTensor(q) ? JSON.stringify(q.shape) : `${q.length} values`;
      throw new InputError(
        "q",
        `${what}: not [${heads}, group, ${last}, ${channels}] of the last tokens`,
      );
    }
    const k = keptOf(codecs, shape).k;
    const asked = input("q", [heads, group, last === 1 ? 1 : ROWS, channels], "f32");
    const offset = last === 1 ? {} : { offset: input("offset", [], "f32") };
    // Of one row all tokens that are held came before it.
    const program = await compile({ mass: attentionReceived({ q: asked, k, ...offset }) });
    const keys = Object.fromEntries(
      Object.entries(views()).filter(([part]) =>
        part.startsWith("k.") || last > 1 && part === PLACES
      ),
    );
    if (last > 1 || tokens() < budget) {
      const place = last > 1 ? { offset: [held.seen - last] } : {};
      const rows = isTensor(q) ? q : upload(device, "q", "f32", want, q);
      received = (await program.run({ q: rows, ...keys, ...place }, { [TOKENS]: tokens() })).mass;
      if (rows !== q) rows.dispose();
      return;
    }
    looking ??= program.record({ q: tensorOn(device, "f32", want), ...keys }, { [TOKENS]: budget });
    const to = looking.inputs.q;
    if (to.shape.join() !== want.join()) {
      throw new InputError("q", `is of ${group} heads each, before of ${to.shape[1]}`);
    }
    if (isTensor(q)) device.copy(wholeTo(q, to));
    else to.write(q);
    await looking.replay();
    received = looking.outputs.mass;
  };

  const own = (): Tensor[] => [
    places,
    ...looking === undefined ? [] : [looking.inputs.q, looking.outputs.mass],
  ];
  return {
    codecs,
    shape,
    tokens,
    seen: () => held.seen,
    bytes: () =>
      own().reduce(
        (n, t) => n + t.bytes,
        store.bytes() + (isWeighed(codecs) ? 4 * heads * budget : 0),
      ),
    append,
    observe,
    held: async () => {
      await settle();
      return held;
    },
    parts: views,
    dispose: () => {
      const given = new Set([...own(), ...received === undefined ? [] : [received]]);
      looking?.dispose();
      given.forEach((t) => t.dispose());
      store.dispose();
    },
  };
};
