/**
 * ONNX Runtime on a processor, in f32: attention as its own operator (opset 23), which takes the cache as
 * it lies, and as products and a softmax over keys that were transposed beforehand. Its GroupQueryAttention
 * is left out: through JavaScript it copies the whole cache at every step.
 * @module
 */
import {
  type Decode,
  F32_LIMIT,
  load,
  type Peer,
  type Product,
  type Ready,
  scaled,
  type Source,
  transposed,
  versionOf,
} from "./peer.ts";

interface Tensor {
  readonly data: Float32Array;
}
interface Session {
  readonly run: (
    feeds: Readonly<Record<string, Tensor>>,
  ) => Promise<Record<string, Tensor>>;
  readonly release: () => Promise<void>;
}
interface Runtime {
  readonly Tensor: new (
    type: string,
    data: Float32Array,
    shape: readonly number[],
  ) => Tensor;
  readonly InferenceSession: {
    readonly create: (model: Uint8Array, options: unknown) => Promise<Session>;
  };
}
interface Format {
  readonly onnx: {
    readonly ModelProto: {
      encode: (model: unknown) => { finish: () => Uint8Array };
    };
  };
}

interface Input {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}
interface Node {
  readonly opType: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute?: readonly unknown[];
}

const OPSET = 23;
/** The version of the file format that has that opset. */
const IR = 11;
const FLOAT = 1;

const valueInfo = (name: string, shape: readonly number[]): unknown => {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
};

const open = (threads: number): Peer => {
  const ort = load<Runtime>("onnxruntime-node");
  const { onnx } = load<Format>("onnx-proto");

  /** A graph that ends in `out`. */
  const session = async (
    name: string,
    nodes: readonly Node[],
    inputs: Readonly<Record<string, Input>>,
    shape: readonly number[],
  ): Promise<Ready> => {
    const graph = {
      name: "step",
      node: nodes,
      input: Object.entries(inputs).map(([key, x]) => valueInfo(key, x.shape)),
      output: [valueInfo("out", shape)],
    };
    const opsetImport = [{ domain: "", version: OPSET }];
    const model = onnx.ModelProto.encode({ irVersion: IR, opsetImport, graph })
      .finish();
    const made = await ort.InferenceSession.create(model, {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Threads that wait would run in the turns of others.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
    const feeds = Object.fromEntries(
      Object.entries(inputs).map((
        [key, x],
      ) => [key, new ort.Tensor("float32", x.data, x.shape)]),
    );
    let last: Tensor | undefined;
    return {
      name,
      bits: 32,
      limit: F32_LIMIT,
      run: async () => {
        last = (await made.run(feeds)).out;
      },
      result: () => last!.data,
      close: () => made.release(),
    };
  };

  const attention = async (step: Decode): Promise<readonly Ready[]> => {
    const { sizes: { kv, group, dim }, tokens, q, k, v } = step;
    const heads = kv * group;
    const scale = { name: "scale", type: FLOAT, f: 1 / Math.sqrt(dim) };
    return [
      await session(
        "onnxruntime Attention, f32",
        [{
          opType: "Attention",
          input: ["q", "k", "v"],
          output: ["out"],
          attribute: [scale],
        }],
        {
          q: { data: q, shape: [1, heads, 1, dim] },
          k: { data: k, shape: [1, kv, tokens, dim] },
          v: { data: v, shape: [1, kv, tokens, dim] },
        },
        [1, heads, 1, dim],
      ),
      await session(
        "onnxruntime MatMul, Softmax, MatMul, f32",
        [
          { opType: "MatMul", input: ["q", "k"], output: ["s"] },
          { opType: "Softmax", input: ["s"], output: ["p"] },
          { opType: "MatMul", input: ["p", "v"], output: ["out"] },
        ],
        {
          q: { data: scaled(step), shape: [kv, group, dim] },
          k: { data: transposed(k, tokens, dim), shape: [kv, dim, tokens] },
          v: { data: v, shape: [kv, tokens, dim] },
        },
        [kv, group, dim],
      ),
    ];
  };

  const product = ({ m, k, n, a, b }: Product): Promise<Ready> =>
    session(
      "onnxruntime",
      [{ opType: "MatMul", input: ["a", "b"], output: ["out"] }],
      { a: { data: a, shape: [m, k] }, b: { data: b, shape: [k, n] } },
      [m, n],
    );

  return {
    version: `onnxruntime ${versionOf("onnxruntime-node")}`,
    attention,
    product,
  };
};

/** Where ONNX Runtime comes from. */
export const onnxruntime: Source = {
  name: "onnxruntime",
  threaded: true,
  open: (threads) => Promise.resolve().then(() => open(threads)),
};
