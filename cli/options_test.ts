/** How options are read, and what is said of wrong ones. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { isLeft, isRight } from "../fp.ts";
import { helpOf, readOptions } from "./options.ts";

const COMMAND = {
  usage: "deno task weigh [options]",
  flags: {
    slices: { wants: "N", from: 1, otherwise: 3, says: "how many slices" },
    file: { wants: "FILE", many: true, says: "what is read" },
    only: { wants: "NAME", says: "one of them" },
    quick: { says: "in a hurry" },
  },
} as const;

Deno.test("options are read as their table says", () => {
  const read = readOptions(COMMAND, ["--file", "a", "--slices=5", "--quick", "--file", "b"]);
  ok(isRight(read));
  deepEqual(read.right, {
    values: { slices: 5, file: ["a", "b"], only: undefined, quick: true },
    words: [],
  });
  const none = readOptions(COMMAND, []);
  ok(isRight(none));
  deepEqual(none.right?.values, { slices: 3, file: [], only: undefined, quick: false });
});

Deno.test("help is asked for before anything else is wrong", () => {
  const read = readOptions(COMMAND, ["--help"]);
  ok(isRight(read) && read.right === undefined);
  equal(
    helpOf(COMMAND),
    [
      "deno task weigh [options]",
      "  --slices N    how many slices (default 3)",
      "  --file FILE   what is read (may be given again)",
      "  --only NAME   one of them",
      "  --quick       in a hurry",
    ].join("\n"),
  );
});

Deno.test("what is no option, and a value that is missing or too many, is named", () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--slice", "5"], /no option --slice: there are --slices, --file, --only, --quick, --help/],
    [["--constructor"], /no option --constructor/],
    [["-x"], /no option -x/],
    [["--only"], /--only: a value NAME is wanted/],
    [["--only", "--quick"], /--only: a value NAME is wanted/],
    [["--quick=yes"], /--quick: takes no value/],
    [["more"], /no word "more" is wanted/],
  ];
  for (const [args, message] of wrong) {
    const read = readOptions(COMMAND, args);
    ok(isLeft(read), args.join(" "));
    match(read.left.message, message);
  }
  for (const text of ["0", "x", "", "1.5", "-1", "1e999"]) {
    const read = readOptions(COMMAND, ["--slices", text]);
    ok(isLeft(read), text);
    match(read.left.message, /--slices: a whole number from 1 on is wanted, and/);
  }
});
