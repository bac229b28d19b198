// What the target's table is called for a name that a table has on the source. Pure.
import type { TableName } from '../pg/table.ts';
import type { MirroredTable, MirrorWork } from './work.ts';

/** With explicit mappings, and outside of the schemas that are mirrored, the target's name is the person's own. */
export function targetName({ scope }: Pick<MirrorWork, 'scope'>, was: MirroredTable, now: TableName): TableName {
  if (scope.kind === 'tables') return was.to;
  if (scope.kind === 'all') return now;
  const pair = scope.pairs.find(({ from }) => from === now.schema);
  return pair === undefined ? was.to : { schema: pair.to, name: now.name };
}
