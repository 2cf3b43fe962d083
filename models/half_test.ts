import assert from "node:assert/strict";
import { decodeBF16, decodeF16, encodeF16, fromHalf, toHalf } from "./half.ts";

Deno.test("half: landmarks", () => {
  const landmarks: readonly (readonly [bits: number, value: number])[] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
  ];
  for (const [bits, value] of landmarks) {
    assert.equal(fromHalf(bits), value);
    assert.equal(toHalf(value), bits);
  }
  assert.ok(Number.isNaN(fromHalf(0x7e00)));
  assert.equal(toHalf(NaN), 0x7e00);
});

Deno.test("half: every f16 survives a round trip and agrees with the engine", () => {
  const view = new DataView(new ArrayBuffer(2));
  for (let bits = 0; bits < 65536; bits++) {
    const value = fromHalf(bits);
    if (!Number.isNaN(value)) assert.equal(toHalf(value), bits);
    if (!("getFloat16" in view)) continue;
    view.setUint16(0, bits, true);
    assert.equal(value, view.getFloat16(0, true));
  }
});

Deno.test("half: rounds to nearest, ties to even, on each side of every midpoint", () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const middle = (fromHalf(bits) + fromHalf(bits + 1)) / 2;
    const step = middle * 2 ** -20;
    assert.equal(toHalf(middle), bits + (bits & 1), `tie above ${bits}`);
    assert.equal(toHalf(middle - step), bits, `below the tie above ${bits}`);
    assert.equal(toHalf(-(middle + step)), 0x8000 | (bits + 1), `above the tie above ${bits}`);
  }
  assert.equal(toHalf(65519.996), 0x7bff);
  assert.equal(toHalf(65520), 0x7c00);
});

Deno.test("half: arrays", () => {
  const values = Float32Array.of(1, -0.5, 65504, 2 ** -24, 0);
  assert.deepEqual(decodeF16(encodeF16(values)), values);
  assert.deepEqual(decodeBF16(Uint8Array.of(0x80, 0x3f, 0x20, 0xc0)), Float32Array.of(1, -2.5));
});
