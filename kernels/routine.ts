/**
 * `routine`: small eigen- and singular value problems, QR and Cholesky, one group a matrix;
 * rounding with feedback, one group a row.
 * @module
 */
import type { Skeleton } from "../compiler/kernel.ts";
import type { RoutineName } from "../dsl/core/term.ts";
import { choleskySkeleton } from "./routines/cholesky.ts";
import { eighSkeleton } from "./routines/eigh.ts";
import { feedbackSkeleton } from "./routines/feedback.ts";
import { qrSkeleton } from "./routines/qr.ts";
import { svdSkeleton } from "./routines/svd.ts";

const BY_NAME: Readonly<Record<RoutineName, Skeleton>> = {
  eigh: eighSkeleton,
  svd: svdSkeleton,
  qr: qrSkeleton,
  cholesky: choleskySkeleton,
  feedback: feedbackSkeleton,
};

/** The skeleton. */
export const routineSkeleton: Skeleton = (plan, context) => {
  const [root] = plan.roots;
  if (root.tag !== "routine") throw new Error(`routine cannot make ${root.tag}`);
  return BY_NAME[root.routine](plan, context);
};
