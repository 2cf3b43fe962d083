/** Examples of assembling; that all text of kernels is assembled right is a property. */
import { deepEqual, throws } from "node:assert/strict";
import { assembleText } from "./assemble.ts";

const HEAD = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

Deno.test("assembleText() writes sections of a small module", () => {
  const text = `(module (import "m" "n" (memory 1 300 shared))
    (func (export "f") (param $a i32) (result i32) (i32.add (local.get $a) (i32.const -65))))`;
  deepEqual([...assembleText(text)], [
    ...HEAD,
    ...[1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f],
    ...[2, 10, 1, 1, 109, 1, 110, 2, 3, 1, 0xac, 2],
    ...[3, 2, 1, 0],
    ...[7, 5, 1, 1, 102, 0, 0],
    ...[10, 10, 1, 8, 0, 0x20, 0, 0x41, 0xbf, 0x7f, 0x6a, 0x0b],
  ]);
  deepEqual([...assembleText("(module)")], HEAD);
});

Deno.test("assembleText() names what it does not know", () => {
  const body = (code: string): string => `(module (func $f (param $a i32) ${code}))`;
  throws(() => assembleText(body("(i64.add)")), /assemble: no instruction i64\.add/);
  throws(() => assembleText(body("(local.get $b)")), /assemble: \$b is not known/);
  throws(() => assembleText(body("(block $b (br $c))")), /assemble: \$c is not known/);
  throws(() => assembleText(body("(call $g)")), /assemble: \$g is not known/);
  throws(() => assembleText(body("(local.get")), /assemble: a word is missing before "\) \)"/);
  throws(() => assembleText(body("").slice(0, -2)), /assemble: /);
  throws(() => assembleText("(module (table))"), /assemble: no field table/);
  throws(() => assembleText("(module) ("), /assemble: a text that goes on/);
});
