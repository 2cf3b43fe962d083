/**
 * Bytes of a program as `compiler/traffic.ts` counts them, from addresses and without a clock. The groups
 * of a launch are alike where chunks are whole: the first stands for all.
 * @module
 */
import { lower } from "../../compiler/pipeline.ts";
import { trafficOf } from "../../compiler/traffic.ts";
import { SKELETONS } from "../../kernels/mod.ts";
import type { Device, Outputs, Sizes } from "../../mod.ts";

/** What all groups of all kernels read. */
export interface Model {
  /** Bytes of different words of each group. */
  readonly useful: number;
  /** Bytes of different sectors of each group. */
  readonly fetched: number;
  /** Bytes of the sectors of every load, nothing held. */
  readonly asked: number;
}

/** The model of some outputs on a device. */
export const modelOf = (outputs: Outputs, device: Device, sizes: Sizes): Model => {
  const counted = lower(outputs, SKELETONS, device.target).steps.flatMap(({ kernel }) =>
    [...trafficOf(kernel, sizes).values()].map((t) => ({ ...t, groups: kernel.groups(sizes) }))
  );
  const sum = (of: keyof Model): number => counted.reduce((n, t) => n + t.groups * t[of], 0);
  return { useful: sum("useful"), fetched: sum("fetched"), asked: sum("asked") };
};
