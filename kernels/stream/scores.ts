/**
 * Scores of a chunk and the weights made of them.
 *
 * ```text
 * for four tokens: each long product (q·codes)         once a token, four sums at once
 * for four tokens: score = what is left of the term    scale, minimum, mask: lanes are tokens
 * m = max score;  p = e^(score − m), 0 where masked;  l = Σ p
 * ```
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
import type { Term, TermOf } from "../../dsl/core/term.ts";
import {
  across4,
  type Arr,
  bin,
  type Expr,
  int,
  load,
  num,
  select,
  un,
  vec4,
} from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { contractParts } from "../../compiler/lower/reductions.ts";
import { fixedProduct, fixedSums } from "../../compiler/lower/fixed.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { heldCount } from "../../compiler/lower/row.ts";
import { type Frame, padded, quads, type Stream } from "./shape.ts";
import { fourTokens, LANES } from "./tokens.ts";

type Product = Term & TermOf<"contract">;

/** Makes each long product for every token of the chunk; afterwards it is read from group memory. */
const products = (b: Builder, plan: Plan, frame: Frame, stream: Stream): void => {
  const { low } = b;
  const { chunk } = stream;
  for (const [term, axes] of plan.moving) {
    const product = term as Product;
    const dims = axes.held.map((a) => int(term.shape[a] as number));
    const count = heldCount(term, axes);
    const arr: Arr = b.local("raw", count * chunk);
    const integers = fixedProduct(product);
    // An operand that changes with the token is not staged: such a product is made of numbers.
    const fixed = integers && plan.axes.has(product.args[integers.fixed]) ? integers : undefined;
    low.sources.delete(term);
    low.par("q", quads(frame), (q) => {
      const t = bin("mul", q, int(4));
      const tokens = [0, 1, 2, 3].map((k) =>
        low.named("token", bin("min", bin("add", frame.first, bin("add", t, int(k))), frame.last))
      );
      for (let h = 0; h < count; h++) {
        const inside = unravel(int(h), dims);
        const sums = tokens.map((token) => {
          const index = term.shape.map((_, a) =>
            a === axes.token
              ? token
              : axes.held.includes(a)
              ? inside[axes.held.indexOf(a)]
              : frame.outer[axes.rowOf[a]!]
          );
          return fixed === undefined
            ? contractParts(low, product, index)
            : fixedSums(low, product, fixed, index);
        });
        const four = sums.every((s) => s.type === "f32x4") ? across4("hsum", sums) : vec4(sums);
        low.store(arr, bin("add", t, int(h * chunk)), four);
      }
    });
    const at = (index: readonly Expr[], token: Expr): Expr =>
      bin("add", bin("mul", linear(dims, axes.held.map((a) => index[a])), int(chunk)), token);
    low.sources.set(term, {
      // One token may be any of four: it is the one that is asked for, not where the four begin.
      at: (index) => load(arr, at(index, bin("sub", index[axes.token], frame.first))),
      wide: (index, axis) =>
        axis === axes.token ? load(arr, at(index, frame.here.t), true) : undefined,
    });
  }
};

/** Scores, weights, and (m, l) of every row into the part; gives the weights. */
export const weights = (b: Builder, plan: Plan, frame: Frame, stream: Stream, part: Arr): Arr => {
  const { low } = b;
  const { chunk, rows, peak: m, roles } = stream;
  products(b, plan, frame, stream);
  const weight = b.local("score", rows * chunk);
  const peak = b.local("peak", rows);
  const axis = roles.scores.indexOf(roles.token);
  const masked = un("splat", num(MASKED));
  low.par("q", quads(frame), (q) => {
    const t = bin("mul", q, int(4));
    for (let r = 0; r < rows; r++) {
      const index = (token: Expr): Expr[] => frame.score(int(r), token);
      const score = fourTokens(b, frame, stream.scores, axis, t, index);
      const real = bin(
        "lt",
        vec4(LANES.map((k) => un("toF32", bin("add", t, int(k))))),
        un("splat", un("toF32", frame.tokens)),
      );
      low.store(weight, bin("add", t, int(r * chunk)), select(real, score, masked));
    }
  });
  const row = (r: Expr, j: Expr): Expr => bin("add", bin("mul", r, int(chunk)), j);
  const end = padded(frame, 4);
  low.par("r", int(rows), (r) => {
    const top = low.mutable("top", masked);
    low.loop(
      "j",
      int(0),
      end,
      4,
      (j) => top.set(bin("max", load(weight, row(r, j), true), top.get())),
    );
    const largest = low.named("m", un("hmax", top.get()));
    low.store(peak, r, largest);
    low.store(part, bin("add", frame.base(r), int(m)), largest);
  });
  low.par("q", quads(frame), (q) => {
    for (let r = 0; r < rows; r++) {
      const at = row(int(r), bin("mul", q, int(4)));
      const score = load(weight, at, true);
      const weighted = un("exp", bin("sub", score, load(peak, int(r))));
      low.store(weight, at, select(bin("le", score, masked), un("splat", num(0)), weighted));
    }
  });
  low.par("r", int(rows), (r) => {
    const sum = low.mutable("sum", un("splat", num(0)));
    low.loop(
      "j",
      int(0),
      end,
      4,
      (j) => sum.set(bin("add", sum.get(), load(weight, row(r, j), true))),
    );
    low.store(part, bin("add", frame.base(r), int(m + 1)), un("hsum", sum.get()));
  });
  return weight;
};
