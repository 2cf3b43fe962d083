/**
 * The skeletons that exist, by name.
 * @module
 */
import type { Skeletons } from "../compiler/kernel.ts";
import { contractSkeleton } from "./contract.ts";
import { encodeSkeleton } from "./encode.ts";
import { mapSkeleton } from "./map.ts";
import { reduceSkeleton } from "./reduce.ts";
import { routineSkeleton } from "./routine.ts";
import { streamSkeleton } from "./stream.ts";

/** One skeleton a name. */
export const SKELETONS: Skeletons = {
  map: mapSkeleton,
  reduce: reduceSkeleton,
  contract: contractSkeleton,
  stream: streamSkeleton,
  encode: encodeSkeleton,
  routine: routineSkeleton,
};
