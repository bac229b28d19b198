// Hands changes of the schema on to the journal, once each: the target keeps them until then.
import type { TableChange } from '../mirror/table-change.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { forgetSchemaChanges, readSchemaChanges, type SchemaChange } from './schema-changes.ts';

/** Outside a transaction. @returns what they made of the mirror's list of tables, in their order */
export async function tellSchemaChanges(
  target: Connection,
  work: MirrorWork,
  report: { changed(change: SchemaChange): Promise<void> },
): Promise<readonly (readonly TableChange[])[]> {
  const changes = await readSchemaChanges(target, work);
  if (changes.length === 0) return [];
  for (const change of changes) await report.changed(change);
  await forgetSchemaChanges(
    target,
    work,
    changes.map((change) => change.id),
  );
  return changes.flatMap(({ tables }) => (tables === undefined ? [] : [tables]));
}
