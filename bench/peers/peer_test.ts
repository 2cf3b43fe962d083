/** What a peer's file says where the peer is not. */
import { throws } from "node:assert/strict";
import { folderOf, INSTALL, Missing } from "./peer.ts";

Deno.test("folderOf() of a peer that is not there says how to get it", () => {
  throws(() => folderOf("no-such-peer"), new Missing(`run ${INSTALL}`));
});
