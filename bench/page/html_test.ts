/** What a page holds, and what it does not let through. */
import { match, ok } from "node:assert/strict";
import * as Plot from "@observablehq/plot";
import { pageHtml } from "./html.ts";

const hostile = `<script>alert("x & y")</script>`;
const page = pageHtml({
  title: hostile,
  lead: hostile,
  footer: hostile,
  sections: [{
    title: hostile,
    text: [hostile],
    figures: [{
      caption: hostile,
      plot: {
        marks: [
          Plot.dot([{ x: 1, y: 2, name: hostile }], { x: "x", y: "y", title: "name" }),
          Plot.text([{ x: 1, y: 2, name: hostile }], { x: "x", y: "y", text: "name" }),
        ],
      },
    }],
    grids: [{
      columns: [{ head: hostile, about: hostile }],
      rows: [{ cells: [hostile], marked: false }, {
        cells: [{ text: hostile, value: 2 }],
        marked: true,
      }],
    }],
  }],
});

Deno.test("page: what it is given is text, wherever it stands", () => {
  ok(!page.includes("<script>alert"), "markup of a name came through");
  match(page, /&lt;script&gt;alert/);
});

Deno.test("page: one file, nothing loaded from elsewhere", () => {
  ok(page.startsWith("<!doctype html>"));
  ok(!/(src|href)="/.test(page), "the page loads something");
  match(page, /<svg/);
  match(page, /data-value="2"/);
});
