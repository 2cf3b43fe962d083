/**
 * What a codec costs a model: perplexity, divergence from a baseline, and relative errors. Each is a
 * sum over positions or values, so windows and layers join: a sum over two is the sum of sums.
 *
 * ```text
 * log p = logit − log Σ e^logit                    in f64, from f32 logits
 * perplexity   e^(mean −log p[target])             target of position i is token i + 1
 * KLD          mean Σ p₀ (log p₀ − log p)          p₀ of the baseline, over all positions
 * same-top-1   share of positions where the most likely token is the baseline's (the first of equals)
 * error        ‖x − x̂‖ / ‖x‖
 * ```
 * @module
 */
import { fail, type ModelError, orThrow } from "./errors.ts";
import { type Either, type Monoid, right } from "../fp.ts";
import type { LayerRun, Seen } from "./runner.ts";

/** Sums over positions. */
export interface Score {
  /** Positions with a target. */
  readonly targets: number;
  /** Σ −log p[target]. */
  readonly loss: number;
  /** Positions compared with the baseline. */
  readonly positions: number;
  /** Σ KLD. */
  readonly divergence: number;
  /** Positions whose most likely token is the baseline's. */
  readonly same: number;
  /** KLD of every position: what a mean hides. */
  readonly apart: readonly number[];
}

/** Scores of several windows. */
export const SCORE: Monoid<Score> = {
  empty: { targets: 0, loss: 0, positions: 0, divergence: 0, same: 0, apart: [] },
  concat: (a, b) => ({
    targets: a.targets + b.targets,
    loss: a.loss + b.loss,
    positions: a.positions + b.positions,
    divergence: a.divergence + b.divergence,
    same: a.same + b.same,
    apart: [...a.apart, ...b.apart],
  }),
};

/** Sums over values. */
export interface Deviation {
  /** Σ (x − x̂)². */
  readonly error: number;
  /** Σ x². */
  readonly size: number;
}

/** Deviations of several tensors. */
export const DEVIATION: Monoid<Deviation> = {
  empty: { error: 0, size: 0 },
  concat: (a, b) => ({ error: a.error + b.error, size: a.size + b.size }),
};

/** One position: where its row is largest, and log Σ e^logit. */
const normalise = (row: Float32Array): { readonly top: number; readonly log: number } => {
  let top = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[top]!) top = i;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i]! - row[top]!);
  return { top, log: row[top]! + Math.log(sum) };
};

/** −log p of the tokens after the first rows of logits `[tokens, vocab]`. */
export const losses = (
  logits: Float32Array,
  vocab: number,
  targets: ArrayLike<number>,
): Float64Array =>
  Float64Array.from(targets, (target, at) => {
    const row = logits.subarray(at * vocab, (at + 1) * vocab);
    return normalise(row).log - row[target]!;
  });

/**
 * Scores the logits of a window `[tokens, vocab]` against those of a baseline. `targets[i]` is the
 * token after position i; there may be one fewer than positions, since a text ends.
 */
export const tryScore = (
  logits: Float32Array,
  baseline: Float32Array,
  vocab: number,
  targets: ArrayLike<number>,
): Either<ModelError, Score> => {
  const value = (where: string, want: string, have: unknown): Either<ModelError, never> =>
    fail({ tag: "value", where, want, have: String(have) });
  if (logits.length % vocab !== 0) {
    return value("logits", `rows of ${vocab}`, `${logits.length} values`);
  }
  if (baseline.length !== logits.length) {
    return value("baseline", `${logits.length} values`, `${baseline.length} values`);
  }
  const positions = logits.length / vocab;
  if (targets.length !== positions && targets.length !== positions - 1) {
    return value("targets", `${positions - 1} or ${positions}`, targets.length);
  }
  let [loss, same] = [0, 0];
  const apart: number[] = Array(positions).fill(0);
  for (let at = 0; at < positions; at++) {
    const [row, base] = [logits, baseline].map((x) => x.subarray(at * vocab, (at + 1) * vocab));
    const [mine, theirs] = [normalise(row!), normalise(base!)];
    if (!Number.isFinite(mine.log) || !Number.isFinite(theirs.log)) {
      return value(`logits of position ${at}`, "finite numbers", mine.log + theirs.log);
    }
    if (at < targets.length) {
      const target = targets[at]!;
      if (!(target >= 0 && target < vocab)) {
        return fail({ tag: "token", at: at + 1, id: target, vocab });
      }
      loss += mine.log - row![target]!;
    }
    if (mine.top === theirs.top) same++;
    for (let i = 0; i < vocab; i++) {
      const log = base![i]! - theirs.log;
      apart[at]! += Math.exp(log) * (log - (row![i]! - mine.log));
    }
  }
  const divergence = apart.reduce((a, b) => a + b, 0);
  return right({ targets: targets.length, loss, positions, divergence, same, apart });
};

/** Scores a window, or throws `ModelFailure`. */
export const score = (
  logits: Float32Array,
  baseline: Float32Array,
  vocab: number,
  targets: ArrayLike<number>,
): Score => orThrow(tryScore(logits, baseline, vocab, targets));

/** e^(mean loss). */
export const perplexity = ({ loss, targets }: Score): number => Math.exp(loss / targets);

/** Mean divergence from the baseline. */
export const meanKld = ({ divergence, positions }: Score): number => divergence / positions;

/** The divergence that no more than `share` of the positions exceed. */
export const tailKld = ({ apart, positions }: Score, share: number): number =>
  apart.toSorted((a, b) => a - b)[Math.ceil((1 - share) * positions) - 1]!;

/** Share of positions with the baseline's most likely token. */
export const sameTop = ({ same, positions }: Score): number => same / positions;

/** How far a tensor lies from the exact one. */
export const deviation = (exact: ArrayLike<number>, other: ArrayLike<number>): Deviation => {
  if (exact.length !== other.length) {
    throw new RangeError(`deviation: exact has ${exact.length} values, other ${other.length}`);
  }
  let [error, size] = [0, 0];
  for (let i = 0; i < exact.length; i++) {
    error += (exact[i]! - other[i]!) ** 2;
    size += exact[i]! ** 2;
  }
  return { error, size };
};

/** ‖x − x̂‖ / ‖x‖; 0 where nothing differs. */
export const relative = ({ error, size }: Deviation): number =>
  error === 0 ? 0 : Math.sqrt(error / size);

/** Relative error over layers of one of the things that were seen. */
export const errorOf = (layers: readonly LayerRun[], what: keyof Seen): number =>
  relative(
    layers.map(({ seen }) => deviation(seen![what][0], seen![what][1]))
      .reduce(DEVIATION.concat, DEVIATION.empty),
  );
