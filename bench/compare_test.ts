/** The command as a user runs it: a table on the screen, a page in a file, refusals in words. */
import { match, ok } from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("./", import.meta.url));
const compare = (...args: string[]): Promise<{ out: string; err: string; failed: boolean }> =>
  new Promise((resolve) =>
    execFile(
      process.execPath,
      ["run", "-A", `${here}compare.ts`, ...args],
      (error, out, err) => resolve({ out, err, failed: error !== null }),
    )
  );

Deno.test("compare: a scheme of a file stands among others, on the screen and on the page", async () => {
  const folder = mkdtempSync(join(tmpdir(), "compare-"));
  try {
    const page = join(folder, "page.html");
    // Wherever a file lies, it finds the package.
    const file = join(folder, "away.ts");
    writeFileSync(file, 'import { rtn } from "kvfold";\nexport const away = rtn(8);\n');
    const { out, err, failed } = await compare(
      ...["--scheme", `${here}../examples/compose.ts`, "--scheme", file],
      ...["--only", "mine,away,rtn 4"],
      ...["--slices", "16", "--long", "256", "--page", page],
    );
    ok(!failed, err);
    match(out, /^mine/m);
    match(out, /^away/m);
    match(out, /^rtn 4/m);
    const html = readFileSync(page, "utf8");
    match(html, /<td>mine<\/td>/);
    ok(!html.includes("NaN"), "a number is none");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

Deno.test("compare: what cannot be done is said in words, without a stack", async () => {
  for (
    const [args, why] of [
      [["--slices", "none"], /--slices: a whole number/],
      [["--only", "rtm"], /begins with "rtm"/],
      [["--colour"], /--colour/],
      [["--text", "no/such.txt"], /no\/such\.txt/],
    ] as const
  ) {
    const { err, failed } = await compare(...args);
    ok(failed);
    match(err, why);
    ok(!/^\s+at /m.test(err), err);
  }
});
