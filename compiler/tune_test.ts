/** What the tuner tries, what it remembers, and what it believes of a file. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { attend, compile, input, openWasm, SCHEDULE, type Schedule, tune } from "../mod.ts";
import { parseSchedule, search } from "./tune.ts";

const outputsOf = (dim: number) => {
  const k = input("k", [1, "tokens", dim], "f32");
  const v = input("v", [1, "tokens", dim], "f32");
  return { out: attend({ q: input("q", [1, 1, 1, dim], "f32"), k, v }) };
};
const inputsOf = (dim: number) => {
  const rows = Float32Array.from({ length: 300 * dim }, (_, i) => Math.sin(i));
  return { q: rows.slice(0, dim), k: rows, v: rows };
};

Deno.test("search() takes what is faster by a margin, and times each text once", async () => {
  const cost = ({ chunk, rows }: Schedule): number =>
    ({ 64: 9, 128: 5, 256: 6 })[chunk]! + ({ 2: 1, 4: 0.95, 8: 1 })[rows]!;
  const timed: string[] = [];
  const best = await search(
    SCHEDULE,
    { chunk: [64, 128, 256], lanes: [32, 64], rows: [2, 4, 8] },
    (s) => Promise.resolve({ text: `${s.chunk} ${s.rows}`, cost: cost(s) }),
    (a, b) => {
      timed.push(b.text);
      return Promise.resolve(b.cost / a.cost);
    },
  );
  // 4 rows would be faster by less than the margin; lanes change no text.
  deepEqual(best, { ...SCHEDULE, chunk: 128 });
  deepEqual(timed, ["64 8", "128 8", "128 2", "128 4"]);
});

Deno.test("parseSchedule() believes choices that were asked for, and nothing else", () => {
  const parse = (text: string) =>
    parseSchedule(new TextEncoder().encode(text), { chunk: [64, 128], fixed: [16] });
  deepEqual(parse('{"chunk":64,"fixed":16}'), { chunk: 64, fixed: 16 });
  for (
    const text of [
      "",
      "[]",
      "null",
      '{"chunk":64}',
      '{"chunk":65,"fixed":16}',
      '{"chunk":"64","fixed":16}',
      '{"chunk":64,"fixed":false}',
      '{"chunk":64,"fixed":16,"rows":8}',
      '{"chunk":64,"fixed":16,"__proto__":{}}',
      `{"chunk":64,"fixed":16${" ".repeat(5000)}}`,
    ]
  ) equal(parse(text), undefined, text);
  equal(parseSchedule(Uint8Array.of(0xff, 0xfe), { chunk: [64] }), undefined);
});

Deno.test("tune() remembers by program and device; explain() says where numbers come from", async () => {
  const [outputs, inputs] = [outputsOf(8), inputsOf(8)];
  const device = openWasm();
  const plain = await compile(outputs, { device });
  match(plain.explain(), /chunk 2048 \(default\)/);
  const candidates = { chunk: [16, 64] };
  const found = await tune(outputs, { device, inputs, candidates, schedule: { rows: 4 } });
  equal(found.from, "measured");
  deepEqual(Object.keys(found.schedule), ["chunk"]);
  const again = await tune(outputsOf(8), { device, inputs, candidates, schedule: { rows: 4 } });
  deepEqual(again, { ...found, from: "memory" });
  const tuned = await compile(outputs, { device, schedule: { rows: 4 } });
  match(tuned.explain(), new RegExp(`chunk ${found.schedule.chunk} \\(tuned\\)`));
  match(tuned.explain(), /rows 4 \(given\)/);
  match(
    (await compile(outputs, { device, schedule: { chunk: 8 } })).explain(),
    /chunk 8 \(given\)/,
  );
  match((await compile(outputsOf(12), { device })).explain(), /chunk 2048 \(default\)/);
  const [a, b] = [await plain.values(inputs), await tuned.values(inputs)];
  ok(a.out.every((x, i) => Math.abs(x - b.out[i]) < 1e-5));
  device.close();
});

Deno.test("tune() finds in a folder what another left there, unless it was damaged", async () => {
  const folder = await mkdtemp(`${tmpdir()}/kvfold-`);
  try {
    const asked = { inputs: inputsOf(16), candidates: { chunk: [16] }, folder };
    const [first, second] = [openWasm(), openWasm()];
    const found = await tune(outputsOf(16), { ...asked, device: first });
    equal(found.from, "measured");
    // Another choice of candidates is another question: what is in memory does not answer it.
    const other = { ...asked, candidates: { chunk: [24] }, device: second };
    equal((await tune(outputsOf(16), other)).from, "measured");
    deepEqual(await tune(outputsOf(16), { ...asked, device: second }), {
      ...found,
      from: "folder",
    });
    for (const file of await readdir(folder)) await writeFile(`${folder}/${file}`, "{}");
    equal((await tune(outputsOf(16), other)).from, "measured");
    first.close();
    second.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
