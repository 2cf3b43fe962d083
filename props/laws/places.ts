/**
 * Laws of a number's place in a table: which entry is nearest, without any rounding.
 * @module
 */

/** Every f32 is a whole number of these. */
const whole = (x: number): bigint => BigInt(x * 2 ** 149);

/**
 * The index of the nearest of ascending entries, of f32 as x is: how many midpoints lie below, ties to the
 * even entry.
 */
export const nearestPlace = (entries: readonly number[], x: number): number =>
  entries.slice(1).filter((right, i) => {
    const [twice, sum] = [2n * whole(x), whole(entries[i]) + whole(right)];
    return twice > sum || (twice === sum && i % 2 === 1);
  }).length;

/** What a device may take for 0 is below this. */
const FLUSH = 2 ** -126;

/** How far the last midpoint may be off: 1 over the last gap is a constant of f32. */
const lastOff = (entries: readonly number[]): number => {
  const [left, right] = entries.slice(-2);
  return (right - left) * 2 ** -25 * (1 + 2 ** -20);
};

/** Is x so close to the last midpoint that it may be on either side? */
const atLast = (entries: readonly number[], x: number): boolean => {
  const [left, right] = entries.slice(-2);
  return Math.abs((x - left) - (right - x)) <= 2 * lastOff(entries);
};

/** The code of x is its place; where x may count as 0, the place of something that does. */
export const placeLaw = (entries: readonly number[], x: number, code: number): boolean => {
  const last = entries.length - 1;
  const [low, high] = Math.abs(x) < FLUSH ? [-FLUSH, FLUSH] : [x, x];
  return (atLast(entries, x) && (code === last || code === last - 1)) ||
    (nearestPlace(entries, low) <= code && code <= nearestPlace(entries, high));
};
