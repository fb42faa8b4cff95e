// A process that claims slices of a run and commits them, telling each step, until none is left or it is killed.

import { openState } from "../../src/state/mod.ts";
import { FORMAT, holderOf, KEY, noted, sliceCommit } from "./state.ts";

const [url, directory, runId, token] = Deno.args as [string, string, string, string];
await using state = await openState({ url: url === "" ? undefined : url, directory });
const lease = { key: KEY, holder: holderOf(token) };
for (;;) {
  const slice = (await state.claimSlices(runId, 1, lease))[0] ?? null;
  if (slice === null) break;
  console.log(`claimed ${slice.index}`);
  await state.record(runId, KEY.exportName, noted({ ChunkStarted: { chunk_index: slice.index } }));
  await state.commitSlices(runId, [sliceCommit(runId, slice.index, slice.attempts, 2)], FORMAT, lease);
  console.log(`committed ${slice.index}`);
}
