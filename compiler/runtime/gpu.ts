/**
 * Where WebGPU comes from: the runtime (Deno, browsers), or else the package `webgpu` (Dawn), which
 * Bun and Node load when it is installed. Runtimes differ in what they accept: kernels keep to
 * what Naga and Tint both take, and what a compiler says of a shader is an error.
 * @module
 */
import { DeviceError } from "../errors.ts";

/** Flags of buffers, as the specification numbers them: not every runtime has them as globals. */
export const USAGE = {
  mapRead: 0x1,
  copySrc: 0x4,
  copyDst: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

/** Reading a mapped buffer. */
export const MAP_READ = 1;

/** A binding that compute shaders see. */
export const COMPUTE = 4;

/** The package that brings WebGPU to Bun and Node. */
const PACKAGE: string = "webgpu";

let loaded: Promise<GPU> | undefined;

/** Dawn, kept for as long as the process runs: its devices do not keep it themselves. */
const fromPackage = async (): Promise<GPU> => {
  let dawn: { readonly create: (options: readonly string[]) => GPU };
  try {
    dawn = await import(PACKAGE);
  } catch (error) {
    throw new DeviceError(
      "webgpu",
      `this runtime has no navigator.gpu, and the package "${PACKAGE}" is not to be had: install it ` +
        `(npm install ${PACKAGE}, bun add ${PACKAGE}): ${(error as Error).message}`,
    );
  }
  return dawn.create([]);
};

/** The entry to WebGPU; without one, an error that says what to install. */
export const findGpu = (): Promise<GPU> => {
  const own = globalThis.navigator?.gpu;
  if (own !== undefined) return Promise.resolve(own);
  return loaded ??= fromPackage();
};

/** Runs `make` and returns what validation said. */
export const scoped = async <A>(
  device: GPUDevice,
  make: () => A,
): Promise<{ value: A; error: string | undefined }> => {
  device.pushErrorScope("validation");
  const value = make();
  const error = await device.popErrorScope();
  return { value, error: error?.message };
};

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render|warp/i;

/** Is nothing but the processor behind an adapter, or nothing at all? */
export const isSoftware = ({ info }: GPUAdapter): boolean =>
  ("isFallbackAdapter" in info && info.isFallbackAdapter === true) ||
  SOFTWARE.test(`${info.description} ${info.architecture}`) ||
  [info.description, info.vendor, info.architecture].every((x) => String(x) === "");
