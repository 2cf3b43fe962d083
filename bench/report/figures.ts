/**
 * What is drawn of speed: growth with the context, distance from the roofs, time against bits, and peers.
 * Times are those of the fastest rounds; bars of spread reach from there to the slower quartiles.
 * @module
 */
import * as Plot from "@observablehq/plot";
import { digits } from "../harness.ts";
import type { Figure } from "../page/figure.ts";
import { type Fields, type Result, rowsOf } from "./read.ts";

const INK = "var(--ink, currentColor)";
const SOFT = "var(--soft, gray)";
const OURS = "#1b5fc1";
const THEIRS = "#9aa3b2";
const COLORS = [
  "#c2410c",
  "#64748b",
  "#0f766e",
  "#1b5fc1",
  "#7c3aed",
  "#be185d",
  "#4d7c0f",
  "#0369a1",
];

const groupsOf = (rows: readonly Fields[], key: (row: Fields) => string) => [
  ...Map.groupBy(rows, key),
];

/** Heights of labels, each at least `factor` above the one below. */
const apart = <A>(items: readonly A[], height: (a: A) => number, factor: number) => {
  let below = 0;
  return [...items].sort((a, b) => height(a) - height(b)).map((item) => {
    below = Math.max(height(item), below * factor);
    return { item, at: below };
  });
};

const tokensText = (n: number): string => n >= 1024 ? `${n / 1024}K` : `${n}`;

/** One step against the tokens it walks over. */
export const growth = (result: Result): readonly Figure[] =>
  groupsOf(rowsOf(result, "one decode step", "best"), (r) => r.text("heads")).map(
    ([heads, rows]) => {
      const points = rows.map((r) => ({
        cache: r.text("cache"),
        tokens: r.number("tokens"),
        ms: r.number("best"),
      }));
      const last = Math.max(...points.map((p) => p.tokens));
      const ends = apart(points.filter((p) => p.tokens === last), (p) => p.ms, 1.28);
      return {
        caption: `${heads} heads. Time of one decode step, one thread; lower is better.`,
        plot: {
          width: 620,
          marginRight: 110,
          x: {
            type: "log",
            base: 2,
            label: "tokens in the cache →",
            ticks: [...new Set(points.map((p) => p.tokens))],
            tickFormat: tokensText,
          },
          y: { type: "log", label: "↑ milliseconds a step", tickFormat: (d: number) => `${d}` },
          color: { domain: [...new Set(points.map((p) => p.cache))], range: COLORS },
          marks: [
            Plot.line(points, { x: "tokens", y: "ms", stroke: "cache", strokeWidth: 2 }),
            Plot.dot(points, { x: "tokens", y: "ms", fill: "cache", r: 3 }),
            Plot.text(ends, {
              x: () => last,
              y: "at",
              text: (d) => d.item.cache,
              fill: (d) => d.item.cache,
              textAnchor: "start",
              dx: 10,
              fontWeight: 600,
            }),
          ],
        },
      };
    },
  );

const shapeOf = (title: string): string => title.replace(/^[^,]*, /, "");

/** Each kernel under the roofs of its run. */
export const roofline = (result: Result): readonly Figure[] =>
  result.tables.filter((t) => t.title.startsWith("decode attention")).map(({ title }) => {
    const rows = rowsOf(result, title, "best");
    const roofs = rowsOf(result, `roofs in the same run, ${shapeOf(title)}`, "G/s");
    const rate = (r: Fields): number => r.number("G/s");
    const bandwidth = Math.max(...roofs.filter((r) => r.text("of") === "bytes").map(rate));
    const peaks = roofs.filter((r) => r.text("of") !== "bytes");
    const points = rows.map((r) => ({
      cache: r.text("cache"),
      x: r.number("Gmadd/s") / r.number("GB/s"),
      y: r.number("Gmadd/s"),
      share: r.number("% roof"),
    }));
    const used = new Set(rows.map((r) => r.text("bound by")));
    const low = Math.min(...points.map((p) => p.x)) / 1.6;
    const high = Math.max(...points.map((p) => p.x)) * 3;
    const lines = peaks.map((r) => ({
      name: r.text("roof"),
      peak: rate(r),
      knee: Math.max(low, Math.min(high, rate(r) / bandwidth)),
    }));
    const top = Math.max(...lines.map((l) => l.peak));
    const bottom = Math.min(...points.map((p) => p.y), bandwidth * low) / 1.3;
    // A line of text is about a twenty-sixth of the height.
    const line = (1.25 * top / bottom) ** (1 / 26);
    const labels = apart(points, (p) => p.y, line);
    const ceilings = apart(lines.filter((l) => bandwidth * high >= l.peak), (l) => l.peak, line);
    return {
      caption: `${shapeOf(title)}. Each dot is a kernel, with its share of the roof over it; the ` +
        `slope is the bandwidth measured in the same run (${
          digits(bandwidth)
        } GB/s), the ceilings ` +
        `what one thread multiplies in registers.`,
      plot: {
        width: 620,
        marginRight: 210,
        x: {
          type: "log",
          domain: [low, high],
          label: "multiply-adds a byte moved →",
          tickFormat: (d: number) => `${d}`,
        },
        y: {
          type: "log",
          domain: [bottom, top * 1.25],
          label: "↑ billion multiply-adds a second",
          tickFormat: (d: number) => `${d}`,
        },
        marks: [
          ...lines.map(({ name, peak, knee }) =>
            Plot.line(
              [[low, bandwidth * low], [knee, Math.min(peak, bandwidth * knee)], [
                high,
                Math.min(peak, bandwidth * high),
              ]].filter(([, y]) => y <= peak),
              { stroke: SOFT, strokeWidth: 1.5, strokeDasharray: used.has(name) ? "" : "3 3" },
            )
          ),
          Plot.text(ceilings, {
            x: () => high,
            y: "at",
            text: ({ item }) => `${item.name.replace(/^.*\./, "")} ${digits(item.peak)}`,
            textAnchor: "start",
            dx: 5,
            fill: SOFT,
          }),
          Plot.link(labels, {
            x1: (d) => d.item.x,
            y1: (d) => d.item.y,
            x2: (d) => d.item.x * 1.12,
            y2: "at",
            stroke: SOFT,
            strokeWidth: 0.7,
          }),
          Plot.dot(points, { x: "x", y: "y", fill: OURS, r: 4 }),
          Plot.text(labels, {
            x: (d) => d.item.x * 1.12,
            y: "at",
            text: (d) => `${d.item.cache}  ${d.item.share.toFixed(0)} %`,
            textAnchor: "start",
            dx: 4,
            fill: INK,
          }),
        ],
      },
    };
  });

/** One step against the bits of a value. */
export const bits = (result: Result): readonly Figure[] =>
  result.tables.filter((t) => t.title.startsWith("decode attention")).map(({ title }) => {
    const points = rowsOf(result, title, "best").map((r) => ({
      cache: r.text("cache"),
      bits: r.number("bits/value"),
      best: r.number("best"),
      slow: r.number("ms"),
    }));
    const top = 1.15 * Math.max(...points.map((p) => p.best));
    const labels = apart(points, (p) => p.best + top / 50, 1).reduce<
      { item: typeof points[number]; at: number }[]
    >((done, { item, at }) => {
      const near = done.filter((d) => Math.abs(Math.log2(d.item.bits / item.bits)) < 0.9);
      const free = Math.max(at, ...near.map((d) => d.at + top / 22));
      return [...done, { item, at: free }];
    }, []);
    return {
      caption: `${shapeOf(title)}. Lower and further left is better; a stem reaches from the ` +
        `fastest round to the median. After a name: bits of the integers that queries become.`,
      plot: {
        width: 620,
        marginRight: 70,
        x: {
          type: "log",
          base: 2,
          label: "bits a value of the cache →",
          ticks: [2, 4, 8, 16, 32],
          tickFormat: (d: number) => `${d}`,
        },
        y: { domain: [0, top], label: "↑ milliseconds a step" },
        marks: [
          Plot.ruleX(points, {
            x: "bits",
            y1: "best",
            y2: (d) => Math.min(d.slow, top),
            stroke: OURS,
            strokeWidth: 1.5,
          }),
          Plot.link(labels, {
            x1: (d) => d.item.bits,
            y1: (d) => d.item.best,
            x2: (d) => d.item.bits * 1.07,
            y2: "at",
            stroke: SOFT,
            strokeWidth: 0.7,
          }),
          Plot.dot(points, { x: "bits", y: "best", fill: OURS, r: 4 }),
          Plot.text(labels, {
            x: (d) => d.item.bits * 1.05,
            y: "at",
            text: (d) => d.item.cache,
            textAnchor: "start",
            dx: 8,
            fill: INK,
          }),
        ],
      },
    };
  });

/** Peers and ours, one thread. */
export const peers = (result: Result): readonly Figure[] => {
  const rows = rowsOf(result, "decode attention", "best").filter((r) => r.number("threads") === 1);
  const shape = (r: Fields): string => `${r.text("heads")} heads, dim ${r.number("dim")}`;
  return groupsOf(rows, shape).map(([name, group]) => {
    const points = group.map((r) => ({
      what: r.text("what"),
      ms: r.number("ms"),
      low: r.number("best"),
      high: r.number("ms") + r.number("iqr") / 2,
      ours: r.text("what").startsWith("kvfold"),
      ratio: r.number("÷ ours 4 bits"),
    })).sort((a, b) => a.ms - b.ms);
    return {
      caption:
        `${name}, one thread. Median of a decode step, with how many times as long it takes as ` +
        `ours from 4 bits; shorter is better. Lines reach from the fastest round to the upper quartile.`,
      plot: {
        width: 620,
        marginLeft: 270,
        marginRight: 90,
        height: 50 + 24 * points.length,
        x: { label: "milliseconds a step →", zero: true },
        y: { label: null, domain: points.map((p) => p.what) },
        grid: false,
        marks: [
          Plot.gridX(),
          Plot.barX(points, { x: "ms", y: "what", fill: (d) => d.ours ? OURS : THEIRS }),
          Plot.ruleY(points, { y: "what", x1: "low", x2: "high", stroke: INK, strokeWidth: 1.5 }),
          Plot.text(points, {
            x: "high",
            y: "what",
            text: (d) => `${digits(d.ms)}  (${digits(d.ratio)}×)`,
            textAnchor: "start",
            dx: 6,
            fill: INK,
          }),
          Plot.ruleX([0], { stroke: SOFT }),
        ],
      },
    };
  });
};
