/**
 * The plan of streaming folds over the same scores. Where scores lie side by side along the tokens, as
 * those of a window and of what is packed behind it do, each piece is a fold of its own with loops of
 * its own; the parts of all pieces meet in one merge.
 *
 * Before: `fold softmax (a | b) (v | w)`; after: one plan with the pieces `fold softmax a v` and
 * `fold softmax b w`, which share what is staged.
 * @module
 */
import { isFixedPoint } from "../dsl/core/dtype.ts";
import { isDynamic, knownCount } from "../dsl/core/shape.ts";
import { argsOf, intern, type Term } from "../dsl/core/term.ts";
import { floatsOf, type Fold, goneDims, heavyIn, LONG_PRODUCT, type Product } from "./heavy.ts";
import { computedBy, leavesOf, type Plan, type Schedule, type Target } from "./kernel.ts";
import { AT_ONCE, type Decoded, decodedFloats, decodedOf } from "./decoded.ts";
import { movingCounts, streamChunk } from "./lower/chunk.ts";
import { isRun, paceOf, runOf } from "./lower/pace.ts";
import { analyseStream, type StreamAxes } from "./lower/row.ts";
import { type StreamRoles, streamRoles } from "./lower/roles.ts";
import { streamBlock, TILES } from "./lower/tile.ts";
import { cutter, piecesOf } from "./rules/cut.ts";
import { weightBits } from "./rules/fixed.ts";
import { bare } from "./rules/labels.ts";

/** The folds over one run of the tokens. */
type Piece = readonly Fold[];

/** Products below `terms` that are long enough to be made apart, outermost only. */
const longProducts = (
  terms: readonly Term[],
  stored: ReadonlySet<Term>,
  least = LONG_PRODUCT,
): Term[] => {
  const out = new Set<Term>();
  const visit = (t: Term): void => {
    if (stored.has(t) || t.tag === "input") return;
    const dims = t.tag === "contract" ? goneDims(t as Product) : [];
    if (t.tag === "contract" && !isDynamic(dims) && knownCount(dims) >= least) out.add(t);
    else argsOf(t).forEach(visit);
  };
  terms.forEach(visit);
  return [...out];
};

/** Does a term change along some axis, but only with every so many of it? */
const isSlow = (t: Term): boolean => t.shape.some((d, a) => isDynamic([d]) && isRun(paceOf(t, a)));

/** What changes only with every so many tokens: operands of products, and tables that tokens look up. */
const slowIn = (
  terms: readonly Term[],
  stored: ReadonlySet<Term>,
  { serial }: Target,
): Term[] => {
  if (!serial) return [];
  const read = computedBy(terms, stored)
    .flatMap((t) => t.tag === "contract" ? t.args : t.tag === "gather" ? [t.args[0]] : [])
    .filter((t) => !stored.has(t) && t.tag !== "input" && isSlow(t));
  return [...new Set(read)].sort((a, b) => a.id - b.id);
};

/** Terms of a product that is not summed anew for every channel that reads it. */
const READ_OFTEN = 4;

/** Products that others read of a token, channel by channel: of numbers that no query has a part in. */
const decodedIn = (
  products: readonly Term[],
  args: Parameters<typeof analyseStream>[0],
  leaves: readonly Term[],
  stored: ReadonlySet<Term>,
  { serial }: Target,
): Decoded[] => {
  const inner = serial ? longProducts(products.flatMap(argsOf), stored, READ_OFTEN) : [];
  if (inner.length === 0) return [];
  const { moving } = analyseStream(args, [], inner, leaves);
  return [...moving].flatMap(([t, axes]) => decodedOf(t, axes) ?? []);
};

/** Casts to fixed point are staged like products. */
const fixedCasts = (terms: readonly Term[], stored: ReadonlySet<Term>): Term[] =>
  computedBy(terms, stored).filter((t) => t.tag === "cast" && isFixedPoint(t.dtype));

/** What the scores take of each token besides products: scales and minima, decoded once a tile. */
const perToken = (scores: Term, stored: ReadonlySet<Term>): Term[] =>
  computedBy([scores], stored).flatMap((t) =>
    t.tag === "broadcast" && t.args[0].tag !== "constant" ? [t.args[0]] : []
  );

/** A fold over a run of the tokens of another; its weights are rounded where its own values allow it. */
const over = (fold: Fold, scores: Term, values: Term): Fold => {
  const { weights, monoid, project, labels, shape, dtype } = fold;
  const fields = { monoid, project, labels, args: [scores, values] };
  const own = intern("fold", fields, shape, dtype) as Fold;
  const bits = weights === undefined ? {} : weightBits(own, weights);
  return intern("fold", { ...fields, ...bits }, shape, dtype) as Fold;
};

/** The folds cut where their scores lie side by side along the tokens: all of them in one piece, if nowhere. */
const piecesIn = (folds: Piece, stored: ReadonlySet<Term>): readonly Piece[] => {
  const { members, scores: labels, token } = streamRoles(folds);
  const [scores] = folds[0].args;
  const axis = labels.indexOf(token);
  if (scores.tag !== "concat" || scores.axis !== axis || stored.has(scores)) return [folds];
  return piecesOf(scores.args.map((own) => own.shape[axis])).flatMap((piece, i) => {
    const cut = cutter(piece, stored);
    const own = members.map(({ term, values }) =>
      over(term, scores.args[i], bare(cut(term.args[1], values.indexOf(token))))
    );
    return piecesIn(own, stored);
  });
};

/** Scores and values of folds. */
const operandsOf = (folds: Piece): Term[] => [folds[0].args[0], ...folds.map((t) => t.args[1])];

/** Operands of pieces, with what their axes are: the token, a row, or held. */
const namedOperands = (roles: StreamRoles, pieces: readonly Piece[]) => {
  const nameOf = (l: string): string =>
    l === roles.token
      ? "token"
      : roles.outer.includes(l)
      ? `row${roles.outer.indexOf(l)}`
      : `in_${l}`;
  const axes = [roles.scores, ...roles.members.map((m) => m.values)];
  return pieces.flatMap((piece) =>
    operandsOf(piece).map((term, i) => ({ term, names: axes[i].map(nameOf) }))
  );
};

/** Products that the scores of a fold make once a token or a chunk: its own, however many tokens there are. */
export const scoreProducts = (
  fold: Fold,
  stored: ReadonlySet<Term>,
  target: Target,
): ReadonlySet<Term> => {
  const pieces = piecesIn([fold], stored);
  const scores = pieces.map(([{ args: [own] }]) => own);
  const args = namedOperands(streamRoles([fold]), pieces).filter((a) => scores.includes(a.term));
  const { moving, paced } = analyseStream(
    args,
    [],
    longProducts(scores, stored),
    leavesOf(scores, stored),
    slowIn(scores, stored, target),
  );
  return new Set([...moving.keys(), ...paced.keys()]);
};

/** The products of a piece among those that are made once a token. */
const ofPiece = (
  folds: Piece,
  moving: StreamAxes["moving"],
  stored: ReadonlySet<Term>,
): StreamAxes["moving"] => {
  const below = new Set(computedBy(operandsOf(folds), stored));
  return new Map([...moving].filter(([t]) => below.has(t)));
};

/** The plan of streaming folds over the same scores, with what stays the same along their tokens. */
export const streamPlan = (
  folds: Piece,
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): Plan => {
  const roles = streamRoles(folds);
  const pieces = piecesIn(folds, stored);
  const operands = [...new Set(pieces.flatMap(operandsOf))];
  const heavy = [...new Set([...heavyIn(operands, stored), ...fixedCasts(operands, stored)])]
    .sort((a, b) => a.id - b.id);
  const args = namedOperands(roles, pieces);
  const scores = pieces.map(([{ args: [own] }]) => own);
  // Values without channels are one number a token and row, as scores are.
  const single = pieces.flatMap((piece) =>
    piece.filter((_, i) => roles.members[i].channels.length === 0).map((t) => t.args[1])
  );
  const candidates = longProducts([...scores, ...single], stored);
  const leaves = leavesOf(operands, stored);
  const made = (
    { staged, moving }: StreamAxes,
    own: readonly Pick<Plan, "tile" | "block" | "moving" | "decoded" | "paced">[],
  ): Plan => {
    const plan = {
      skeleton: "stream" as const,
      staged: [...staged.keys()],
      rowAxes: 0,
      axes: staged,
    };
    const plans = own.map((fields, i) => ({ ...plan, roots: pieces[i], ...fields }));
    if (plans.length === 1) return plans[0];
    const tile = Math.min(...own.map((p) => p.tile));
    return { ...plans[0], roots: folds, moving, tile, pieces: plans };
  };
  const below = (moving: StreamAxes["moving"]): Decoded[] =>
    decodedIn([...moving.keys()], args, leaves, stored, target);
  if (roles.query !== undefined) {
    const whole = analyseStream(
      args,
      [...new Set([...leavesOf(scores, stored), ...candidates.flatMap(argsOf), ...heavy])]
        .sort((a, b) => a.id - b.id),
      [...candidates, ...scores.flatMap((s) => perToken(s, stored))],
      leaves,
    );
    const movings = pieces.map((piece) => ofPiece(piece, whole.moving, stored));
    const decoded = movings.map(below);
    const besides = Math.max(...decoded.map(decodedFloats));
    const block = streamBlock(pieces, whole.staged, movings, besides, schedule, target);
    if (block !== undefined) {
      const tile = TILES * block.tokens;
      return made(
        whole,
        movings.map((moving, i) => ({ moving, decoded: decoded[i], tile, block })),
      );
    }
  }
  const slow = slowIn(scores, stored, target);
  const whole = analyseStream(args, heavy, candidates, leaves, slow);
  const movings = pieces.map((piece) => ofPiece(piece, whole.moving, stored));
  const paced = pieces.map((piece) => ofPiece(piece, whole.paced, stored));
  const counts = pieces.map((piece, i) => movingCounts(piece, movings[i], target));
  const decoded = movings.map(below);
  const held = floatsOf(whole.staged) + floatsOf(whole.paced) +
    AT_ONCE * Math.max(...decoded.map(decodedFloats));
  const runs = paced.map((own) => runOf(own));
  const tiles = streamChunk(pieces, held, counts, runs, stored, schedule, target);
  return made(
    whole,
    movings.map((moving, i) => ({
      moving,
      decoded: decoded[i],
      paced: paced[i],
      tile: tiles[i],
    })),
  );
};
