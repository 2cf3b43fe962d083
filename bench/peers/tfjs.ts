/**
 * TensorFlow.js on its WebAssembly backend, one thread: attention as a product, a softmax and a product.
 * @module
 */
import {
  type Decode,
  F32_LIMIT,
  folderOf,
  load,
  type Peer,
  type Product,
  type Ready,
  scaled,
  type Source,
  versionOf,
} from "./peer.ts";

interface Tensor {
  readonly dataSync: () => Float32Array;
  readonly dispose: () => void;
}
interface Core {
  readonly setBackend: (name: string) => Promise<boolean>;
  readonly tensor: (data: Float32Array, shape: readonly number[]) => Tensor;
  readonly tidy: (make: () => Tensor) => Tensor;
  readonly matMul: (
    a: Tensor,
    b: Tensor,
    transposeA?: boolean,
    transposeB?: boolean,
  ) => Tensor;
  readonly softmax: (x: Tensor) => Tensor;
}
interface Backend {
  readonly setWasmPaths: (folder: string) => void;
  readonly setThreadsCount: (threads: number) => void;
}

const open = async (): Promise<Peer> => {
  const tf = load<Core>("@tensorflow/tfjs-core");
  const name = "@tensorflow/tfjs-backend-wasm";
  const backend = load<Backend>(name);
  backend.setWasmPaths(`${folderOf(name)}dist/`);
  backend.setThreadsCount(1);
  if (!await tf.setBackend("wasm")) {
    throw new Error("tfjs: its wasm backend does not start");
  }

  const ready = (
    label: string,
    inputs: readonly Tensor[],
    make: () => Tensor,
  ): Ready => {
    let last: Float32Array | undefined;
    return {
      name: label,
      bits: 32,
      limit: F32_LIMIT,
      run: () => {
        const out = tf.tidy(make);
        last = out.dataSync();
        out.dispose();
      },
      result: () => last!,
      close: () => inputs.forEach((t) => t.dispose()),
    };
  };

  const attention = (step: Decode): Ready => {
    const { sizes: { kv, group, dim }, tokens } = step;
    const q = tf.tensor(scaled(step), [kv, group, dim]);
    const [k, v] = [step.k, step.v].map((x) => tf.tensor(x, [kv, tokens, dim]));
    const weights = (): Tensor => tf.softmax(tf.matMul(q, k, false, true));
    return ready("tfjs wasm, f32", [q, k, v], () => tf.matMul(weights(), v));
  };

  const product = ({ m, k, n, ...data }: Product): Ready => {
    const [a, b] = [tf.tensor(data.a, [m, k]), tf.tensor(data.b, [k, n])];
    return ready("tfjs wasm", [a, b], () => tf.matMul(a, b));
  };

  return {
    version: `tfjs ${versionOf(name)}`,
    attention: (step) => Promise.resolve([attention(step)]),
    product: (p) => Promise.resolve(product(p)),
  };
};

/** Where TensorFlow.js comes from. */
export const tfjs: Source = { name: "tfjs", threaded: false, open };
