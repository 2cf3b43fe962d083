/**
 * Laws of choices: what is chosen loses least of what keeps to the rule, by errors and bytes that are measured
 * anew, and the stored choice says how to decode.
 * @module
 */
import type { Adaptive } from "../../dsl/codec/adaptive.ts";
import { input } from "../../dsl/core/build.ts";
import { choose, compile, type Device, ValueError } from "../../mod.ts";
import type { Given } from "./codec.ts";

/** Unit roundoff of a device's arithmetic. */
const UNIT: Readonly<Record<Device["name"], number>> = {
  eval: 2 ** -53,
  wasm: 2 ** -24,
  webgpu: 2 ** -24,
};

/**
 * What is wrong with a choice, if anything is. Errors are summed anew from what the device decodes: its own sum
 * of n squares, each of three operations, is off by n + 6 units at most, a square root by half of that.
 */
export const choiceBroken = async (
  device: Device,
  scheme: Adaptive,
  x: Given,
): Promise<string | undefined> => {
  const [heads, , channels] = x.shape;
  const shape = [heads, "tokens", channels] as const;
  const on = (outputs: Parameters<typeof compile>[0]) => compile(outputs, { device });
  const values = x.data.length;
  const anew: { readonly bits: number; readonly error: number }[] = [];
  for (const [i] of scheme.candidates.entries()) {
    const codec = scheme.at(i);
    const given = input("x", shape, "f32");
    const parts = codec.encode(given);
    const stored = await (await on({ ...parts })).run({ x: x.data });
    const bytes = Object.values(stored).reduce((n, t) => n + t.bytes, 0);
    const choice = (await stored.choice.read())[0];
    if (choice !== i) return `choice ${choice} is stored for ${i}`;
    Object.values(stored).forEach((t) => t.dispose());
    const { back } = await (await on({ back: codec.decode(parts, shape) })).values({ x: x.data });
    const top = x.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
    const squares = (of: (i: number) => number): number =>
      x.data.reduce((n, _, at) => n + (of(at) / top) ** 2, 0);
    const [lost, all] = [squares((at) => x.data[at] - back[at]), squares((at) => x.data[at])];
    anew.push({ bits: 8 * bytes / values, error: lost === 0 ? 0 : Math.sqrt(lost / all) });
  }
  const limit = "bits" in scheme.rule ? scheme.rule.bits : scheme.rule.error;
  const [limited, least] = "bits" in scheme.rule
    ? (["bits", "error"] as const)
    : (["error", "bits"] as const);
  const slack = (values + 6) * UNIT[device.name];
  const near = (a: number, b: number): boolean =>
    Math.abs(a - b) <= slack * Math.max(Math.abs(a), Math.abs(b));
  const fits = anew.filter((m) => m[limited] <= limit);
  try {
    const chosen = await choose(on, scheme, shape, x.data);
    const apart = chosen.candidates.findIndex((m, i) =>
      m.bits !== anew[i].bits || !near(m.error, anew[i].error)
    );
    if (apart >= 0) {
      return `${chosen.candidates[apart].name}: ${
        JSON.stringify([chosen.candidates[apart], anew[apart]])
      }`;
    }
    const own = anew[chosen.choice];
    if (own[limited] > limit && !near(own[limited], limit)) {
      return `${own[limited]} is beyond ${limit}`;
    }
    const better = fits.find((m) => m[least] < own[least] && !near(m[least], own[least]));
    return better && `${better[least]} was to be had, ${own[least]} was taken`;
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    return fits.some((m) => !near(m[limited], limit)) ? `refused: ${error.message}` : undefined;
  }
};
