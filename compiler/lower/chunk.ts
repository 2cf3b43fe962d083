/**
 * How many tokens one part of a streaming fold takes: as many as group memory holds, and no more
 * values than stay close while they are walked again for every run of channels.
 * @module
 */
import { DTYPES } from "../../dsl/core/dtype.ts";
import type { Term, TermOf } from "../../dsl/core/term.ts";
import { PART } from "../../dsl/read/weights.ts";
import { leavesOf, type Schedule, type Target } from "../kernel.ts";
import { linearTerms } from "./linear.ts";
import { type StreamRoles, streamRoles } from "./roles.ts";

const SMALLEST = 8;

/** Product of the sizes of labels that are known. */
export const countOf = (roles: StreamRoles, labels: readonly string[]): number =>
  labels.reduce((n, l) => n * (roles.dim(l) as number), 1);

/** Groups of channels that share scales: all channel axes but the last. */
export const groupsOf = (roles: StreamRoles): number => countOf(roles, roles.channels.slice(0, -1));

/** Bytes of one value as it lies in memory. */
const bytesOf = (values: Term, stored: ReadonlySet<Term>): number =>
  leavesOf([values], stored)
    .filter((t) => t.shape.some((d) => typeof d === "string"))
    .reduce((widest, t) => {
      const last = t.shape[t.shape.length - 1];
      return typeof last === "number" && last >= 16
        ? Math.max(widest, DTYPES[t.dtype].bits / 8)
        : widest;
    }, 0.25);

/** Tokens of one part. */
export const streamChunk = (
  term: Term & TermOf<"fold">,
  stagedFloats: number,
  movingCounts: readonly number[],
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): number => {
  const roles = streamRoles(term);
  const rows = countOf(roles, roles.rows);
  const channels = countOf(roles, roles.channels);
  const last = roles.channels[roles.channels.length - 1];
  const parts = last === undefined ? 1 : Math.max(
    1,
    linearTerms(term.args[1], term.labels.args[1].indexOf(last), (t) => stored.has(t)).scaled
      .length,
  );
  const perToken = rows + movingCounts.reduce((a, b) => a + b, 0) +
    2 * rows * groupsOf(roles) * parts;
  const near = target.cacheBytes === 0
    ? Infinity
    : target.cacheBytes / (channels * bytesOf(term.args[1], stored));
  // Weights are walked four at a time, integer weights eight: a part is a whole number of those.
  const walk = term.weights === 16 ? 8 : 4;
  const most = term.weights === 16 ? Math.min(schedule.chunk, PART) : schedule.chunk;
  let chunk = Math.max(1, Math.ceil(most / walk)) * walk;
  while (
    chunk > SMALLEST && (chunk * perToken + stagedFloats + 64 > target.groupFloats || chunk > near)
  ) {
    chunk = Math.max(SMALLEST, Math.floor(chunk / 16) * 8);
  }
  return chunk;
};
