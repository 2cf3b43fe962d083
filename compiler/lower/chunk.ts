/**
 * How many tokens one part of a streaming fold takes: as many as group memory holds, and no more
 * values than stay close while many rows walk them again.
 * @module
 */
import { DTYPES } from "../../dsl/core/dtype.ts";
import { isDynamic } from "../../dsl/core/shape.ts";
import { type Term, type TermOf, topological } from "../../dsl/core/term.ts";
import { type WeightBits, WEIGHTS } from "../../dsl/read/weights.ts";
import { leavesOf, type Schedule, type Target } from "../kernel.ts";
import { laneMemory } from "./lane_chunk.ts";
import { type Factor, type LinearTerms, linearTerms } from "./linear.ts";
import { countOf, type Member, runsAlongTokens, streamRoles } from "./roles.ts";
import { type HeldAxes, heldCount } from "./row.ts";

/**
 * Rows of one walk over f32 keys and values: their sums fill half of the registers with two tokens side by
 * side. Such values are read once, a whole row after the other (kernels/stream/whole_rows.ts).
 */
export const ROWS_AT_ONCE = 4;

/** Walks over the tokens that go side by side where vectors run along them. */
const WALKS = 16;

/** Walks over the tokens of one channel, each with a sum of its own. */
export const walksOf = (channels: number): number => Math.max(1, Math.floor(WALKS / channels));

/** Do scales or shifts of the values tell groups of channels apart? Groups are all channel axes but the last. */
export const tellApart = (
  { channels, values }: Member,
  { scaled, shifts }: LinearTerms,
): boolean => {
  const outer = channels.slice(0, -1).map((l) => values.indexOf(l));
  const tells = ({ terms }: Factor): boolean =>
    terms.some((t) =>
      t.tag !== "broadcast" || t.axes.some((a) => outer.includes(a) && t.shape[a] !== 1)
    );
  return [...scaled.map((x) => x.factor), ...shifts].some(tells);
};

/** Groups of channels that share scales: all channel axes but the last. */
const groupsOf = (member: Member): number => countOf(member, member.channels.slice(0, -1));

/** Bytes of one value as it lies in memory. */
export const bytesOf = (values: Term, stored: Pick<ReadonlySet<Term>, "has">): number =>
  leavesOf([values], stored)
    .filter((t) => isDynamic(t.shape))
    .reduce((widest, t) => {
      const last = t.shape[t.shape.length - 1];
      return typeof last === "number" && last >= 16
        ? Math.max(widest, DTYPES[t.dtype].bits / 8)
        : widest;
    }, DTYPES.u1.bits / 8);

/** Parts of the values whose weights scales change, and groups of channels that scales tell apart. */
const scaledOf = (
  member: Member,
  stored: ReadonlySet<Term>,
): { parts: number; groups: number } => {
  const { term, values, channels } = member;
  if (channels.length === 0) return { parts: 0, groups: 1 };
  const axis = values.indexOf(channels[channels.length - 1]);
  const form = linearTerms(term.args[1], axis, (t) => stored.has(t));
  const groups = tellApart(member, form) ? groupsOf(member) : 1;
  const parts = form.scaled.filter(({ factor: { terms, by } }) => terms.length > 0 || by !== 1);
  return { parts: parts.length, groups };
};

/** Floats of group memory that adding up the values of so many tokens takes. */
const memoryOf = (
  member: Member,
  rows: number,
  stored: ReadonlySet<Term>,
): (tokens: number) => number => {
  const { channels } = member;
  const count = countOf(member, channels);
  const fixed = runsAlongTokens(member)
    ? 4 * rows * count * walksOf(count)
    : member.term.weights === undefined
    ? 0
    : rows * count;
  const { parts, groups } = scaledOf(member, stored);
  const { weights } = member.term;
  // Two integers are a word: those of 8 bits with their steps, those of 16 made anew for every step.
  const each: Record<WeightBits | 0, (tokens: number) => number> = {
    0: (tokens) => tokens * parts,
    8: (tokens) => tokens * (1 / 2 + 1 / WEIGHTS[8].tokens),
    16: (tokens) => Math.min(tokens, WEIGHTS[16].tokens) * (parts + 1 / 2),
  };
  return (tokens) => fixed + rows * groups * each[weights ?? 0](tokens);
};

/** The most tokens up to `most` of which a run has a whole number, in whole walks: each such chunk lies in one run. */
const dividing = (run: number, most: number, walk: number): number => {
  let tokens = Math.min(run, most);
  while (run % tokens !== 0 || tokens % walk !== 0) tokens -= walk;
  return tokens;
};

/**
 * Tokens of one part of each piece of the tokens, whose folds differ in their operands alone. What is made once a
 * run is the same for so many tokens of each piece: a chunk lies in a run, or is some of them.
 */
export const streamChunk = (
  pieces: readonly (readonly (Term & TermOf<"fold">)[])[],
  stagedFloats: number,
  movingCounts: readonly (readonly number[])[],
  runs: readonly number[],
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): number[] => {
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  const roles = pieces.map(streamRoles);
  const [{ members, rows: labels, dim }] = roles;
  const rows = countOf({ dim }, labels);
  // Lanes keep the memory of all pieces, the larger of each purpose.
  const lanes = target.serial ? undefined : laneMemory(
    members,
    rows,
    (m) => {
      const all = roles.map((r) => scaledOf(r.members[members.indexOf(m)], stored));
      return {
        parts: Math.max(...all.map((x) => x.parts)),
        groups: Math.max(...all.map((x) => x.groups)),
      };
    },
    schedule,
    target,
  );
  const chunks = pieces.map((folds, i) => {
    const memory = roles[i].members.map((m) => memoryOf(m, rows, stored));
    const floats = (tokens: number): number =>
      stagedFloats + 64 +
      (lanes === undefined
        ? tokens * (sum(movingCounts[i]) + rows) + sum(memory.map((m) => m(tokens)))
        : tokens * (sum(movingCounts.flat()) + lanes.token) + lanes.fixed +
          sum(memory.map((m) => m(0))));
    const near = target.cacheBytes === 0 ? Infinity : Math.min(
      ...roles[i].members.filter((m) => m.term.weights === undefined && rows > ROWS_AT_ONCE).map((
        m,
      ) => target.cacheBytes / (countOf(m, m.channels) * bytesOf(m.term.args[1], stored))),
    );
    // Weights are walked four at a time, integer weights eight or sixteen: a part is a whole number of those.
    const whole = folds.some((t) => t.weights !== undefined);
    const walk = folds.some((t) => t.weights === 8) ? WEIGHTS[8].tokens : whole ? 8 : 4;
    let chunk = Math.max(1, Math.ceil(schedule.chunk / walk)) * walk;
    const smallest = Math.max(8, walk);
    while (chunk > smallest && (floats(chunk) > target.groupFloats || chunk > near)) {
      chunk = Math.max(smallest, Math.floor(chunk / (2 * walk)) * walk);
    }
    if (runs[i] === Infinity) return chunk;
    return chunk < runs[i] ? dividing(runs[i], chunk, walk) : chunk - chunk % runs[i];
  });
  return lanes === undefined ? chunks : chunks.map(() => Math.min(...chunks));
};

/** Floats a token of the products that are held: lanes keep theirs, unless values ask for one again. */
export const movingCounts = (
  folds: readonly (Term & TermOf<"fold">)[],
  moving: ReadonlyMap<Term, HeldAxes>,
  { serial }: Target,
): number[] => {
  const asked = new Set(topological(folds.map((t) => t.args[1])));
  return [...moving].filter(([t]) => serial || asked.has(t)).map(([t, axes]) => heldCount(t, axes));
};
