/** Terms are shared by all copies of this package. */
import { equal } from "node:assert/strict";
import { intern } from "./term.ts";

Deno.test("a copy of the package builds the same terms, and numbers go on", async () => {
  const copy: { readonly intern: typeof intern } = await import(
    `${new URL("./term.ts", import.meta.url)}?copy`
  );
  const named = (of: typeof intern, name: string) => of("input", { name }, [4], "f32");
  const x = named(intern, "x of both");
  equal(named(copy.intern, "x of both"), x);
  equal(named(copy.intern, "y of the copy").id, named(intern, "z of the first").id - 1);
});
