/**
 * Workers that share the groups of a launch. All is said through words of the shared memory, so that no
 * event loop has to turn:
 *
 * ```text
 * this thread:  job → words; next = 0; open = 1; turn += 1, wake        worker:  sleeps until turn moves
 *               takes runs of groups: from = next, next += run                   working += 1
 *               open = 0; waits until working = 0                                open? takes runs of groups
 *                                                                                working -= 1, wakes who waits
 * ```
 *
 * A worker counts itself in before it looks whether the launch is open, and the launch ends by closing
 * before it looks who is counted in: who found it open is waited for, who found it closed touches
 * nothing. So nobody waits for a worker that is late or has not started; its groups are done by others.
 * @module
 */
import { DeviceError } from "../errors.ts";

/** Kernels of one program, as a worker finds them: bytes of a module in the shared memory. */
export interface Loaded {
  /** Number of the module, used once. */
  readonly id: number;
  /** Where its bytes begin. */
  readonly address: number;
  /** How many they are. */
  readonly bytes: number;
  /** Kernels in the order of the exports; arguments end in scratch, first group, end of groups. */
  readonly kernels: readonly ((...args: number[]) => void)[];
}

/** Groups to share out. */
export interface Job {
  readonly loaded: Loaded;
  readonly kernel: number;
  readonly args: readonly number[];
  readonly groups: number;
  /** Scratch memory of the first thread; those of the others follow at this distance. */
  readonly scratch: number;
  readonly stride: number;
}

/** Threads that share launches, this one included. */
export interface Crew {
  /** Runs all groups; on return no worker touches memory. */
  readonly run: (job: Job) => void;
  /** Starts the workers and waits until all work along. */
  readonly start: () => Promise<void>;
  /** Ends the workers. */
  readonly close: () => void;
}

/** Places of the words, each in a cache line of its own; below 64 KiB, where no tensor lies. */
const PLACES = {
  open: 16,
  working: 32,
  next: 48,
  turn: 64,
  failed: 80,
  started: 96,
  over: 112,
  job: 128,
  message: 8192,
  end: 16384,
} as const;

type Places = typeof PLACES;

/** What a worker is given when it starts. */
interface Start {
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly at: Places;
}

/**
 * All a worker does. Its text is sent to the worker: it sees nothing of this file.
 */
const serve = ({ memory, thread, at }: Start): void => {
  /** Modules kept; asked for again, the others are instantiated again. */
  const KEPT = 64;
  /** Looks at `turn` before sleeping, some ten microseconds: launches of a run follow each other. */
  const LOOKS = 1000;
  const words = new Int32Array(memory.buffer, 0, at.end);
  const instances = new Map<number, readonly ((...args: number[]) => void)[]>();
  const kernelsOf = (
    id: number,
    address: number,
    bytes: number,
  ): readonly ((...args: number[]) => void)[] => {
    const known = instances.get(id);
    if (known !== undefined) return known;
    // A view of shared memory is no source of a module: a copy is.
    const copy = new Uint8Array(memory.buffer, address >>> 0, bytes).slice();
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(copy), {
      kvfold: { memory },
    });
    const kernels = Object.values(exports) as ((...args: number[]) => void)[];
    instances.set(id, kernels);
    if (instances.size > KEPT) instances.delete(instances.keys().next().value!);
    return kernels;
  };
  const work = (): void => {
    const [id, address, bytes, kernel, groups, run, scratch, stride, count] = words.subarray(
      at.job,
    );
    const args = words.slice(at.job + 9, at.job + 9 + count);
    const f = kernelsOf(id, address, bytes)[kernel];
    for (;;) {
      const from = Atomics.add(words, at.next, run);
      if (from < 0 || from >= groups) return;
      f(...args, scratch + thread * stride, from, Math.min(groups, from + run));
    }
  };
  const report = (error: unknown): void => {
    const text = new TextEncoder().encode(String(error)).subarray(0, 4 * (at.end - at.message - 1));
    if (Atomics.compareExchange(words, at.failed, 0, thread) !== 0) return;
    words[at.message] = text.length;
    new Uint8Array(memory.buffer, 4 * (at.message + 1), text.length).set(text);
  };
  let seen = 0;
  Atomics.add(words, at.started, 1);
  for (;;) {
    for (let i = 0; i < LOOKS && Atomics.load(words, at.turn) === seen; i++);
    Atomics.wait(words, at.turn, seen);
    seen = Atomics.load(words, at.turn);
    if (Atomics.load(words, at.over) !== 0) return;
    Atomics.add(words, at.working, 1);
    try {
      if (Atomics.load(words, at.open) !== 0) work();
    } catch (error) {
      report(error);
    }
    Atomics.sub(words, at.working, 1);
    Atomics.notify(words, at.working);
  }
};

/** A running worker, whatever runs it. */
interface Running {
  readonly terminate: () => unknown;
}

type Threads = typeof import("node:worker_threads");

/** Starts a worker where `node:worker_threads` is (Deno, Bun, Node), or else as browsers do. */
const begin = (start: Start): Running => {
  const process = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } })
    .process;
  const node = process?.getBuiltinModule?.("node:worker_threads") as Threads | undefined;
  if (node === undefined) {
    const text = `onmessage = (event) => (${serve})(event.data);`;
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(url, { type: "module" });
    worker.postMessage(start);
    return worker;
  }
  const text = `import { workerData } from "node:worker_threads"; (${serve})(workerData);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  const worker = new node.Worker(url, { workerData: start });
  // A sleeping worker keeps no process alive.
  worker.unref();
  return worker;
};

/** Runs of groups that each thread takes: enough that a slow one holds up the others for a fraction. */
const RUNS = 16;
/** Looks at `working` before this thread sleeps. */
const LOOKS = 2000;
/** A worker that has not started by then never will. */
const LATEST_MS = 30_000;

/** May this thread sleep? The first of a browser's page may not, and looks on. */
const maySleep = (words: Int32Array): boolean => {
  try {
    return Atomics.wait(words, PLACES.open, 1, 0) !== undefined;
  } catch {
    return false;
  }
};

/** A crew over a shared memory; its workers start at the first launch that can be shared. */
export const openCrew = (memory: WebAssembly.Memory, threads: number): Crew => {
  const words = new Int32Array(memory.buffer, 0, PLACES.end);
  const sleeps = maySleep(words);
  let workers: readonly Running[] | undefined;
  let closed = false;
  const begun = (): void => {
    workers ??= Array.from(
      { length: threads - 1 },
      (_, i) => begin({ memory, thread: i + 1, at: PLACES }),
    );
  };
  const wake = (count: number): void => {
    Atomics.add(words, PLACES.turn, 1);
    Atomics.notify(words, PLACES.turn, count);
  };
  const waitForWorkers = (): void => {
    let looks = LOOKS;
    for (;;) {
      const working = Atomics.load(words, PLACES.working);
      if (working === 0) return;
      if (sleeps && looks-- <= 0) Atomics.wait(words, PLACES.working, working);
    }
  };
  const complain = (): void => {
    const thread = Atomics.exchange(words, PLACES.failed, 0);
    if (thread === 0) return;
    const text = new Uint8Array(
      memory.buffer,
      4 * (PLACES.message + 1),
      words[PLACES.message],
    ).slice();
    throw new DeviceError("wasm", `thread ${thread} failed: ${new TextDecoder().decode(text)}`);
  };
  return {
    run: ({ loaded, kernel, args, groups, scratch, stride }) => {
      const f = loaded.kernels[kernel];
      if (groups > 1 && !closed) begun();
      const started = Atomics.load(words, PLACES.started);
      if (closed || groups < 2 || started === 0) {
        f(...args, scratch, 0, groups);
        return;
      }
      const run = Math.ceil(groups / (threads * RUNS));
      const { id, address, bytes } = loaded;
      const job = [id, address, bytes, kernel, groups, run, scratch, stride, args.length, ...args];
      words.set(job, PLACES.job);
      Atomics.store(words, PLACES.failed, 0);
      Atomics.store(words, PLACES.next, 0);
      Atomics.store(words, PLACES.open, 1);
      wake(Math.min(started, groups - 1));
      try {
        for (;;) {
          const from = Atomics.add(words, PLACES.next, run);
          if (from < 0 || from >= groups) break;
          f(...args, scratch, from, Math.min(groups, from + run));
        }
      } finally {
        // After a trap here the others need not go on.
        Atomics.store(words, PLACES.next, groups);
        Atomics.store(words, PLACES.open, 0);
        waitForWorkers();
      }
      complain();
    },
    start: async () => {
      begun();
      const latest = performance.now() + LATEST_MS;
      while (Atomics.load(words, PLACES.started) < threads - 1) {
        if (closed || performance.now() > latest) {
          throw new DeviceError("wasm", `${threads - 1} workers did not start`);
        }
        await new Promise((done) => setTimeout(done, 1));
      }
    },
    close: () => {
      closed = true;
      Atomics.store(words, PLACES.over, 1);
      wake(threads);
      workers?.forEach((w) => w.terminate());
      workers = undefined;
    },
  };
};
