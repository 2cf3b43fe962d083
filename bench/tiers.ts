/**
 * Does entropy coding pay? KVTC (arXiv 2511.01815) packs its codes by DEFLATE before they leave memory. Caches
 * of the embedded model, every layer, in blocks of 256 tokens in a file (`compiler/tier.ts`).
 *
 * - `bits`: a value, as the cache stores it; `file`: in the file, its heads and checksums included.
 * - `K`, `V`: bytes in the file over bytes stored. `V of layer 0` alone: a value there depends on its word
 *   only, so a word that comes again is found again, which says nothing of codes.
 * - `error`: ‖x − x̂‖ / ‖x‖ over all layers, of keys and values.
 *
 * The last rows have one step for all axes of a head: codes of small axes are mostly 0, and DEFLATE shares
 * out the bits as a dynamic program would (without one). Scales are of the whole text.
 * @module
 */
import { tmpdir } from "node:os";
import {
  type Bits,
  type Codec,
  compile,
  decoquantB,
  f16,
  fp8,
  higgs,
  input,
  kivi,
  lathe,
  nf4Grouped,
  on,
  openCache,
  openTier,
  pca,
  perHead,
  quantize,
  quarot,
  rtn,
  rtnGrouped,
  type Spilled,
  turboquant,
  window,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { DEVIATION, deviation, relative } from "../models/quality.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

/** Tokens of a block. */
const BLOCK = 256;

/** Principal axes of a head, all by codes of one step. */
const axes = (bits: Bits): Codec =>
  perHead(pipe(
    pca(),
    on("coefficients", quantize({ bits, per: "tensor", range: "symmetric" })),
    on("basis", f16),
  ));

const both = (name: string, codec: Codec) => ({ name, k: codec, v: codec });

const WAYS = [
  both("f16", window({ group: 2 }, f16)),
  both("e4m3", fp8("e4m3")),
  both("rtn 8", rtn(8)),
  both("rtn 4", rtn(4)),
  both("rtnGrouped 4", rtnGrouped(4)),
  both("rtnGrouped 3", rtnGrouped(3)),
  both("rtnGrouped 2", rtnGrouped(2)),
  both("quarot 4", quarot(4)),
  both("nf4", nf4Grouped(32)),
  both("turboquant 4", turboquant(4)),
  both("lathe 2", lathe(2)),
  both("higgs", higgs),
  both("decoquantB 4", decoquantB(4)),
  { name: "kivi 2", ...kivi(2) },
  both("axes, one step, 8", axes(8)),
  both("axes, one step, 4", axes(4)),
  both("axes, one step, 3", axes(3)),
];

/** A file of one tensor of one layer. */
interface Found extends Spilled {
  readonly side: "k" | "v";
  readonly layer: number;
}

type Keep = (found: Found) => boolean;

/** The question of the head of the file. */
export const tiersBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? BLOCK : 4 * BLOCK;
  const { runner, ids: all } = await openEmbedded();
  const ids = all.slice(1, 1 + tokens);
  const { kvHeads, headDim } = runner.config;
  const shape = [kvHeads, "tokens", headDim] as const;
  try {
    const { layers } = await runner.run(ids, undefined, { see: true });
    const rows: Row[] = [];
    for (const { name, ...codecs } of quick ? WAYS.slice(-1) : WAYS) {
      const found: Found[] = [];
      let apart = DEVIATION.empty;
      for (const [layer, { seen }] of layers.entries()) {
        for (const side of ["k", "v"] as const) {
          const [x] = seen![side];
          const codec = codecs[side];
          const given = input("x", shape, "f32");
          const back = await compile({ x: codec.decode(codec.encode(given), shape) });
          apart = DEVIATION.concat(apart, deviation(x, (await back.values({ x })).x));
          const cache = await openCache(codec, [kvHeads, headDim], { capacity: tokens });
          await cache.append(x);
          const path = `${tmpdir()}/${crypto.randomUUID()}.tier`;
          const tier = await openTier(cache, path, { block: BLOCK });
          found.push({ side, layer, ...await tier.spill() });
          await tier.close();
          cache.dispose();
        }
      }
      const of = (keep: Keep, by: "raw" | "bytes" | "tokens") =>
        found.filter(keep).reduce((n, f) => n + f[by], 0);
      const share = (keep: Keep) => (of(keep, "bytes") / of(keep, "raw")).toFixed(3);
      const values = of(() => true, "tokens") * kvHeads * headDim;
      rows.push({
        scheme: name,
        bits: (8 * of(() => true, "raw") / values).toFixed(3),
        file: (8 * of(() => true, "bytes") / values).toFixed(3),
        K: share(({ side }) => side === "k"),
        V: share(({ side, layer }) => side === "v" && layer > 0),
        "V of layer 0": share(({ side, layer }) => side === "v" && layer === 0),
        error: relative(apart).toFixed(3),
      });
    }
    return [{ title: `blocks of ${BLOCK} tokens in a file, wiki4m, ${tokens} tokens`, rows }];
  } finally {
    runner.close();
  }
};
