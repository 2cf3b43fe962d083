/**
 * Options of a command: one table of them is what is read, what `--help` says, and what an error names.
 *
 * ```text
 * { slices: { wants: "N", from: 1, otherwise: 3, says: "how many slices" } }
 *   --slices 5     { slices: 5 }
 *   --help         --slices N   how many slices (default 3)
 *   --slice 5      no option --slice: there are --slices, --help
 * ```
 * @module
 */
import process from "node:process";
import { type Either, isLeft, left, right } from "../fp.ts";

/** One option. Without `wants` it takes no value: it is there or not. */
export interface Flag {
  /** What `--help` says of it. */
  readonly says: string;
  /** What its value is called. */
  readonly wants?: string;
  /** Its value where none is given. */
  readonly otherwise?: string | number;
  /** It is a whole number from here on. */
  readonly from?: number;
  /** May it be given again? */
  readonly many?: true;
}

/** Options by name. */
export type Flags = Readonly<Record<string, Flag>>;

type One<F extends Flag> = F extends { readonly from: number } ? number : string;
type ValueOf<F extends Flag> = F extends { readonly many: true } ? readonly string[]
  : F extends { readonly wants: string }
    ? F extends { readonly otherwise: string | number } ? One<F> : One<F> | undefined
  : boolean;

/** What is read of options. */
export type Values<F extends Flags> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** A command, as it is called. */
export interface Command<F extends Flags> {
  /** How it is called, up to its options: `deno task compare [options]`. */
  readonly usage: string;
  readonly flags: F;
  /** Words that are no options, at most so many; none unless given. */
  readonly words?: number;
}

/** What a command was called with. */
export interface Called<F extends Flags> {
  readonly values: Values<F>;
  readonly words: readonly string[];
}

/** A command that was not called as it wants to be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What `--help` says. */
export const helpOf = ({ usage, flags }: Command<Flags>): string => {
  const rows = Object.entries(flags).map(([name, { says, wants, otherwise, many }]) => {
    const more = [
      ...otherwise === undefined || otherwise === "" ? [] : [`default ${otherwise}`],
      ...many ? ["may be given again"] : [],
    ];
    const head = wants === undefined ? `--${name}` : `--${name} ${wants}`;
    return [head, more.length === 0 ? says : `${says} (${more.join("; ")})`] as const;
  });
  const width = Math.max(...rows.map(([head]) => head.length));
  return [usage, ...rows.map(([head, says]) => `  ${head.padEnd(width)}   ${says}`)].join("\n");
};

/** Reads what a command was called with; `undefined` where help is asked for. */
export const readOptions = <const F extends Flags>(
  { flags, words: most = 0 }: Command<F>,
  args: readonly string[],
): Either<UsageError, Called<F> | undefined> => {
  const values: Record<string, string | number | boolean | string[] | undefined> = Object
    .fromEntries(
      Object.entries(flags).map(([name, { wants, otherwise, many }]) => [
        name,
        many ? [] : wants === undefined ? false : otherwise,
      ]),
    );
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--help" || arg === "-h") return right(undefined);
    if (!arg.startsWith("-")) {
      if (words.push(arg) > most) return left(new UsageError(`no word "${arg}" is wanted`));
      continue;
    }
    const [, name = "", inline] = /^--([^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!Object.hasOwn(flags, name)) {
      const known = [...Object.keys(flags), "help"].map((n) => `--${n}`).join(", ");
      return left(new UsageError(`no option ${arg}: there are ${known}`));
    }
    const { wants, many, from } = flags[name];
    if (wants === undefined) {
      if (inline !== undefined) return left(new UsageError(`--${name}: takes no value`));
      values[name] = true;
      continue;
    }
    const value = inline ?? args[++i];
    if (value === undefined || (inline === undefined && value.startsWith("--"))) {
      return left(new UsageError(`--${name}: a value ${wants} is wanted`));
    }
    if (from !== undefined && !isCount(value, from)) {
      const wanted = `a whole number from ${from} on is wanted`;
      return left(new UsageError(`--${name}: ${wanted}, and "${value}" is given`));
    }
    if (many) values[name] = [...values[name] as string[], value];
    else values[name] = from === undefined ? value : Number(value);
  }
  return right({ values: values as Values<F>, words });
};

/** Is it a whole number from `least` on? */
export const isCount = (text: string, least: number): boolean =>
  /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) && Number(text) >= least;

/** Ends the process with what an error says. */
export const stop = ({ name, message }: Error): never => {
  console.error(`${name}: ${message}`);
  process.exit(1);
};

/** What this process was called with; help and errors end it. */
export const called = <const F extends Flags>(command: Command<F>): Called<F> => {
  const read = readOptions(command, process.argv.slice(2));
  if (isLeft(read)) return stop(read.left);
  if (read.right !== undefined) return read.right;
  console.log(helpOf(command));
  return process.exit(0);
};
