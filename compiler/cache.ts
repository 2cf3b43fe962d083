/**
 * Keeping what was made: a bounded store by key. What was asked for least recently leaves first, and a
 * failure is never kept.
 * @module
 */

/** Gives what is kept under a key, or makes and keeps it; calls in flight share one making. */
export type Cache<A> = (key: string, make: () => Promise<A>) => Promise<A>;

/** A cache of at most `most` results; `good` says which are worth keeping. */
export const cacheOf = <A>(most: number, good: (made: A) => boolean = () => true): Cache<A> => {
  const held = new Map<string, Promise<A>>();
  return (key, make) => {
    const known = held.get(key);
    const made = known ?? make();
    // Deleted and set again: a map lists its keys in the order they were set.
    held.delete(key);
    held.set(key, made);
    if (known !== undefined) return known;
    const drop = (): void => {
      if (held.get(key) === made) held.delete(key);
    };
    made.then((value) => good(value) || drop(), drop);
    if (held.size > most) held.delete(held.keys().next().value!);
    return made;
  };
};
