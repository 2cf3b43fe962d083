/** Examples of a folder whose files nobody vouches for. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fromFolder, toFolder } from "./folder.ts";

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 7);

const inFolder = async (use: (folder: string, file: () => Promise<string>) => Promise<void>) => {
  const folder = await mkdtemp(`${tmpdir()}/kvfold-`);
  try {
    await use(folder, async () => `${folder}/${(await readdir(folder))[0]}`);
  } finally {
    await rm(folder, { recursive: true });
  }
};

Deno.test("fromFolder() gives back what toFolder() left, for that text alone", () =>
  inFolder(async (folder) => {
    equal(await fromFolder(folder, "a"), undefined);
    await toFolder(folder, "a", bytes);
    deepEqual(await fromFolder(folder, "a"), bytes);
    equal(await fromFolder(folder, "b"), undefined);
    equal((await readdir(folder)).length, 1);
  }));

Deno.test("fromFolder() believes no file that is cut off, longer, or changed in any byte", () =>
  inFolder(async (folder, file) => {
    await toFolder(folder, "a", bytes);
    const path = await file();
    const good = new Uint8Array(await readFile(path));
    const refused = async (data: Uint8Array): Promise<void> => {
      await writeFile(path, data);
      equal(await fromFolder(folder, "a"), undefined);
    };
    for (let n = 0; n < good.length; n++) await refused(good.slice(0, n));
    await refused(new Uint8Array([...good, 0]));
    for (let i = 0; i < good.length; i++) await refused(good.map((x, k) => k === i ? x ^ 1 : x));
    await writeFile(path, good);
    deepEqual(await fromFolder(folder, "a"), bytes);
  }));

Deno.test("fromFolder() believes no file of another text under this one's name", () =>
  inFolder(async (folder, file) => {
    await toFolder(folder, "a", bytes);
    const other = await readFile(await file());
    await rm(await file());
    await toFolder(folder, "b", bytes.map((x) => x + 1));
    await writeFile(await file(), other);
    equal(await fromFolder(folder, "b"), undefined);
  }));

Deno.test("toFolder() makes the folder, and says nothing where it cannot", () =>
  inFolder(async (folder, file) => {
    await toFolder(`${folder}/new/deep`, "a", bytes);
    deepEqual(await fromFolder(`${folder}/new/deep`, "a"), bytes);
    await rm(`${folder}/new`, { recursive: true });
    await writeFile(`${folder}/taken`, "");
    await toFolder(await file(), "a", bytes);
    equal(await fromFolder(await file(), "a"), undefined);
  }));
