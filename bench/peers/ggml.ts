/**
 * ggml, the library under llama.cpp: its flash attention on a processor, from the native library that
 * node-llama-cpp ships prebuilt. Called through Deno's foreign functions: one graph of one node, computed
 * again and again.
 *
 * The library for the best instructions that this processor has is chosen as ggml itself chooses: by the
 * score each of them gives itself.
 * @module
 */
import { readdirSync } from "node:fs";
import type { Case } from "../harness.ts";
import {
  type Decode,
  F32_LIMIT,
  folderOf,
  Missing,
  type Peer,
  type Product,
  type Ready,
  type Source,
  transposed,
} from "./peer.ts";

interface Format {
  readonly name: string;
  /** `enum ggml_type`. */
  readonly type: number;
  readonly bits: number;
  readonly limit: number;
  /** Its own function back to f32. */
  readonly decode?:
    | "ggml_fp16_to_fp32_row"
    | "dequantize_row_q8_0"
    | "dequantize_row_q4_0";
}

/**
 * Beside halves ggml adds up the values in halves: each of 16,384 sums is rounded to 2^-11. Beside blocks
 * it rounds the query to 8 bits of the largest of 32: 2^-8 of a score.
 */
const FORMATS: readonly Format[] = [
  { name: "f32", type: 0, bits: 32, limit: F32_LIMIT },
  {
    name: "f16",
    type: 1,
    bits: 16,
    limit: 2 ** -4,
    decode: "ggml_fp16_to_fp32_row",
  },
  {
    name: "q8_0",
    type: 8,
    bits: 8.5,
    limit: 2 ** -5,
    decode: "dequantize_row_q8_0",
  },
  {
    name: "q4_0",
    type: 2,
    bits: 4.5,
    limit: 2 ** -5,
    decode: "dequantize_row_q4_0",
  },
];

/** Bytes for the heads of tensors and a graph. */
const HEADS = 1 << 20;
/** `struct ggml_threadpool_params` is some 530 bytes; it is filled in by ggml. */
const POOL_BYTES = 1024;

const pointer = "pointer";
const row = { parameters: [pointer, "buffer", "i64"], result: "void" } as const;
const BASE = {
  ggml_version: { parameters: [], result: pointer },
  ggml_init: {
    parameters: [{ struct: ["usize", pointer, "u8"] }],
    result: pointer,
  },
  ggml_free: { parameters: [pointer], result: "void" },
  ggml_new_tensor_3d: {
    parameters: [pointer, "i32", "i64", "i64", "i64"],
    result: pointer,
  },
  ggml_row_size: { parameters: ["i32", "i64"], result: "usize" },
  ggml_get_data: { parameters: [pointer], result: pointer },
  ggml_quantize_chunk: {
    parameters: ["i32", "buffer", pointer, "i64", "i64", "i64", pointer],
    result: "usize",
  },
  ggml_fp16_to_fp32_row: row,
  dequantize_row_q8_0: row,
  dequantize_row_q4_0: row,
  ggml_flash_attn_ext: {
    parameters: [
      pointer,
      pointer,
      pointer,
      pointer,
      pointer,
      "f32",
      "f32",
      "f32",
    ],
    result: pointer,
  },
  ggml_mul_mat: { parameters: [pointer, pointer, pointer], result: pointer },
  ggml_new_graph: { parameters: [pointer], result: pointer },
  ggml_build_forward_expand: { parameters: [pointer, pointer], result: "void" },
  ggml_threadpool_params_init: {
    parameters: ["buffer", "i32"],
    result: "void",
  },
  ggml_backend_graph_compute: { parameters: [pointer, pointer], result: "i32" },
} as const;
const CPU = {
  ggml_backend_cpu_init: { parameters: [], result: pointer },
  ggml_backend_cpu_set_n_threads: {
    parameters: [pointer, "i32"],
    result: "void",
  },
  ggml_backend_cpu_set_threadpool: {
    parameters: [pointer, pointer],
    result: "void",
  },
  ggml_threadpool_new: { parameters: ["buffer"], result: pointer },
  ggml_threadpool_pause: { parameters: [pointer], result: "void" },
} as const;
const SCORE = {
  ggml_backend_score: { parameters: [], result: "i32" },
} as const;

type Base = Deno.DynamicLibrary<typeof BASE>["symbols"];

const PLATFORM = "@node-llama-cpp/linux-x64";

const libraries = (): { readonly base: string; readonly cpu: string } => {
  if (!("Deno" in globalThis)) {
    throw new Missing("needs Deno's foreign functions");
  }
  if (`${Deno.build.os}-${Deno.build.arch}` !== "linux-x86_64") {
    throw new Missing(`${PLATFORM} is the only build that is asked for`);
  }
  const folder = `${folderOf(PLATFORM)}bins/linux-x64/`;
  const scores = readdirSync(folder).filter((n) => n.startsWith("libggml-cpu-"))
    .map((name) => {
      const library = Deno.dlopen(folder + name, SCORE);
      return { name, score: library.symbols.ggml_backend_score() };
    });
  const best = scores.reduce((a, b) => b.score > a.score ? b : a);
  return { base: `${folder}libggml-base.so`, cpu: folder + best.name };
};

/** Memory of one graph, and tensors in it. */
const contextOf = (base: Base, bytes: number) => {
  const parameters = new DataView(new ArrayBuffer(24));
  parameters.setBigUint64(0, BigInt(bytes + HEADS), true);
  const context = base.ggml_init(new Uint8Array(parameters.buffer));
  const tensor = (
    type: number,
    data: Float32Array,
    shape: readonly number[],
  ) => {
    const [inner, rows, heads] = shape.map(BigInt);
    const made = base.ggml_new_tensor_3d(context, type, inner, rows, heads);
    const source = data as Float32Array<ArrayBuffer>;
    base.ggml_quantize_chunk(
      type,
      source,
      base.ggml_get_data(made),
      0n,
      rows * heads,
      inner,
      null,
    );
    return made;
  };
  return { context, tensor };
};

const open = (threads: number): Peer => {
  const paths = libraries();
  const { symbols: base } = Deno.dlopen(paths.base, BASE);
  const { symbols: cpu } = Deno.dlopen(paths.cpu, CPU);
  const backend = cpu.ggml_backend_cpu_init();
  cpu.ggml_backend_cpu_set_n_threads(backend, threads);
  const settings = new Uint8Array(POOL_BYTES);
  base.ggml_threadpool_params_init(settings, threads);
  const pool = threads > 1 ? cpu.ggml_threadpool_new(settings) : null;
  if (pool !== null) cpu.ggml_backend_cpu_set_threadpool(backend, pool);

  const computing = (
    context: Deno.PointerValue,
    out: Deno.PointerValue,
    count: number,
  ): { run: Case["run"]; result: Ready["result"]; close: Ready["close"] } => {
    const graph = base.ggml_new_graph(context);
    base.ggml_build_forward_expand(graph, out);
    return {
      run: () => {
        const status = base.ggml_backend_graph_compute(backend, graph);
        if (status !== 0) throw new Error(`ggml: status ${status}`);
        // Threads that wait would run in the turns of others.
        if (pool !== null) cpu.ggml_threadpool_pause(pool);
      },
      result: () => {
        const data = base.ggml_get_data(out)!;
        return new Float32Array(
          Deno.UnsafePointerView.getArrayBuffer(data, 4 * count),
        ).slice();
      },
      close: () => base.ggml_free(context),
    };
  };

  const attending = (
    { sizes, tokens, q, k, v }: Decode,
    format: Format,
  ): Ready => {
    const { kv, group, dim } = sizes;
    const rows = kv * tokens;
    const bytes = 2 * rows *
      Number(base.ggml_row_size(format.type, BigInt(dim)));
    const { context, tensor } = contextOf(base, bytes + 8 * q.length);
    const query = tensor(0, q, [dim, 1, kv * group]);
    const [keys, values] = [k, v].map((x) => tensor(format.type, x, [dim, tokens, kv]));
    const scale = 1 / Math.sqrt(dim);
    const out = base.ggml_flash_attn_ext(
      context,
      query,
      keys,
      values,
      null,
      scale,
      0,
      0,
    );
    const decode = format.decode;
    const back = (x: Deno.PointerValue): Float32Array => {
      const values = new Float32Array(rows * dim);
      base[decode!](base.ggml_get_data(x), values, BigInt(rows * dim));
      return values;
    };
    return {
      name: `ggml flash attention, ${format.name}`,
      bits: format.bits,
      limit: format.limit,
      ...(decode === undefined ? {} : { stored: { k: back(keys), v: back(values) } }),
      ...computing(context, out, q.length),
    };
  };

  const product = ({ m, k, n, a, b }: Product): Ready => {
    const { context, tensor } = contextOf(base, 4 * (m * k + n * k + m * n));
    const columns = tensor(0, transposed(b, k, n), [k, n, 1]);
    const rows = tensor(0, a, [k, m, 1]);
    const out = base.ggml_mul_mat(context, columns, rows);
    return {
      name: "ggml",
      bits: 32,
      limit: F32_LIMIT,
      ...computing(context, out, m * n),
    };
  };

  const version = Deno.UnsafePointerView.getCString(base.ggml_version()!);
  const build = paths.cpu.match(/cpu-(.*)\.so$/)![1];
  return {
    version: `ggml ${version} for ${build}`,
    attention: (step) => Promise.resolve(FORMATS.map((f) => attending(step, f))),
    product: (p) => Promise.resolve(product(p)),
  };
};

/** Where ggml comes from. */
export const ggml: Source = {
  name: "ggml",
  threaded: true,
  open: (threads) => Promise.resolve().then(() => open(threads)),
};
