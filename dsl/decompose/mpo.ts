/**
 * Matrix product operator: a chain of small tensors whose product is the matrix (arXiv 2405.12591).
 *
 * ```text
 * X [L, D], channels [j1 … jn], all tokens at one site:
 *   X[l, j1 … jn] = Σ T1[l?, j1, d1] · T2[d1, l?, j2, d2] · … · Tn[d(n-1), l?, jn]
 * sweep, left to right, M = X:  M = U Σ Vᵀ (left site | the rest),  A = U,  M <- Σ Vᵀ
 * balanced gauge:               T_k = Σ_{k-1}^{-1/2} A_k Σ_k^{1/2}
 * ```
 *
 * The spectrum comes from the Gram matrix of the smaller side of known size: if it is the right one,
 * U = M V Σ^{-1}. In the gauge σ is held above σ₁·2^-10, on both sides of a bond alike, so a full bond
 * is exact (M V Vᵀ) for rank-deficient and zero inputs as well. X is divided by its largest magnitude
 * first; the heavy site carries the factor, so the light ones fit f16 at any scale of X.
 *
 * Stored: the site of the tokens as `[...batch, ...rows, tokens, d·j·d']` (a row a token), the others
 * as matrices `[...batch, d·j, d']`, the last `[...batch, d, jn]`. A chain of two has the parts `large`
 * and `small`, a longer one `site1`, `site2`, …
 *
 * With named tokens the bonds do not know that a context may be shorter than it is wide: at run time
 * fewer tokens than channels give zero σ, not fewer columns. Give `ranks` to store less.
 * @module
 */
import { foldOver, map, reshape } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Shape, Term } from "../core/term.ts";
import type { Factored, Parts } from "../codec/codec.ts";
import { arrange, type Labelled, product, weigh } from "./labelled.ts";
import { type Chain, type Plan, planOf } from "./plan.ts";
import { floored, normalised, spectrum } from "./spectrum.ts";

export type { Chain };

const halfPower = (sigma: Labelled, sign: 1 | -1): Labelled => {
  const root = map("sqrt", sigma.term);
  return { term: sign === 1 ? root : map("div", 1, root), labels: sigma.labels };
};

/** The sites of a tensor, each as {@link Plan} stores it. */
const split = (x: Term, plan: Plan): Parts => {
  const { batch, rows } = plan.axes;
  const { x: start, top } = normalised(
    { term: reshape(x, plan.dims), labels: [...batch, ...rows, ...plan.channels] },
    batch,
  );
  let m = start;
  let before: Labelled | undefined;
  const parts: Record<string, Term> = {};
  plan.sites.forEach((site, k) => {
    let tensor = m;
    const inner = before === undefined ? [] : [halfPower(before, -1)];
    if (k < plan.bonds.length) {
      const { side, left, right, label, rank } = plan.bonds[k];
      const { vectors, sigma } = spectrum(m, batch, side === "left" ? left : right, label, rank);
      before = floored(sigma);
      const rest = product(m, vectors, [...batch, ...(side === "left" ? right : left), label]);
      tensor = side === "left" ? vectors : rest;
      m = side === "left" ? rest : weigh(vectors, before);
      inner.push(halfPower(before, side === "left" ? 1 : -1));
    }
    if (site.heavy) inner.push(top);
    const whole = inner.reduce(weigh, tensor);
    parts[site.name] = reshape(arrange(whole, site.labels).term, site.stored);
  });
  return parts;
};

/**
 * The large site of later tokens against the small one, whose rows are orthogonal: T_L = X·T_Sᵀ / ‖T_S‖².
 * Longer chains, and tokens at another site, have no such formula.
 */
const against = (x: Term, { small }: Parts, plan: Plan): Parts => {
  const { batch, rows } = plan.axes;
  const [large, light] = plan.sites;
  const factor: Labelled = { term: reshape(small, light.dims), labels: light.labels };
  const [bond] = plan.bonds.map((b) => b.label);
  const norm: Labelled = {
    term: foldOver("sum", "sum", map("mul", factor.term, factor.term), [-1]),
    labels: [...batch, bond],
  };
  const start: Labelled = {
    term: reshape(x, plan.dims),
    labels: [...batch, ...rows, ...plan.channels],
  };
  const met = product(start, factor, [...batch, ...rows, plan.channels[0], bond]);
  const whole = weigh(met, { ...norm, term: map("div", 1, norm.term) });
  return { [large.name]: reshape(arrange(whole, large.labels).term, large.stored) };
};

/** Contraction from left to right. */
const join = (parts: Parts, plan: Plan, shape: Shape): Term => {
  const { batch, rows } = plan.axes;
  const sites = plan.sites.map(({ name, labels, dims }): Labelled => ({
    term: reshape(parts[name], dims),
    labels,
  }));
  const all = [...batch, ...rows, ...plan.channels];
  const whole = sites.reduce((acc, site, k) => {
    const seen = new Set([...acc.labels, ...site.labels]);
    const next = plan.bonds[k]?.label;
    return product(acc, site, [
      ...all.filter((l) => seen.has(l)),
      ...(next === undefined ? [] : [next]),
    ]);
  });
  return reshape(arrange(whole, all).term, shape);
};

/**
 * A chain of small tensors whose product is x (arXiv 2405.12591). `mpo({ inner: 16 })` is the chain
 * `[D / 16, 16]` with the tokens at the first site: `large` `[tokens, D]` and `small` `[16, 16]` for a matrix of D
 * channels. Longer chains, `channels: [4, 4, 4]`, have parts `site1`, `site2`, …; the tokens are at site `tokens`.
 * Lossless unless `ranks` are given. A `ShapeError` says where sites do not make up the channels.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, mpo, on, quantize } from "kvfold";
 * import { pipe } from "kvfold/fp";
 * const [two, eight] = ([2, 8] as const).map((bits) => quantize({ bits, per: "token", range: "symmetric" }));
 * const chain = pipe(mpo({ channels: [4, 4, 4] }), on("site1", two), on("site2", eight), on("site3", eight));
 * ok(bitsOf(chain, ["tokens", 64]) === 2 + 16 / 64);
 * ```
 */
export const mpo = (chain: Chain): Factored => {
  if (!("inner" in chain || "channels" in chain)) {
    throw new ValueError("mpo", "neither inner nor channels is given");
  }
  const written = "inner" in chain
    ? `inner ${chain.inner}`
    : `channels ${chain.channels.join(" x ")}`;
  const name = `mpo(${written}, tokens ${chain.tokens ?? 0}${
    chain.ranks === undefined ? "" : `, ranks ${chain.ranks.join(" ")}`
  })`;
  const sizes = "inner" in chain ? [chain.inner] : chain.channels;
  const wrong = sizes.find((n) => !(Number.isInteger(n) && n > 0));
  if (wrong !== undefined) throw new ValueError(name, `${wrong} channels are no positive integer`);
  const bad = chain.ranks?.find((r) => !(Number.isInteger(r) && r > 0));
  if (bad !== undefined) throw new ValueError(name, `rank ${bad} is not a positive integer`);
  return {
    name,
    encode: (x, batch = 0) => split(x, planOf(name, chain, x.shape, batch)),
    ...("inner" in chain || chain.channels.length === 2) && (chain.tokens ?? 0) === 0
      ? {
        extend: (x: Term, fixed: Parts, batch = 0): Parts =>
          against(x, fixed, planOf(name, chain, x.shape, batch)),
      }
      : {},
    decode: (parts, shape, batch = 0) => {
      const plan = planOf(name, chain, shape, batch);
      const missing = plan.sites.find((s) => parts[s.name] === undefined);
      if (missing !== undefined) {
        throw new ShapeError(
          name,
          `part ${missing.name} of ${shapeText(shape)} is not among ${
            Object.keys(parts).join(", ")
          }`,
        );
      }
      return join(parts, plan, shape);
    },
    partShapes: (shape, batch = 0) =>
      Object.fromEntries(
        planOf(name, chain, shape, batch).sites.map((s) => [s.name, s.stored]),
      ),
  };
};
