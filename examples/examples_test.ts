/** Every example runs to its end and prints something; the demo, which takes longer, is left out. */
import { ok } from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("./", import.meta.url));
const examples = readdirSync(here).filter((f) => /(?<!_test)\.ts$/.test(f) && f !== "demo.ts");

for (const file of examples) {
  Deno.test(`examples/${file} runs`, async () => {
    const printed = await new Promise<string>((resolve, reject) =>
      execFile(
        process.execPath,
        ["run", "-A", here + file],
        (error, stdout, stderr) =>
          error === null ? resolve(stdout) : reject(new Error(`${error.message}\n${stderr}`)),
      )
    );
    ok(printed.trim() !== "", "nothing was printed");
  });
}
