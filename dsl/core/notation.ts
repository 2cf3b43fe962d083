/**
 * Contraction notation in the type system and at run time: `"h t d, h d -> h t"`.
 * A wrong rank, an unknown label or a dim that disagrees does not compile.
 * @module
 */
import { ShapeError, shapeText } from "./errors.ts";
import type { Dim, Labels, Shape } from "./term.ts";

type Split<S extends string> = S extends "" ? []
  : S extends ` ${infer R}` ? Split<R>
  : S extends `${infer A} ${infer R}` ? [A, ...Split<R>]
  : [S];

/** A mistake in a contraction, in words the compiler prints. */
export interface ContractMistake<Message extends string> {
  readonly "contract cannot": Message;
}

type Bind<L extends string[], S extends Shape, Env> = L extends
  [infer A extends string, ...infer LR extends string[]]
  ? S extends readonly [infer D extends Dim, ...infer SR extends Shape]
    ? A extends keyof Env ? [Env[A], D] extends [D, Env[A]] ? Bind<LR, SR, Env>
      : ContractMistake<`dim ${A} is ${Show<Env[A]>} in one operand and ${Show<D>} in another`>
    : Bind<LR, SR, Env & { [K in A]: D }>
  : ContractMistake<`label ${A} has no axis: the operand has too few`>
  : S extends readonly [] ? Env
  : ContractMistake<"an operand has more axes than labels">;

type Show<D> = D extends Dim ? `${D}` : "?";

type Out<L extends string[], Env> = L extends [infer A extends string, ...infer R extends string[]]
  ? A extends keyof Env
    ? Out<R, Env> extends infer T
      ? T extends Shape ? Env[A] extends Dim ? readonly [Env[A], ...T] : never
      : T
    : never
  : ContractMistake<`result label ${A} stands in no operand`>
  : readonly [];

type IsWide<S extends Shape> = number extends S["length"] ? true : false;

/** Shape of a contraction, or a {@link ContractMistake}. Shapes known only as `Shape` pass. */
export type Contracted<N extends string, A extends Shape, B extends Shape> = string extends N
  ? Shape
  : IsWide<A> extends true ? Shape
  : IsWide<B> extends true ? Shape
  : N extends `${infer LA},${infer LB}->${infer LO}`
    ? Bind<Split<LA>, A, unknown> extends infer E ? E extends ContractMistake<string> ? E
      : Bind<Split<LB>, B, E> extends infer F
        ? F extends ContractMistake<string> ? F : Out<Split<LO>, F>
      : never
    : never
  : ContractMistake<"notation must read `a b, b c -> a c`">;

const words = (text: string): string[] => text.split(" ").filter((w) => w !== "");

/** Reads `"a b, b c -> a c"`; any number of operands. */
export const parseNotation = (notation: string): Labels => {
  const sides = notation.split("->");
  if (sides.length !== 2) {
    throw new ShapeError(
      `contract "${notation}"`,
      `notation needs one "->", it has ${sides.length - 1}`,
    );
  }
  const labels = { args: sides[0].split(",").map(words), out: words(sides[1]) };
  const bad = [...labels.args.flat(), ...labels.out].find((l) =>
    !/^[A-Za-z][A-Za-z0-9']*$/.test(l)
  );
  if (bad !== undefined) {
    throw new ShapeError(`contract "${notation}"`, `label ${bad} is not a name`);
  }
  return labels;
};

/** Writes labels back as notation. */
export const printNotation = (labels: Labels): string =>
  `${labels.args.map((a) => a.join(" ")).join(", ")} -> ${labels.out.join(" ")}`;

/** Renames labels by order of appearance, so that equal contractions are one term. */
export const canonical = (labels: Labels): Labels => {
  const names = new Map<string, string>();
  const name = (label: string): string => {
    if (!names.has(label)) {
      const n = names.size;
      names.set(label, n < 26 ? String.fromCharCode(97 + n) : `a${n}`);
    }
    return names.get(label)!;
  };
  return { args: labels.args.map((a) => a.map(name)), out: labels.out.map(name) };
};

/** Size of every label; throws naming the operands and the two dims that disagree. */
export const labelDims = (
  operation: string,
  labels: Labels,
  shapes: readonly Shape[],
  names: readonly string[],
): Map<string, Dim> => {
  if (labels.args.length !== shapes.length) {
    throw new ShapeError(
      operation,
      `notation has ${labels.args.length} operands, the call has ${shapes.length}`,
    );
  }
  const seen = new Map<string, { dim: Dim; where: string }>();
  labels.args.forEach((axis, i) => {
    const where = `${names[i]} ${shapeText(shapes[i])}`;
    if (axis.length !== shapes[i].length) {
      throw new ShapeError(
        operation,
        `${where} has ${shapes[i].length} axes, its labels "${axis.join(" ")}" are ${axis.length}`,
      );
    }
    if (new Set(axis).size !== axis.length) {
      throw new ShapeError(operation, `operand "${axis.join(" ")}" repeats a label`);
    }
    axis.forEach((label, k) => {
      const dim = shapes[i][k];
      const old = seen.get(label);
      if (old !== undefined && old.dim !== dim) {
        throw new ShapeError(
          operation,
          `dim ${label} is ${old.dim} in ${old.where} and ${dim} in ${where}`,
        );
      }
      if (old === undefined) seen.set(label, { dim, where });
    });
  });
  const lost = labels.out.find((l) => !seen.has(l));
  if (lost !== undefined) {
    throw new ShapeError(operation, `result label ${lost} stands in no operand`);
  }
  if (new Set(labels.out).size !== labels.out.length) {
    throw new ShapeError(operation, `result "${labels.out.join(" ")}" repeats a label`);
  }
  return new Map([...seen].map(([k, v]) => [k, v.dim]));
};
