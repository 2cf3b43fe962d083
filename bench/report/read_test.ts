/** What a stored result must be, and what an error says of one that is not. */
import { deepEqual, equal, throws } from "node:assert/strict";
import { parseResult, ResultError, rowsOf } from "./read.ts";

const stored = {
  machine: {
    cpu: "c",
    cores: 2,
    runtime: { deno: "2" },
    commit: "none",
    changed: false,
    date: "2030-01-01T00:00Z",
  },
  tables: [{
    title: "speed, 8 heads",
    rows: [{ cache: "f32", ms: 1 }, { cache: "f16", ms: "wrong" }],
  }],
};
const parse = (value: unknown) => parseResult("speed.json", JSON.stringify(value));
const refuses = (value: unknown, field: string, why: string): void =>
  throws(() => parse(value), new ResultError("speed.json", field, why));

Deno.test("parseResult() gives what was stored, rowsOf() what was timed", () => {
  const result = parse(stored);
  deepEqual(result, { file: "speed.json", ...stored });
  const rows = rowsOf(result, "speed", "ms");
  equal(rows.length, 1);
  equal(rows[0].text("cache"), "f32");
  throws(
    () => rows[0].number("best"),
    new ResultError("speed.json", "tables[0].rows[0].best", "is no number"),
  );
});

Deno.test("parseResult() names the file and the field of what is not as it should be", () => {
  throws(() => parseResult("speed.json", "{"), /^ResultError: speed\.json: it is no JSON/);
  refuses([], "", "has no fields");
  refuses({ tables: [] }, "machine", "has no fields");
  refuses(
    { ...stored, machine: { ...stored.machine, date: undefined } },
    "machine.date",
    "is no text",
  );
  refuses({ ...stored, tables: {} }, "tables", "is no list");
  refuses({ ...stored, tables: [{ title: 1, rows: [] }] }, "tables[0].title", "is no text");
  refuses(
    { ...stored, tables: [{ title: "t", rows: [{ ms: null }] }] },
    "tables[0].rows[0].ms",
    "is no number",
  );
});
