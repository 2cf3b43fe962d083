/** Schemes from files: those that hold some, and those that are refused by name. */
import { deepEqual, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { isLeft, isRight } from "../../fp.ts";
import { BASE, chosen, listed, tryOwn } from "./entries.ts";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

Deno.test("entries: exports that are codecs, under their own names", async () => {
  const own = await tryOwn(file("examples/compose.ts"));
  ok(isRight(own));
  deepEqual(own.right.map(({ name, family }) => [name, family]), [["mine", "mine"]]);
});

Deno.test("entries: a file that is not there, or holds no scheme, is named", async () => {
  for (const [path, why] of [["no/such.ts", /no\/such/], ["fp.ts", /no codec/]] as const) {
    const own = await tryOwn(file(path));
    ok(isLeft(own));
    ok(own.left.message.includes(file(path)));
    match(own.left.message, why);
  }
});

Deno.test("entries: chosen by the beginning of names; a beginning of none is refused", () => {
  const all = [BASE, ...listed()];
  const some = chosen(all, ["f32", "rtn 4"]);
  ok(isRight(some));
  deepEqual(some.right.map(({ name }) => name), ["f32", "rtn 4"]);
  deepEqual(chosen(all, undefined), { _tag: "Right", right: all });
  const none = chosen(all, ["rtn 4", "rtm"]);
  ok(isLeft(none));
  match(none.left.message, /"rtm".*rtnGrouped/);
});
