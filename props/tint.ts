/**
 * A second compiler for every shader. With `KVFOLD_TINT=1` each kernel that a test builds for WebGPU is
 * also compiled by Tint, Chrome's compiler, from the package `webgpu`; its null backend needs no driver.
 * Naga, which Deno has, accepts barriers in divergent control flow; Tint refuses them.
 * @module
 */
import process from "node:process";
import { emitWgsl } from "../compiler/emit/wgsl.ts";
import { scoped } from "../compiler/runtime/gpu.ts";
import type { Device, Kernel } from "../mod.ts";

/** Held apart from the import, so that nobody who does not ask for it installs it. */
const DAWN: string = "npm:webgpu@0.6.2";

/** Is the second compiler asked for? */
export const tintIsAsked = (): boolean => process.env.KVFOLD_TINT === "1";

/** What Tint says of a kernel's text, one message a line; nothing if it accepts it. */
export type Tint = (kernel: Kernel, code: string) => Promise<string>;

/** Dawn, which its devices do not keep. */
let gpu: GPU | undefined;

/** Opens Tint. */
export const openTint = async (): Promise<Tint> => {
  const { create }: { create: (options: readonly string[]) => GPU } = await import(DAWN);
  gpu ??= create(["backend=null"]);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("Dawn has no null adapter");
  const dawn = await adapter.requestDevice({
    requiredFeatures: ["subgroups" as unknown as GPUFeatureName],
  });
  const verdicts = new Map<string, Promise<string>>();
  const judge = async (kernel: Kernel, code: string): Promise<string> => {
    const { name: label, arrays, shared } = kernel;
    const made = await scoped(dawn, () => dawn.createShaderModule({ label, code }));
    const { messages } = await made.value.getCompilationInfo();
    const said = messages.map((m) => `${m.type} in line ${m.lineNum}: ${m.message}`);
    if (said.length > 0 || made.error !== undefined) return [...said, made.error].join("\n");
    // The null adapter has as many buffers and as much group memory as the specification asks for,
    // others have more.
    const bytes = shared.reduce((n, a) => n + 4 * a.length, 0);
    const { maxStorageBuffersPerShaderStage: most, maxComputeWorkgroupStorageSize: room } =
      dawn.limits;
    if (arrays.length > most || bytes > room) return "";
    const compute = { module: made.value, entryPoint: "main" };
    const pipeline = await scoped(
      dawn,
      () => dawn.createComputePipeline({ label, layout: "auto", compute }),
    );
    return pipeline.error ?? "";
  };
  return (kernel, code) => {
    const known = verdicts.get(code);
    if (known !== undefined) return known;
    const made = judge(kernel, code);
    verdicts.set(code, made);
    return made;
  };
};

/** The same device; what Tint says of a kernel is an error. */
export const withTint = <D extends Device>(device: D, tint: Tint): D => ({
  ...device,
  build: async (steps) => {
    for (const { kernel } of steps) {
      const code = emitWgsl(kernel);
      const said = await tint(kernel, code);
      if (said !== "") throw new Error(`Tint refuses ${kernel.name}: ${said}\n${code}`);
    }
    return await device.build(steps);
  },
});
