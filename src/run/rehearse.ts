// An export planned for nothing, before its config has any state: what would be refused is refused here, and leaves nothing behind.

import { checkWritable } from "../destination/mod.ts";
import { askBeforePicture, buildTask, type Unit } from "../plan/mod.ts";
import type { Source } from "../source/mod.ts";
import type { ExportKey } from "../state/mod.ts";
import { refuseFreshRun } from "./admission.ts";
import type { RunContext } from "./context.ts";
import { checkQualityColumns } from "./quality.ts";

/** Plans and looks at the destination; reads the catalog and bounds, never rows, and writes nothing. */
export async function rehearse(context: RunContext, unit: Unit, key: ExportKey, source: Source): Promise<void> {
  const before = await askBeforePicture(source, unit.entry);
  const { config, runtime, version, options: { strict } } = context;
  const task = await buildTask(
    { config, source, runtime, version, strict },
    unit,
    key,
    { cursor: null, run: null },
    before,
  );
  checkQualityColumns(unit.entry.quality, task.columns, `export '${unit.name}'`);
  await checkWritable(task.destination);
  if (!context.options.resume) return;
  await using destination = await context.openDestination(task.destination);
  await refuseFreshRun(context, unit, destination);
}
