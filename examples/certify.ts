/**
 * Looks good on average, caught by its bound: one channel of a cache is large, so a scale it shares
 * erases the others. Here they hold little, and every measured error is small. The certificate says
 * what the same scales may cost, before a later token shows it.
 *
 * deno run -A examples/certify.ts   or   bun examples/certify.ts
 */
import { bitsOf, certify, type Codec, decoquantB, input, quantize, rtn, rtnGrouped } from "kvfold";

/** What is asked for: no value of the cache is off by more than this. */
const LIMIT = 0.25;

const SCHEMES: readonly (readonly [string, Codec])[] = [
  ["one scale, 4 bits", quantize({ bits: 4, per: "tensor", range: "symmetric" })],
  ["RTN a token, 4 bits", rtn(4)],
  ["RTN groups of 16, 4 bits", rtnGrouped(4, 16)],
  ["DecoQuant B, 4 bits", decoquantB(4)],
  ["one scale, 8 bits", quantize({ bits: 8, per: "tensor", range: "symmetric" })],
  ["a channel, 4 bits", quantize({ bits: 4, per: "channel", range: "asymmetric" })],
];

const shape = [1, "tokens", 64] as const;
const [tokens, channels] = [256, 64];
const LOUD = 21;
/** Small waves beside one loud channel; the last token's are `last` high. */
const cache = (last: number): Float64Array =>
  Float64Array.from({ length: tokens * channels }, (_, i) => {
    const [t, c] = [Math.floor(i / channels), i % channels];
    const wave = Math.sin(0.7 * t + 2.3 * c + 0.013 * t * c);
    return Math.fround(c === LOUD ? 24 + 0.1 * wave : (t === tokens - 1 ? last : 0.2) * wave);
  });
const [seen, later] = [cache(0.2), cache(1.6)];

const norm = (xs: ArrayLike<number>): number => Math.hypot(...Array.from(xs));
const most = (xs: ArrayLike<number>): number => Math.max(...Array.from(xs, Math.abs));

console.log(
  `A cache of ${tokens} tokens, ${channels} channels, one of them loud. ` +
    `Required: no value off by more than ${LIMIT}.\n`,
);
const widths = [24, 10, 9, 12, 14, 11, 12, 12];
const row = (cells: readonly string[]): void =>
  console.log(cells.map((c, i) => i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i])).join(" "));
row(["scheme", "bits/value", "RMS", "largest", "by the", "certified", "by the", "later"]);
row(["", "", "error", "error", "measurement", "bound", "bound", "error"]);

let caught = 0;
for (const [name, codec] of SCHEMES) {
  const x = input("x", shape, "f32");
  const program = await certify({ back: codec.decode(codec.encode(x), shape) });
  const measure = async (given: Float64Array) => {
    const { value, bound } = (await program.values({ x: given })).back;
    const error = value.map((y, i) => Math.abs(y - given[i]));
    const broken = error.findIndex((e, i) => !(e <= bound[i]));
    if (broken >= 0) {
      throw new Error(`${name}: value ${broken} is off by ${error[broken]} > ${bound[broken]}`);
    }
    return { rms: norm(error) / norm(given), largest: most(error), certified: most(bound) };
  };
  const [now, then] = [await measure(seen), await measure(later)];
  if (now.largest <= LIMIT && now.certified > LIMIT && then.largest > LIMIT) caught++;
  row([
    name,
    bitsOf(codec, shape, { tokens }).toFixed(3),
    `${(100 * now.rms).toFixed(1)} %`,
    now.largest.toFixed(3),
    now.largest <= LIMIT ? "fits" : "does not",
    now.certified.toFixed(3),
    now.certified <= LIMIT ? "accepted" : "refused",
    then.largest.toFixed(3),
  ]);
}
console.log(
  `
RMS error    ‖x − x̂‖ / ‖x‖
bound        the largest distance from the scheme without its rounding, for scales as stored, the
             device's arithmetic included: computed in the program that computes the values
later error  the same cache, but for the last token: its values are up to 1.6 instead of 0.2`,
);
if (caught === 0) throw new Error("no scheme was caught by its bound alone");
