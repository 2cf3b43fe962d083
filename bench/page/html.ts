/**
 * One page in one file: figures as SVG, tables that sort, nothing loaded from anywhere. All text is
 * escaped: names of schemes and errors may come from a user's file.
 *
 * Before: `{ title, lead, sections: [{ title, figures, tables }], footer }`; after: a string that starts
 * with `<!doctype html>`.
 * @module
 */
import { type Figure, figureSvg } from "./figure.ts";

/** A cell: what is shown, and by what its column sorts. */
export type Cell = string | { readonly text: string; readonly value: number };

/** A table of the page. */
export interface Grid {
  /** Heads of the columns, each with what it means. */
  readonly columns: readonly { readonly head: string; readonly about: string }[];
  /** Rows of as many cells; a row that is `marked` stands out. */
  readonly rows: readonly { readonly cells: readonly Cell[]; readonly marked: boolean }[];
}

/** A part of the page. */
export interface Section {
  readonly title: string;
  /** Paragraphs under the title. */
  readonly text: readonly string[];
  readonly figures: readonly Figure[];
  readonly grids: readonly Grid[];
}

/** The page. */
export interface Page {
  readonly title: string;
  readonly lead: string;
  readonly sections: readonly Section[];
  /** Machine, commit and date. */
  readonly footer: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as HTML. */
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => ESCAPES[c]!);

const STYLE = `
:root { color-scheme: light dark; --ink: #1a1c20; --soft: #5d6470; --line: #dcdfe5; --back: #fff; --mark: #fff6d9; --strong: #1b5fc1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ee; --soft: #9aa3b2; --line: #343a46; --back: #14161b; --mark: #3a3216; --strong: #86b6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 32px 24px 64px; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 40px 0 8px; }
p { max-width: 76ch; margin: 8px 0; } .lead, figcaption, footer { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(520px, 100%), 1fr)); gap: 28px; }
figure { margin: 0; min-width: 0; } figure svg { width: 100%; height: auto; --plot-background: var(--back); } figcaption { font-size: 13px; }
.scroll { overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { position: sticky; top: 0; background: var(--back); } th button { all: unset; cursor: pointer; font-weight: 600; }
th button:hover, th button:focus-visible { color: var(--strong); text-decoration: underline; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
tr.marked td { background: var(--mark); }
footer { margin-top: 48px; border-top: 1px solid var(--line); padding-top: 12px; font-size: 13px; }
`;

/** Sorts a table by the column of the head that was pressed, numbers as numbers. */
const SCRIPT = `
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.cells[i].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === undefined || y === undefined) return a.cells[i].textContent.localeCompare(b.cells[i].textContent);
      return Number(x) - Number(y);
    });
    body.append(...(up ? rows : rows.reverse()));
  }));
}
`;

const cellHtml = (cell: Cell): string =>
  typeof cell === "string"
    ? `<td>${escaped(cell)}</td>`
    : `<td data-value="${cell.value}">${escaped(cell.text)}</td>`;

const gridHtml = ({ columns, rows }: Grid): string =>
  [
    '<div class="scroll"><table><thead><tr>',
    ...columns.map(({ head, about }) =>
      `<th scope="col" title="${escaped(about)}"><button>${escaped(head)}</button></th>`
    ),
    "</tr></thead><tbody>",
    ...rows.map(({ cells, marked }) =>
      `<tr${marked ? ' class="marked"' : ""}>${cells.map(cellHtml).join("")}</tr>`
    ),
    "</tbody></table></div>",
  ].join("\n");

const figureHtml = (figure: Figure): string =>
  `<figure>${figureSvg(figure)}<figcaption>${escaped(figure.caption)}</figcaption></figure>`;

const paragraph = (text: string): string => `<p>${escaped(text)}</p>`;

const sectionHtml = ({ title, text, figures, grids }: Section): string =>
  [
    `<section><h2>${escaped(title)}</h2>`,
    ...text.map(paragraph),
    ...(figures.length > 0 ? ['<div class="figures">', ...figures.map(figureHtml), "</div>"] : []),
    ...grids.map(gridHtml),
    "</section>",
  ].join("\n");

/** The page as the text of its file. */
export const pageHtml = ({ title, lead, sections, footer }: Page): string =>
  [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escaped(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${escaped(title)}</h1><p class="lead">${escaped(lead)}</p>`,
    ...sections.map(sectionHtml),
    `<footer>${escaped(footer)}</footer><script>${SCRIPT}</script></body></html>`,
    "",
  ].join("\n");
