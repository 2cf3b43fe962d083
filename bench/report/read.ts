/**
 * Stored results, read back. A file may have been cut off, edited or written by an older version: what is
 * drawn from it is checked field by field, and an error names the file and the field.
 * @module
 */
import type { Machine, Row, Table } from "../harness.ts";

/** A stored result that is not what it should be. */
export class ResultError extends Error {
  override readonly name = "ResultError";

  constructor(readonly file: string, readonly field: string, readonly why: string) {
    super(`${file}: ${field === "" ? "it" : field} ${why}`);
  }
}

/** What a benchmark left. */
export interface Result {
  readonly file: string;
  readonly machine: Machine;
  readonly tables: readonly Table[];
}

type Check<A> = (value: unknown, file: string, field: string) => A;

const text: Check<string> = (value, file, field) => {
  if (typeof value === "string") return value;
  throw new ResultError(file, field, "is no text");
};

const number: Check<number> = (value, file, field) => {
  if (typeof value === "number") return value;
  throw new ResultError(file, field, "is no number");
};

const truth: Check<boolean> = (value, file, field) => {
  if (typeof value === "boolean") return value;
  throw new ResultError(file, field, "is neither true nor false");
};

const list = <A>(each: Check<A>): Check<readonly A[]> => (value, file, field) => {
  if (!Array.isArray(value)) throw new ResultError(file, field, "is no list");
  return value.map((x, i) => each(x, file, `${field}[${i}]`));
};

const fields: Check<Readonly<Record<string, unknown>>> = (value, file, field) => {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new ResultError(file, field, "has no fields");
};

const record = <A>(each: Check<A>): Check<Readonly<Record<string, A>>> => (value, file, field) =>
  Object.fromEntries(
    Object.entries(fields(value, file, field)).map((
      [k, x],
    ) => [k, each(x, file, `${field}.${k}`)]),
  );

const cell: Check<string | number> = (value, file, field) =>
  typeof value === "string" ? value : number(value, file, field);

const machine: Check<Machine> = (value, file, field) => {
  const found = fields(value, file, field);
  const at = <A>(key: keyof Machine, check: Check<A>): A =>
    check(found[key], file, `${field}.${key}`);
  return {
    cpu: at("cpu", text),
    cores: at("cores", number),
    runtime: at("runtime", record(text)),
    commit: at("commit", text),
    changed: at("changed", truth),
    date: at("date", text),
  };
};

const table: Check<Table> = (value, file, field) => {
  const found = fields(value, file, field);
  return {
    title: text(found.title, file, `${field}.title`),
    rows: list(record(cell))(found.rows, file, `${field}.rows`),
  };
};

/** The result that a file holds. */
export const parseResult = (file: string, content: string): Result => {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new ResultError(file, "", `is no JSON: ${(error as Error).message}`);
  }
  const found = fields(value, file, "");
  return {
    file,
    machine: machine(found.machine, file, "machine"),
    tables: list(table)(found.tables, file, "tables"),
  };
};

/** A row whose fields are asked for by name. */
export interface Fields {
  readonly text: (key: string) => string;
  readonly number: (key: string) => number;
  readonly row: Row;
}

/** Rows of the tables whose title starts so; those without a time (skipped, wrong) are left out. */
export const rowsOf = ({ file, tables }: Result, title: string, has: string): readonly Fields[] =>
  tables.flatMap((t, i) =>
    !t.title.startsWith(title) ? [] : t.rows.flatMap((row, r): Fields[] => {
      if (typeof row[has] !== "number") return [];
      const field = (key: string): string => `tables[${i}].rows[${r}].${key}`;
      return [{
        row,
        text: (key) => text(row[key], file, field(key)),
        number: (key) => number(row[key], file, field(key)),
      }];
    })
  );
