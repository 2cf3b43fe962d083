/**
 * jax-js on its WebAssembly backend with one worker: attention as a product, a softmax and a product,
 * compiled by its `jit`.
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
  versionOf,
} from "./peer.ts";

interface Tensor {
  /** One more use; every use but of this consumes. */
  readonly ref: Tensor;
  readonly reshape: (shape: readonly number[]) => Tensor;
  readonly transpose: (order: readonly number[]) => Tensor;
  readonly data: () => Promise<Float32Array>;
  readonly dispose: () => void;
}
interface Jax {
  readonly init: (device: string) => Promise<readonly string[]>;
  readonly defaultDevice: (device: string) => void;
  readonly jit: (f: (...xs: Tensor[]) => Tensor) => (...xs: Tensor[]) => Tensor;
  readonly numpy: {
    readonly array: (data: Float32Array) => Tensor;
    readonly matmul: (a: Tensor, b: Tensor) => Tensor;
  };
  readonly nn: { readonly softmax: (x: Tensor, axis: number) => Tensor };
}

/** It takes as many workers as the navigator says there are cores; nothing else can be asked of it. */
const withOneCore = async (run: () => Promise<void>): Promise<void> => {
  const key = "hardwareConcurrency";
  Object.defineProperty(navigator, key, { value: 1, configurable: true });
  try {
    await run();
  } finally {
    Reflect.deleteProperty(navigator, key);
  }
};

const open = async (): Promise<Peer> => {
  const name = "@jax-js/jax";
  const { init, defaultDevice, jit, numpy, nn } = load<Jax>(name);
  await withOneCore(async () => {
    if (!(await init("wasm")).includes("wasm")) {
      throw new Error("jax-js: no wasm backend");
    }
    defaultDevice("wasm");
  });

  const ready = (
    label: string,
    inputs: readonly Tensor[],
    f: (...xs: Tensor[]) => Tensor,
  ): Ready => {
    const program = jit(f);
    let last: Float32Array | undefined;
    return {
      name: label,
      bits: 32,
      limit: F32_LIMIT,
      run: async () => {
        last = await program(...inputs.map((x) => x.ref)).data();
      },
      result: () => last!,
      close: () => inputs.forEach((x) => x.dispose()),
    };
  };

  const attention = (step: Decode): Ready => {
    const { sizes: { kv, group, dim }, tokens } = step;
    const inputs = [
      numpy.array(scaled(step)).reshape([kv, group, dim]),
      numpy.array(step.k).reshape([kv, tokens, dim]),
      numpy.array(step.v).reshape([kv, tokens, dim]),
    ];
    return ready("jax-js wasm, f32", inputs, (q, k, v) => {
      const scores = numpy.matmul(q, k.transpose([0, 2, 1]));
      return numpy.matmul(nn.softmax(scores, -1), v);
    });
  };

  const product = ({ m, k, n, a, b }: Product): Ready => {
    const inputs = [
      numpy.array(a).reshape([m, k]),
      numpy.array(b).reshape([k, n]),
    ];
    return ready("jax-js wasm", inputs, (x, y) => numpy.matmul(x, y));
  };

  return {
    version: `jax-js ${versionOf(name)}`,
    attention: (step) => Promise.resolve([attention(step)]),
    product: (p) => Promise.resolve(product(p)),
  };
};

/** Where jax-js comes from. */
export const jax: Source = { name: "jax-js", threaded: false, open };
