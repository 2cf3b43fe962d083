/**
 * Tensors to measure with. Keys of language models have a few channels far larger than the rest; the
 * times do not depend on it, but what a quantizer does to the values should not be flattered.
 * @module
 */

/** Uniform numbers in [0, 1) that every run repeats. */
export const draws = (seed: number): () => number => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Values of `count` numbers in rows of `channels`; every sixteenth channel is six times larger. */
export const activations = (seed: number, count: number, channels: number): Float32Array => {
  const next = draws(seed);
  // A sum of four uniform draws is near enough to a normal one, and cheap.
  return Float32Array.from(
    { length: count },
    (_, i) => (next() + next() + next() + next() - 2) * ((i % channels) % 16 === 3 ? 6 : 1),
  );
};
