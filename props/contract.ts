/**
 * Every law on everything that is listed: an operator, an element type, … that is added to its list is
 * tested with no further edit.
 * @module
 */
import type { Clause } from "./contract/clause.ts";
import { codecClauses, schemeClauses } from "./contract/codecs.ts";
import { dtypeClauses } from "./contract/dtypes.ts";
import { monoidClauses } from "./contract/monoids.ts";
import { opClauses } from "./contract/ops.ts";
import { ruleClauses } from "./contract/rules.ts";
import { skeletonClauses } from "./contract/skeletons.ts";

/** All clauses. */
export const CONTRACT: readonly Clause[] = [
  ...opClauses,
  ...dtypeClauses,
  ...monoidClauses,
  ...ruleClauses,
  ...codecClauses,
  ...schemeClauses,
  ...skeletonClauses,
];
