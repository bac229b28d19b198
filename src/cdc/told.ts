// Hands changes of the schema on to the journal, once each: the target keeps them until then.
import type { MirrorWork } from '../mirror/work.ts';
import { forgetSchemaChanges, readSchemaChanges } from '../peers/schema-changes.ts';
import type { Connection } from '../pg/client.ts';
import type { CdcReport } from './report.ts';

/** Outside a transaction. */
export async function tellSchemaChanges(target: Connection, work: MirrorWork, report: CdcReport): Promise<void> {
  const changes = await readSchemaChanges(target, work);
  if (changes.length === 0) return;
  for (const change of changes) await report.changed(change);
  await forgetSchemaChanges(
    target,
    work,
    changes.map((change) => change.id),
  );
}
