/**
 * What can be wrong with a model's files. A file comes from anywhere, so each parser of this folder
 * returns `Either<ModelError, …>`: the tag is for programs, `describe` is for people, `orThrow` is
 * for scripts. An error names the place and the two things that disagree there.
 * @module
 */
import { type Either, isLeft, left } from "../fp.ts";

/** Why a model's file was refused. */
export type ModelError =
  /** The file ends too early, or goes on too long. */
  | { readonly tag: "length"; readonly where: string; readonly need: number; readonly have: number }
  /** A number is above the bound that keeps a hostile file cheap. */
  | { readonly tag: "limit"; readonly where: string; readonly limit: number; readonly have: number }
  /** A text is not UTF-8, or not JSON. */
  | { readonly tag: "syntax"; readonly where: string; readonly why: string }
  /** A value is not of the kind that belongs there. */
  | { readonly tag: "value"; readonly where: string; readonly want: string; readonly have: string }
  /** A tensor's bytes are not as many as its shape and dtype say. */
  | {
    readonly tag: "bytes";
    readonly tensor: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly need: number;
    readonly have: number;
  }
  /** A tensor does not begin where the one before it ends. */
  | {
    readonly tag: "overlap" | "gap";
    readonly tensor: string;
    readonly begin: number;
    readonly before: string;
    readonly end: number;
  }
  /** The configuration names a tensor that the file lacks. */
  | { readonly tag: "missing"; readonly tensor: string; readonly shape: readonly number[] }
  /** A file could not be read. */
  | { readonly tag: "file"; readonly path: string; readonly why: string }
  /** A text has too few tokens to predict one, or more than the model's context. */
  | {
    readonly tag: "window";
    readonly least: number;
    readonly most: number;
    readonly have: number;
  }
  /** A token has no row in the embedding. */
  | { readonly tag: "token"; readonly at: number; readonly id: number; readonly vocab: number }
  /** The configuration and the file give a tensor two shapes. */
  | {
    readonly tag: "shape";
    readonly tensor: string;
    readonly want: readonly number[];
    readonly have: readonly number[];
  };

/** A refusal. */
export const fail = (error: ModelError): Either<ModelError, never> => left(error);

const shown = 80;

/** Untrusted text for an error: short, and on one line. */
export const quote = (text: string): string =>
  JSON.stringify(text.length > shown ? `${text.slice(0, shown)}…` : text);

/** Any JSON value for an error: short, and on one line. */
export const show = (value: unknown): string => {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) {
    const numbers = value.length <= 8 && value.every((x) => typeof x === "number");
    return numbers ? `[${value.join(", ")}]` : `a list of ${value.length}`;
  }
  return typeof value === "object" && value !== null ? "an object" : String(value);
};

const dims = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** The error as one sentence. */
export const describe = (error: ModelError): string => {
  switch (error.tag) {
    case "length":
      return `${error.where}: needs ${error.need} bytes, has ${error.have}`;
    case "limit":
      return `${error.where}: is ${error.have}, over the limit of ${error.limit}`;
    case "syntax":
      return `${error.where}: ${error.why}`;
    case "value":
      return `${error.where}: wants ${error.want}, has ${error.have}`;
    case "bytes":
      return `tensor ${quote(error.tensor)}: ${error.dtype} ${dims(error.shape)} takes ` +
        `${error.need} bytes, but its offsets span ${error.have}`;
    case "overlap":
    case "gap":
      return `tensor ${quote(error.tensor)}: begins at ${error.begin}, but ` +
        `${quote(error.before)} ends at ${error.end}`;
    case "missing":
      return `tensor ${quote(error.tensor)}: the configuration wants ${dims(error.shape)}, ` +
        `but the file lacks it`;
    case "file":
      return `${error.path}: ${error.why}`;
    case "window":
      return `window: wants ${error.least} to ${error.most} tokens, has ${error.have}`;
    case "token":
      return `token ${error.at}: is ${error.id}, the vocabulary has 0 to ${error.vocab - 1}`;
    case "shape":
      return `tensor ${quote(error.tensor)}: the configuration wants ${dims(error.want)}, ` +
        `but the file has ${dims(error.have)}`;
  }
};

/** A refused file, thrown. */
export class ModelFailure extends Error {
  override readonly name = "ModelFailure";
  /** The error as data. */
  readonly error: ModelError;
  /** Wraps the error; its description is the message. */
  constructor(error: ModelError) {
    super(describe(error));
    this.error = error;
  }
}

/** The value, or a throw: for scripts. */
export const orThrow = <A>(result: Either<ModelError, A>): A => {
  if (isLeft(result)) throw new ModelFailure(result.left);
  return result.right;
};
