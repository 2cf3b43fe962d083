/**
 * What a program was compiled to, for people and for tests that pin structure.
 * @module
 */
import { storedBytes } from "../dsl/core/layout.ts";
import type { Sizes } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import { printAll, printInline } from "../dsl/read/print.ts";
import type { Plan, Slot, Step, Target } from "./kernel.ts";
import type { Lowered, Outputs } from "./pipeline.ts";
import { type Chosen, scheduleText } from "./schedule.ts";
import { trafficOf } from "./traffic.ts";

/** What a program was compiled to, without a device's text. */
export interface Structure {
  /** Kernels in the order they run. */
  readonly kernels: readonly {
    readonly name: string;
    readonly skeleton: string;
    readonly buffers: readonly string[];
  }[];
  /** Names of the rules that fired, in order. */
  readonly rules: readonly string[];
}

const bytesOf = (slot: Slot, sizes: Sizes): number =>
  slot.tag === "term"
    ? storedBytes(slot.term.dtype, slot.term.shape, sizes)
    : 4 * slot.words(sizes);

const slotText = (slot: Slot): string =>
  slot.tag === "scratch"
    ? `${slot.name.replace(/\d+$/, "")} f32`
    : `${slot.term.tag === "input" ? slot.term.name : slot.term.tag} ${slot.term.dtype} ${
      JSON.stringify(slot.term.shape)
    }`;

/** The structure of lowered steps. */
export const structureOf = ({ steps, trace }: Lowered): Structure => ({
  kernels: steps.map(({ kernel, slots }) => ({
    name: kernel.name,
    skeleton: kernel.skeleton,
    buffers: slots.map((s, i) => `${kernel.arrays[i].mutable ? "write" : "read"} ${slotText(s)}`),
  })),
  rules: trace.map((t) => t.rule),
});

/** Bytes that each kernel reads and writes at most once. */
export const bytesMovedBy = (steps: readonly Step[], sizes: Sizes): number =>
  steps.reduce((n, s) => n + s.slots.reduce((m, slot) => m + bytesOf(slot, sizes), 0), 0);

/** One plan in words: what it makes, what it holds in group memory. */
const planText = (plan: Plan): string => {
  const nameOf = (t: Term): string => {
    const text = printInline(t);
    return text.length > 60 ? `${t.tag} ${JSON.stringify(t.shape)}` : text;
  };
  const list = (label: string, terms: readonly Term[]): string =>
    terms.length === 0 ? "" : `; ${label} ${terms.map(nameOf).join(" | ")}`;
  const tile = plan.skeleton === "stream"
    ? `, ${(plan.pieces ?? [plan]).map((p) => p.tile).join(" | ")} tokens a chunk${
      plan.block === undefined
        ? ""
        : `, ${plan.block.queries} queries and ${plan.block.tokens} tokens at a time`
    }`
    : plan.skeleton === "encode"
    ? `, ${plan.tile} rows a group`
    : "";
  return `  ${plan.skeleton}${tile}: makes ${plan.roots.map(nameOf).join(" | ")}${
    list("holds", plan.staged)
  }${list("makes once a run", [...plan.paced?.keys() ?? []])}${
    list("makes once a token", [...plan.moving.keys()])
  }${list("of what is decoded once a token", (plan.decoded ?? []).map(({ term }) => term))}`;
};

/** What the first group of a kernel asks of memory where lanes run side by side. */
const trafficText = ({ kernel }: Step, sizes: Sizes): string[] =>
  [...trafficOf(kernel, sizes)].map(([name, t]) =>
    `    ${name} useful ${t.useful}, fetched ${t.fetched}, asked ${t.asked} bytes; ${
      (100 * t.busy).toFixed(0)
    } % of lanes`
  );

/** Every stage as text. */
export const explainText = (
  outputs: Outputs,
  choice: Chosen,
  lowered: Lowered,
  text: string,
  sizes: Sizes | undefined,
  { serial }: Target,
): string => {
  const kernels = lowered.steps.map(({ kernel, slots }) =>
    [
      `  ${kernel.name}: skeleton ${kernel.skeleton}, ${kernel.arrays.length} buffers`,
      ...slots.map((s, i) =>
        `    ${kernel.arrays[i].name} ${kernel.arrays[i].mutable ? "write" : "read "} ${
          slotText(s)
        }${sizes === undefined ? "" : ` ${bytesOf(s, sizes)} bytes`}`
      ),
    ].join("\n")
  );
  const moved = sizes === undefined
    ? "give sizes to see them"
    : `${bytesMovedBy(lowered.steps, sizes)}`;
  return [
    "== schedule ==",
    scheduleText(choice),
    "== terms ==",
    printAll(Object.values(outputs)),
    "== rules that fired ==",
    ...lowered.trace.map((t) => `  ${t.rule}`),
    "== terms after rules ==",
    printAll(Object.values(lowered.outputs)),
    "== plans ==",
    ...lowered.plans.map(planText),
    `== ${lowered.steps.length} kernels ==`,
    ...kernels,
    `== bytes moved: ${moved} ==`,
    ...sizes === undefined || serial ? [] : [
      "== what one group asks of memory ==",
      ...lowered.steps.flatMap((s) => [`  ${s.kernel.name}:`, ...trafficText(s, sizes)]),
    ],
    "== generated text ==",
    text,
  ].join("\n");
};
