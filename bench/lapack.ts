/**
 * How long does LAPACK take for the decomposition that DecoQuant begins with? numpy's `linalg.svd` of the same
 * numbers as a tall matrix, on one thread, in a process of its own: what leaves the clock out is its start and
 * the reading of the file.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Row } from "./harness.ts";

const NAME = "LAPACK SVD (numpy)";

const SCRIPT = `
import json, sys, time
import numpy as np
path, cols, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = np.fromfile(path, dtype=np.float32).reshape(-1, cols)
times = []
for _ in range(rounds + 1):
    start = time.perf_counter()
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    times.append(1000 * (time.perf_counter() - start))
times = sorted(times[1:])
far = float(np.linalg.norm((u * s) @ vt - x) / np.linalg.norm(x))
at = lambda q: float(np.quantile(times, q))
print(json.dumps({"ms": at(0.5), "iqr": at(0.75) - at(0.25), "best": times[0], "relative error": far}))
`;

/** Threads of the libraries that numpy may be built on. */
const ONE = { OPENBLAS_NUM_THREADS: "1", OMP_NUM_THREADS: "1", MKL_NUM_THREADS: "1" };

const python = (...args: readonly string[]) =>
  spawnSync("python3", args, { encoding: "utf8", env: { ...process.env, ...ONE } });

/** The row of LAPACK, after the others of the table; or that it was skipped, and how to have it. */
export const lapackRow = (data: Float32Array, cols: number, rounds: number): Row => {
  if (python("-c", "import numpy").status !== 0) {
    console.warn(`SKIPPED: ${NAME}: no numpy, "pip install numpy" for the python3 of PATH`);
    return { scheme: NAME, ms: "SKIPPED: pip install numpy" };
  }
  const folder = mkdtempSync(join(tmpdir(), "kvfold-"));
  try {
    const file = join(folder, "x.f32");
    writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const { status, stdout, stderr } = python("-c", SCRIPT, file, String(cols), String(rounds));
    if (status !== 0) throw new Error(`${NAME}: python3 ended with ${status}: ${stderr}`);
    return { scheme: NAME, ...JSON.parse(stdout) as Row };
  } finally {
    rmSync(folder, { recursive: true });
  }
};
