/**
 * Plots as SVG text, drawn without a browser: [Observable Plot](https://observablehq.com/plot) on a
 * document that lives in memory. Options are Plot's own; what is here is the look that all pages share.
 * @module
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

/** What a figure is made of. */
export interface Figure {
  /** What is seen, and which side is better. */
  readonly caption: string;
  /** Marks, scales and sizes, as Plot takes them. */
  readonly plot: Plot.PlotOptions;
}

const { document } = parseHTML("<html></html>") as unknown as Required<
  Pick<Plot.PlotOptions, "document">
>;

/** The text of one figure. */
export const figureSvg = ({ plot }: Figure): string =>
  Plot.plot({
    width: 600,
    height: 420,
    marginLeft: 60,
    marginBottom: 44,
    grid: true,
    ...plot,
    document,
    style: { fontSize: "12px", overflow: "visible" },
  }).outerHTML;
