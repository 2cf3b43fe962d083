/** Examples of the bounded cache. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { cacheOf } from "./cache.ts";

Deno.test("cacheOf() makes a value once, also for calls in flight", async () => {
  const cache = cacheOf<object>(2);
  const [a, b] = await Promise.all([1, 2].map(() => cache("k", () => Promise.resolve({}))));
  equal(a, b);
});

Deno.test("cacheOf() lets go of what was asked for least recently", async () => {
  const cache = cacheOf<string>(2);
  const made: string[] = [];
  const ask = (key: string): Promise<string> =>
    cache(key, () => Promise.resolve((made.push(key), key)));
  for (const key of ["a", "b", "a", "c", "a", "b"]) await ask(key);
  deepEqual(made, ["a", "b", "c", "b"]);
});

Deno.test("cacheOf() keeps no failure", async () => {
  const cache = cacheOf<number>(2, (n) => n > 0);
  await rejects(cache("k", () => Promise.reject(new Error("once"))), /once/);
  equal(await cache("k", () => Promise.resolve(-1)), -1);
  equal(await cache("k", () => Promise.resolve(1)), 1);
  equal(await cache("k", () => Promise.resolve(2)), 1);
});
