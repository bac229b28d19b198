// Labels of enums: the stream is silent about them, so they are compared when a session begins and when the target does not know one.
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { compareToken, readCheckpoint } from '../peers/checkpoint.ts';
import { connectSides } from '../peers/connect.ts';
import { addedLabels, differingEnums, type LabelChange, renamedLabels } from '../peers/enum-labels.ts';
import { ensureSchemaChanges, writeSchemaChange } from '../peers/schema-changes.ts';
import type { Connection } from '../pg/client.ts';

/** `none`: nothing differs that can be mended; `rename`: a label has another name, which must wait until all rows before are applied. */
export type Labels = 'made' | 'rename' | 'none';

/**
 * Gives the target's enums the labels that the source's have. More labels than rows need yet do no harm; a name that changed is
 * right only from one row on.
 */
export async function followLabels(
  work: MirrorWork,
  { rename }: { readonly rename: boolean },
  signal?: AbortSignal,
): Promise<Labels> {
  if (work.options.schema_changes === 'off') return 'none';
  const use = { application: applicationName('labels', work) };
  await using sides = await connectSides(work, use, signal);
  const { target } = sides;
  const tables = work.tables.map((table) => table.from);
  const { scope } = work;
  const schemas = new Map(scope.kind === 'schemas' ? scope.pairs.map(({ from, to }) => [from, to]) : []);
  const pairs = await differingEnums(sides, tables, (schema) => schemas.get(schema) ?? schema);
  const renames = pairs.flatMap(renamedLabels);
  const changes = [...pairs.flatMap(addedLabels), ...(rename ? renames : [])];
  if (changes.length > 0) await make(target, work, changes);
  if (changes.length > 0) return 'made';
  return renames.length > 0 ? 'rename' : 'none';
}

async function make(target: Connection, work: MirrorWork, changes: readonly LabelChange[]): Promise<void> {
  await ensureSchemaChanges(target, work.target.metadataSchema);
  const lsn = (await readCheckpoint(target, work)) ?? 0n;
  // A label can be used once its transaction is over, so it has one of its own.
  await target.transaction(async () => {
    await compareToken(target, work);
    for (const { what, statement } of changes) {
      await target.run(statement);
      await writeSchemaChange(target, work, { table: '', what, lsn, statements: [statement.text] });
    }
  });
}
