/** Examples of launches shared by threads, on kernels written by hand. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { assembled } from "../../props/assembler.ts";
import { type Crew, type Job, type Loaded, openCrew } from "./crew.ts";

/** Counts how often a group is run; divides by the argument, so that 0 is a trap. */
const TEXT = `(module
  (import "kvfold" "memory" (memory 1 65536 shared))
  (func (export "count") (param $at i32) (param $by i32)
    (param $scratch i32) (param $first i32) (param $end i32)
    (block $done (loop $next
      (br_if $done (i32.ge_s (local.get $first) (local.get $end)))
      (drop (i32.atomic.rmw.add
        (i32.add (local.get $at) (i32.shl (local.get $first) (i32.const 2)))
        (i32.div_s (local.get $by) (local.get $by))))
      (i32.store (local.get $scratch) (i32.const 1))
      (local.set $first (i32.add (local.get $first) (i32.const 1)))
      (br $next))))
  (func (export "trapElsewhere") (param $at i32) (param $mine i32)
    (param $scratch i32) (param $first i32) (param $end i32)
    (loop $again
      (if (i32.ne (local.get $scratch) (local.get $mine)) (then
        (i32.store (local.get $at) (i32.const 1)) unreachable))
      (br_if $again (i32.eqz (i32.atomic.load (local.get $at)))))))`;

const AT = 2 ** 17;
const SCRATCH = 2 ** 16;
const STRIDE = 256;

interface Rig {
  readonly crew: Crew;
  readonly words: Int32Array;
  readonly job: (kernel: number, args: readonly number[], groups: number) => Job;
}

const withCrew = async (
  threads: number,
  use: (rig: Rig) => Promise<void> | void,
): Promise<void> => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const bytes = await assembled(TEXT);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    kvfold: { memory },
  });
  const address = 2 ** 19;
  new Uint8Array(memory.buffer, address, bytes.length).set(bytes);
  const kernels = Object.values(exports) as unknown as Loaded["kernels"];
  const loaded: Loaded = { id: 0, address, bytes: bytes.length, kernels };
  const crew = openCrew(memory, threads);
  const words = new Int32Array(memory.buffer, AT, 2 ** 16);
  try {
    await crew.start();
    await use({
      crew,
      words,
      job: (kernel, args, groups) => ({
        loaded,
        kernel,
        args,
        groups,
        scratch: SCRATCH,
        stride: STRIDE,
      }),
    });
  } finally {
    crew.close();
  }
};

Deno.test("openCrew() runs every group once, launch after launch", () =>
  withCrew(3, ({ crew, words, job }) => {
    const want = new Int32Array(words.length);
    for (let launch = 0; launch < 3000; launch++) {
      const groups = launch * 7919 % 700;
      crew.run(job(0, [AT, 1], groups));
      for (let g = 0; g < groups; g++) want[g]++;
    }
    deepEqual(words, want);
  }));

Deno.test("openCrew() gives each thread scratch memory of its own", () =>
  withCrew(2, async ({ crew, words, job }) => {
    // The first thread waits in its group for the other: both have one.
    throws(() => crew.run(job(1, [AT, SCRATCH], 2)), /thread 1 failed: .*unreachable/i);
    equal(words[0], 1);
    crew.run(job(0, [AT, 1], 50));
    await crew.start();
    equal(words[1], 1);
  }));

Deno.test("openCrew() makes an error of a trap on any thread, and goes on", () =>
  withCrew(2, ({ crew, words, job }) => {
    for (let i = 0; i < 50; i++) throws(() => crew.run(job(0, [AT, 0], 100)), /zero/);
    ok(words.every((x) => x === 0));
    crew.run(job(0, [AT, 1], 100));
    ok(words.subarray(0, 100).every((x) => x === 1));
  }));

Deno.test("openCrew() runs alone once it is closed", () =>
  withCrew(2, ({ crew, words, job }) => {
    crew.close();
    crew.run(job(0, [AT, 1], 10));
    ok(words.subarray(0, 10).every((x) => x === 1));
  }));
