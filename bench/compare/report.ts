/**
 * What was found, as text and as a page: bits a value against divergence, perplexity and attention error
 * with their Pareto fronts, and one table of everything.
 * @module
 */
import * as Plot from "@observablehq/plot";
import { digits, type Machine, type Row, type Table } from "../harness.ts";
import type { Figure } from "../page/figure.ts";
import type { Cell, Page } from "../page/html.ts";
import { type Entry, OWN } from "./entries.ts";
import { front } from "./front.ts";
import type { Quality } from "./measure.ts";
import type { Speed } from "./speed.ts";

/** One entry with all that was found. */
export interface Found extends Quality, Speed {
  readonly name: string;
  readonly family: Entry["family"];
  readonly prompted?: Entry["prompted"];
}

/** What was read, and where. */
export interface Setting {
  readonly model: string;
  readonly text: string;
  readonly slices: number;
  readonly length: number;
  readonly perplexity: number;
  /** Tokens of the cache that speed was measured on. */
  readonly long: number;
  readonly machine: Machine;
  readonly date: string;
}

/** Nothing is claimed where there is no finite number. */
const percent = (x: number, places = 2): string =>
  Number.isFinite(x) ? `${(100 * x).toFixed(places)} %` : "–";
const signed = (x: number): string => `${x >= 0 ? "+" : ""}${percent(x)}`;

interface Column {
  readonly head: string;
  readonly about: string;
  readonly value: (f: Found) => number;
  readonly text: (x: number) => string;
}

const fixed = (places: number) => (x: number): string => x.toFixed(places);

const COLUMNS: readonly Column[] = [
  {
    head: "bits",
    about: "bits a value, derived from what is stored of one slice; K and V averaged",
    value: (f) => f.bits,
    text: fixed(3),
  },
  {
    head: "KLD",
    about: "mean divergence from the f32 cache, nats a token",
    value: (f) => f.kld,
    text: (x) => x.toExponential(2),
  },
  {
    head: "KLD 99.9 %",
    about: "the divergence, nats, that one token in a thousand exceeds",
    value: (f) => f.worst,
    text: (x) => x.toExponential(1),
  },
  {
    head: "ΔPPL",
    about: "perplexity over that on the f32 cache, less one",
    value: (f) => f.deltaPpl,
    text: signed,
  },
  {
    head: "same top-1",
    about: "share of tokens whose most likely successor is unchanged",
    value: (f) => f.same,
    text: (x) => percent(x, 1),
  },
  {
    head: "error K",
    about: "‖K − K̂‖ / ‖K‖ over all layers, K after RoPE",
    value: (f) => f.k,
    text: percent,
  },
  {
    head: "certified K",
    about: "the same with the certified bound of each token's error",
    value: (f) => f.certifiedK,
    text: percent,
  },
  { head: "error V", about: "‖V − V̂‖ / ‖V‖ over all layers", value: (f) => f.v, text: percent },
  {
    head: "certified V",
    about: "the same with the certified bound of each token's error",
    value: (f) => f.certifiedV,
    text: percent,
  },
  {
    head: "claimed",
    about:
      "what the error of K and of V is at most, whatever they are: known before a text is read",
    value: (f) => f.claimed,
    text: percent,
  },
  {
    head: "error out",
    about: "relative error of attention's output for the same queries",
    value: (f) => f.out,
    text: percent,
  },
  {
    head: "speed",
    about: "one decode step on a long cache: time of f32 over time of this, same run",
    value: (f) => f.speedup,
    text: (x) => `${x.toFixed(2)} x`,
  },
  {
    head: "moved",
    about: "bytes that this step moves",
    value: (f) => f.moved,
    text: (x) => `${(x / 2 ** 20).toFixed(2)} MiB`,
  },
  { head: "kernels", about: "kernels of this step", value: (f) => f.kernels, text: fixed(0) },
];

/**
 * Entries read at once, and those read after an exact prompt: they are different questions, so no entry of
 * one is ahead of one of the other.
 */
const alike = (all: readonly Found[]): readonly (readonly Found[])[] =>
  [false, true].map((after) => all.filter((f) => (f.prompted ?? false) === after));

/** Entries that no other that was read alike beats by bits and divergence together. */
export const best = (all: readonly Found[]): readonly Found[] =>
  alike(all).flatMap((those) => front(those, (f) => f.bits, (f) => f.kld));

/** The table as text; entries on the front carry a star. */
export const textTable = (setting: Setting, all: readonly Found[]): Table => {
  const ahead = new Set(best(all));
  return {
    title:
      `${setting.model} reads ${setting.slices} × ${setting.length} tokens of ${setting.text}; ` +
      `perplexity ${
        digits(setting.perplexity)
      } on f32; * no other read alike has fewer bits and less divergence`,
    rows: all.map((f): Row => ({
      scheme: `${f.name}${ahead.has(f) ? " *" : ""}`,
      ...Object.fromEntries(COLUMNS.map(({ head, value, text }) => [head, text(value(f))])),
    })),
  };
};

/** What each column of the table means. */
export const legendText = (): string => {
  const width = Math.max(...COLUMNS.map(({ head }) => head.length));
  return COLUMNS.map(({ head, about }) => `${head.padEnd(width)}   ${about}`).join("\n");
};

/** Names stand right above their points: nothing of the front lies there. */
const LABEL = {
  dx: 7,
  dy: -7,
  textAnchor: "start",
  fill: "currentColor",
  stroke: "var(--plot-background)",
  strokeWidth: 4,
} as const;

/** Bits against one loss, families joined, the front as a step line. */
const against = (
  all: readonly Found[],
  label: string,
  loss: (f: Found) => number,
  caption: string,
): Figure => {
  // A logarithmic axis has no place for what lost nothing, or gained by chance.
  const shown = all.filter((f) => loss(f) > 0 && Number.isFinite(loss(f)));
  const x = (f: Found): number => f.bits;
  const ahead = front(shown, x, loss);
  // Whoever brings a scheme looks for it first, on the front or not.
  const own = shown.filter((f) => f.family === OWN);
  const named = [...ahead, ...own.filter((f) => !ahead.includes(f))];
  const [low, high] = [Math.min(...shown.map(x)), Math.max(...shown.map(x))];
  const title = (f: Found): string =>
    `${f.name}\n${f.bits.toFixed(3)} bits\n${label} ${digits(loss(f))}`;
  return {
    caption,
    plot: {
      insetLeft: 16,
      insetRight: 72,
      insetTop: 16,
      x: {
        label: "bits a value →",
        type: "log",
        ticks: [1, 1.5, 2, 3, 4, 6, 8].filter((b) => b >= low && b <= high),
        tickFormat: "~r",
      },
      y: { label: `↑ ${label}`, type: "log", tickFormat: "~g" },
      color: { legend: false },
      marks: [
        Plot.line(shown.filter((f) => f.family !== OWN), {
          x,
          y: loss,
          z: "family",
          stroke: "family",
          strokeOpacity: 0.35,
        }),
        Plot.line(ahead, {
          x,
          y: loss,
          curve: "step-after",
          stroke: "currentColor",
          strokeDasharray: "3 3",
        }),
        Plot.dot(shown, { x, y: loss, fill: "family", r: 4, title }),
        Plot.dot(own, { x, y: loss, stroke: "currentColor", strokeWidth: 1.5, r: 6, title }),
        Plot.text(named, { x, y: loss, text: "name", ...LABEL }),
      ],
    },
  };
};

const FIGURES = [
  [
    "KLD, nats a token",
    (f: Found) => f.kld,
    "Bits against mean divergence from the f32 cache. Down and left is better; the dashed line is the front.",
  ],
  [
    "ΔPPL",
    (f: Found) => f.deltaPpl,
    "Bits against added perplexity. What gained perplexity by chance is left out: below a percent this " +
    "number says little.",
  ],
  [
    "error of attention's output",
    (f: Found) => f.out,
    "Bits against the relative error of attention's output, same queries, all layers.",
  ],
  [
    "certified error of K",
    (f: Found) => f.certifiedK,
    "Bits against what is certified of K as it was stored: the bound, not the measured error.",
  ],
] as const;

const cellOf = (f: Found) => ({ value, text }: Column): Cell => ({
  text: text(value(f)),
  value: value(f),
});

/** Figures of entries that were read alike; none of none. */
const figuresOf = (title: string, text: readonly string[], all: readonly Found[]) =>
  all.length === 0 ? [] : [{
    title,
    text,
    figures: FIGURES.map(([label, loss, caption]) => against(all, label, loss, caption)),
    grids: [],
  }];

/** The page. */
export const pageOf = (setting: Setting, all: readonly Found[]): Page => {
  const ahead = new Set(best(all));
  const { machine } = setting;
  const [atOnce, prompted] = alike(all);
  return {
    title: "KV-cache schemes on a real model",
    lead:
      `${setting.model} reads ${setting.slices} × ${setting.length} tokens of ${setting.text} on caches ` +
      `held by ${all.length} schemes. Perplexity on the f32 cache: ${digits(setting.perplexity)}.`,
    sections: [
      ...figuresOf("What a bit buys", [], atOnce!),
      ...figuresOf("What a bit of the prompt buys", [
        "Half of each slice is read exactly, then stored; the other half is read on what is stored of both. " +
        "Bits are those of the prompt; later tokens take the scheme's first codec. These rows are not to be " +
        "compared with the others.",
      ], prompted!),
      {
        title: "Every scheme",
        text: [
          "Press a head to sort. Marked rows are on the front of bits and divergence: no other scheme that " +
          "was read alike has both fewer bits and less divergence. Certified errors hold for every input with the same stored " +
          `scales, outliers and choices of points; speed is one decode step on ${setting.long} tokens, WebAssembly, one thread.`,
        ],
        figures: [],
        grids: [{
          columns: [
            { head: "scheme", about: "name and width of codes" },
            ...COLUMNS.map(({ head, about }) => ({ head, about })),
          ],
          rows: all.map((f) => ({
            cells: [f.name, ...COLUMNS.map(cellOf(f))],
            marked: ahead.has(f),
          })),
        }],
      },
    ],
    footer: `${machine.cpu}, ${machine.cores} cores · ${
      Object.entries(machine.runtime).map(([k, v]) => `${k} ${v}`).join(", ")
    } · commit ${machine.commit.slice(0, 10)}${
      machine.changed ? " with changes" : ""
    } · ${setting.date}`,
  };
};
