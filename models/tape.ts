/**
 * Reverse-mode derivatives across programs: each formula is run as it is, and its derivative is one more
 * formula, compiled once for all steps that run it.
 *
 * ```text
 * run     y = f(x, w)         remembers the tensors
 * back    ḡ of y              runs pullback(f): ḡ of x and of w, last step first; what meets is added
 * ```
 * A step is derived from its inputs: it computes again what it needs in between.
 * @module
 */
import { type Given, input, inputsOf, map, pullback, type Tensor } from "../mod.ts";
import type { Formula } from "./llama.ts";
import { disposeAll, type Tensors } from "./precision.ts";
import type { library } from "./runner.ts";

/** A record of what was run. */
export interface Tape {
  /** Runs a formula; its tensors are the tape's from then on. */
  readonly run: (
    formula: Formula,
    inputs: Readonly<Record<string, Given>>,
  ) => Promise<Tensors>;
  /** Gradients of the tensors that were asked for, from that of one result; the tape is empty afterwards. */
  readonly back: (result: Tensor, by: Tensor) => Promise<ReadonlyMap<Tensor, Tensor>>;
  /** Gives the memory of all that was recorded back. */
  readonly close: () => void;
}

interface Step {
  readonly formula: Formula;
  readonly inputs: Readonly<Record<string, Given>>;
  readonly outputs: Tensors;
}

const isTensor = (x: Given): x is Tensor => "memory" in x;

/** The gradient of a result, as an input of the program that pulls it back. */
const of = (name: string): string => `by.${name}`;

/** The formula of a step's gradients: from those of some results to those of some inputs. */
const pulled = (formula: Formula, results: readonly string[], wrt: readonly string[]): Formula => {
  const inputs = inputsOf(formula);
  const gradients = pullback(
    results.map((name) => ({
      of: formula[name]!,
      by: input(of(name), formula[name]!.shape, "f32"),
    })),
    wrt.map((name) => inputs.get(name)!),
    // A basis that a codec fits to what it stores counts as it was fitted.
    { fixed: (t) => t.tag === "routine" },
  );
  return Object.fromEntries(wrt.map((name, i) => [name, gradients[i]!]));
};

/** Opens a tape on which the tensors of `asked` are what gradients are wanted of. */
export const openTape = (
  compiled: ReturnType<typeof library>,
  asked: ReadonlySet<Tensor>,
): Tape => {
  const steps: Step[] = [];
  const moving = new Set(asked);
  const ran = async (formula: Formula, given: Readonly<Record<string, Given>>): Promise<Tensors> =>
    await (await compiled(formula)).run(given);
  const close = (): void => disposeAll(steps.splice(0).flatMap((s) => Object.values(s.outputs)));
  const moved = ({ inputs }: Step): (readonly [string, Tensor])[] =>
    Object.entries(inputs).flatMap(([name, x]) =>
      isTensor(x) && moving.has(x) ? [[name, x] as const] : []
    );
  return {
    run: async (formula, inputs) => {
      const step = { formula, inputs, outputs: await ran(formula, inputs) };
      steps.push(step);
      if (moved(step).length > 0) Object.values(step.outputs).forEach((t) => moving.add(t));
      return step.outputs;
    },
    back: async (result, by) => {
      const gradients = new Map<Tensor, Tensor>([[result, by]]);
      const add = async (x: Tensor, g: Tensor): Promise<void> => {
        const old = gradients.get(x);
        if (old === undefined) return void gradients.set(x, g);
        const [a, b] = ["a", "b"].map((name) => input(name, g.shape, "f32"));
        gradients.set(x, (await ran({ sum: map("add", a!, b!) }, { a: old, b: g })).sum!);
        disposeAll([old, g]);
      };
      for (const step of steps.toReversed()) {
        const results = Object.entries(step.outputs).filter(([, t]) => gradients.has(t));
        const wrt = moved(step);
        if (results.length > 0 && wrt.length > 0) {
          const formula = pulled(step.formula, results.map(([n]) => n), wrt.map(([n]) => n));
          const given = Object.fromEntries(results.map(([n, t]) => [of(n), gradients.get(t)!]));
          const made = await ran(formula, { ...step.inputs, ...given });
          for (const [name, x] of wrt) await add(x, made[name]!);
        }
        for (const [, t] of results) {
          gradients.get(t)!.dispose();
          gradients.delete(t);
        }
      }
      close();
      return gradients;
    },
    close,
  };
};
