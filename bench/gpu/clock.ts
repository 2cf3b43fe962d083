/**
 * How long a GPU works: by its own timestamps where it has them and they can be believed, else by the wall
 * clock around many runs and one read-back.
 *
 * WebGPU promises nanoseconds; a runtime that hands on the ticks of the driver gives something else
 * without a word. So both clocks look at the same long pass first.
 * @module
 */
import type { Recorded, WebgpuDevice } from "../../mod.ts";
import { clock } from "../harness.ts";

/** A clock, and what it was chosen for. */
export interface Clock {
  /** Which one and why, for the title of a table. */
  readonly name: string;
  /** Milliseconds that a pass should take, so that what the clock adds or rounds is small beside it. */
  readonly floor: number;
  /** Milliseconds of work run `times` over. */
  readonly ms: (work: readonly Recorded[], times: number) => Promise<number>;
}

/** Passes are so many times as long by the wall clock: a runtime may look but every 10 ms whether one ended. */
const SLOW = 20;

/** Timestamps of a pass leave out what the wall clock counts: starting it, and reading back that it ended. */
const BELIEVED = { least: 0.5, most: 1.1 };

/** Passes that both clocks look at; the fastest counts. */
const LOOKS = 3;

/** Runs in one pass, at most. */
const MOST = 4096;

/** How often work is run in one pass, so that the pass is long enough. */
export const timesFor = async (
  { ms, floor }: Clock,
  work: readonly Recorded[],
): Promise<number> => {
  let times = 1;
  for (;;) {
    const took = await ms(work, times);
    if (took >= floor || times === MOST) return times;
    const wanted = Math.ceil(1.1 * times * floor / took);
    times = Math.min(MOST, Math.max(2 * times, Math.min(16 * times, wanted)));
  }
};

/** The wall clock: what is read back is a word that the work does not touch, after it in the queue. */
const wallOf = (device: WebgpuDevice, floor: number, why: string): Clock => {
  const word = device.alloc(1);
  return {
    name: `wall time of many runs and one read-back, ${why}`,
    floor: SLOW * floor,
    ms: async (work, times) => {
      await device.run(work);
      await device.read([word]);
      return await clock(async () => {
        await device.run(Array.from({ length: times }, () => work).flat());
        await device.read([word]);
      });
    },
  };
};

/** The clock to use, found by some work; timestamps want passes of `floor` milliseconds. */
export const clockOf = async (
  device: WebgpuDevice,
  work: readonly Recorded[],
  floor: number,
): Promise<Clock> => {
  const { timed } = device;
  if (timed === undefined) return wallOf(device, floor, "since the device has no timestamps");
  const wall = wallOf(device, floor, "");
  const times = await timesFor(wall, work);
  const [own, around]: number[][] = [[], []];
  for (let i = 0; i < LOOKS; i++) {
    own.push(await timed(work, times) / 1e6);
    around.push(await wall.ms(work, times));
  }
  const share = Math.min(...own) / Math.min(...around);
  const text = `${share.toPrecision(3)} of wall time`;
  return share >= BELIEVED.least && share <= BELIEVED.most
    ? {
      name: `timestamps of the device, ${text} on a long copy`,
      floor,
      ms: async (w, n) => await timed(w, n) / 1e6,
    }
    : wallOf(device, floor, `since timestamps of the device say ${text}`);
};
