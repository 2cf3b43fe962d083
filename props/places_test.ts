/** Binds the place of a number between the levels of a codebook to the nearest level, to the last bit. */
import { ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { codebook, compile, type Device, input, lloydMax } from "../mod.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { placeLaw } from "./laws/places.ts";

const view = new DataView(new ArrayBuffer(4));

/** The f32 that many steps further from −∞ to ∞. */
const stepped = (x: number, steps: number): number => {
  view.setFloat32(0, x);
  const bits = view.getInt32(0);
  const at = (bits < 0 ? -(bits & 0x7fffffff) : bits) + steps;
  view.setInt32(0, at < 0 ? -at | 0x80000000 : at);
  return view.getFloat32(0);
};

/** What comes after a level: some f32 further, as far again as the last, or a gap of its own. */
type Step = { readonly ulps: number } | { readonly same: true } | { readonly gap: number };

/** Levels in words. */
interface Levels {
  readonly first: number;
  readonly steps: readonly Step[];
}

const MOST = 1e30;

/** Levels closer than this are refused. */
const LEAST_GAP = 2 ** -126;

/** Levels in numbers; a step that is too short is none, one that leaves the range is the end. */
const levelsOf = ({ first, steps }: Levels): number[] => {
  const levels = [Math.fround(first)];
  let gap = 1;
  for (const step of steps) {
    const last = levels[levels.length - 1];
    if ("gap" in step) gap = step.gap;
    const next = "ulps" in step
      ? stepped(last, step.ulps)
      : Math.max(stepped(last, 1), Math.fround(last + gap));
    if (next - last < LEAST_GAP) continue;
    if (next > MOST) break;
    levels.push(next);
  }
  return levels.length > 1 ? levels : [levels[0], levels[0] < -0.5 ? 0 : 2];
};

/** Every level and midpoint with its neighbours, and what is far away or next to nothing. */
const valuesNear = (levels: readonly number[]): number[] => {
  const middles = levels.slice(1).map((x, i) => Math.fround(levels[i] / 2 + x / 2));
  const far = [0, 2 ** -149, 1e-40, 2 ** -126, 1e-30, 1, 1e30].flatMap((x) => [x, -x]);
  const near = [...levels, ...middles].flatMap((x) => [stepped(x, -1), x, stepped(x, 1)]);
  const all = [...far.map(Math.fround), ...near];
  return [...all, ...Array.from({ length: (4 - all.length % 4) % 4 }, () => 0)];
};

const gapArb = fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: -40, max: 29 }))
  .map(([digits, power]) => Math.fround(digits * 10 ** power / 10));
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.integer({ min: 1, max: 5 }).map((ulps) => ({ ulps })),
  fc.constant({ same: true } as const),
  gapArb.map((gap) => ({ gap })),
);
const levelsArb: fc.Arbitrary<Levels> = fc.record({
  first: fc.oneof(
    fc.constantFrom(-1e30, -49, -1, -1e-30, -1e-40, 0, 1e-40, 1),
    gapArb.map((x) => -x),
  ),
  steps: fc.array(stepArb, { minLength: 1, maxLength: 24 }),
});

const lawful = async (device: Device, levels: readonly number[]): Promise<void> => {
  const codec = codebook({ levels, per: "token", scale: "none" });
  const program = await compile(codec.encode(input("x", ["tokens", 4], "f32")), { device });
  const x = valuesNear(levels);
  const { codes } = await program.values({ x });
  for (const [i, value] of x.entries()) {
    ok(
      placeLaw(levels, value, codes[i]),
      `${value} has code ${codes[i]} of levels ${levels.join(" ")}`,
    );
  }
};

/** Gaps of 49 and its like are not one over one over themselves; 256 levels are a search of eight steps. */
const PINNED: readonly Levels[] = [
  { first: 0, steps: [{ gap: 49 }, { gap: 98 }, { gap: 103 }] },
  { first: -1e30, steps: [{ gap: 2e30 }] },
  { first: -127, steps: Array.from({ length: 255 }, () => ({ gap: 1 })) },
];

onDevices(
  "a code of a codebook is the nearest level's, ties to the even one, exactly",
  { wasm: 100, webgpu: 15 },
  async (device, runs) => {
    for (const bits of [1, 2, 3, 4] as const) await lawful(device, lloydMax(bits).map(Math.fround));
    await hold(
      fc.asyncProperty(levelsArb, (levels) => lawful(device, levelsOf(levels))),
      runs,
      PINNED.map((levels) => [levels]),
    );
  },
);

Deno.test("codebook: levels that do not ascend, or too closely for a device, are refused by name", () => {
  const of = (levels: readonly number[]) => () => codebook({ levels, per: "token", scale: "none" });
  throws(of([0, 2, 1]), /level 2, 1, is not above 2$/);
  throws(of([0, 1, 1 + 2 ** -30]), /level 2, .* is not above 1$/);
  throws(of([0, 1e-40]), /level 1, 1e-40, is not above 0: .* less than/);
});
