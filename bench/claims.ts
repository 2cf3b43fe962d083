/**
 * How far are claims from actual errors? For every named scheme at every width what it claims to lose of any
 * tensor (`codecClaim`), over what it loses of some, and the certificate of what it stored of those
 * (`codecBound`) over the same, all in 2-norm. `search` is the worst tensor of two tokens that climbing finds.
 * @module
 */
import {
  type Codec,
  codecBound,
  codecClaim,
  compile,
  F32,
  FORMATS,
  input,
  type SchemeName,
  SCHEMES,
  WIDTHS,
} from "../mod.ts";
import { MEASURED } from "../models/runner.ts";
import { climb } from "../props/climb.ts";
import { claimShare } from "../props/laws/codec.ts";
import type { Named } from "./caches.ts";
import type { Row } from "./harness.ts";

/** Every named scheme at every width that it takes. */
const NAMED: readonly Named[] = [
  ...(Object.keys(SCHEMES) as SchemeName[]).flatMap((name) =>
    WIDTHS[name].map((bits) => ({ name: `${name} ${bits}`, codec: SCHEMES[name](bits) as Codec }))
  ),
  ...Object.entries(FORMATS).map(([name, codec]) => ({ name, codec })),
];

/** What is measured: tensors by name, their shape, one that climbing starts from, and for how long. */
export interface Asked {
  readonly sets: Readonly<Record<string, readonly Float64Array[]>>;
  readonly shape: readonly [number, "tokens", number];
  readonly tokens: number;
  readonly start: Float64Array;
  readonly evaluations: number;
}

const norm = (xs: Float64Array): number => Math.sqrt(xs.reduce((s, x) => s + x * x, 0));

/** A row a scheme. */
export const claimRows = async (
  { sets, shape, tokens, start, evaluations }: Asked,
): Promise<Row[]> => {
  const [heads, , channels] = shape;
  const rows: Row[] = [];
  for (const { name, codec } of NAMED) {
    const x = input("x", shape, "f32");
    const parts = codec.encode(x);
    const bound = codecBound(codec, x, parts, { machine: F32, norm: [2] });
    const program = await compile({ back: codec.decode(parts, shape), bound }, {
      schedule: MEASURED,
    });
    const claim = codecClaim(codec, { heads, channels });
    let row: Row = { scheme: name, claimed: claim?.relative ?? Infinity };
    const certified: Record<string, number> = {};
    for (const [set, tensors] of Object.entries(sets)) {
      let [errors, sizes, bounds] = [0, 0, 0];
      for (const data of tensors) {
        const out = await program.values({ x: data }, { tokens });
        errors += norm(out.back.map((y, i) => y - data[i])) ** 2;
        sizes += norm(data) ** 2;
        bounds += norm(out.bound) ** 2;
      }
      if (!(errors <= bounds)) throw new Error(`${name}: error² ${errors}, bound² ${bounds}`);
      const actual = Math.sqrt(errors / sizes);
      row = { ...row, [`${set}: claim`]: (claim?.relative ?? Infinity) / actual };
      certified[`${set}: certificate`] = Math.sqrt(bounds / errors);
    }
    const one = codecClaim(codec, { heads: 1, channels });
    const given = [1, start.length / channels, channels];
    const goal = (data: Float64Array): number =>
      one === undefined ? 0 : claimShare(codec, one, { shape: given, data });
    const { ratio } = one === undefined
      ? { ratio: 0 }
      : climb(goal, { start, seed: 5, evaluations });
    rows.push({ ...row, "search: claim": 1 / ratio, ...certified });
  }
  return rows;
};
