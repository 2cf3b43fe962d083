/**
 * Development data that users do not have: `../shared/data` beside the repository, or the folder
 * that the environment names. A test that needs it says aloud when it does not run.
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = process.env.KVFOLD_SHARED ??
  fileURLToPath(new URL("../../shared/data", import.meta.url));

/** A test over files of the development data, skipped aloud where one of them is absent. */
export const testShared = (
  name: string,
  files: readonly string[],
  run: (paths: readonly string[]) => void | Promise<void>,
): void => {
  const paths = files.map((file) => `${root}/${file}`);
  const absent = paths.filter((path) => !existsSync(path));
  if (absent.length > 0) console.warn(`SKIPPED: ${name} (needs ${absent.join(", ")})`);
  Deno.test({ name, ignore: absent.length > 0, fn: () => run(paths) });
};
