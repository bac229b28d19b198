// Properties of a table that the target cannot hold: what it is made without, and the lines of the ledger that say so. Pure.
import { type ObjectLine, objectKey } from '../mirror/object.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import type { Member, PlanContext } from './ddl-tree.ts';

/** Why a tablespace does not go along. */
export const tablespaceReason = 'tablespaces are a server’s own: it is in the default one of the target';

export interface Unable {
  readonly lines: readonly ObjectLine[];
  /** Storage parameters that the target knows. */
  readonly options: readonly string[];
  /** Whether it can be a table of its type. */
  readonly typed: boolean;
  /** Compression methods that the target has not. */
  readonly compressions: ReadonlySet<string>;
  readonly accessMethod: string | null;
  /** Columns whose NOT NULL heirs must not get, and would. */
  readonly nullable: ReadonlySet<string>;
}

// Storage parameters of tables that came after 14. https://www.postgresql.org/docs/18/sql-createtable.html#SQL-CREATETABLE-STORAGE-PARAMETERS
const since: ReadonlyMap<string, number> = new Map([
  ['autovacuum_vacuum_max_threshold', 18],
  ['vacuum_max_eager_freeze_failure_rate', 18],
]);

function sinceOf(option: string): number {
  const name = option.slice(0, option.indexOf('='));
  return since.get(name.replace(/^toast\./, '')) ?? 0;
}

/** Storage parameters, as stored, that a server of that version knows. */
export function knownOptions(options: readonly string[], serverVersion: number): readonly string[] {
  return options.filter((option) => serverVersion >= sinceOf(option) * 10_000);
}

/** @param parents those that it is made as the heir of */
export function leftOutOf(context: PlanContext, { source, tree }: Member, parents: readonly TableName[]): Unable {
  const { target } = context;
  const lines: ObjectLine[] = [];
  const leave = (name: string, reason: string) => {
    const of = { schema: source.schema, table: showTable(source) };
    lines.push({ kind: 'property', name, ...of, stage: 'before', state: 'left_out', reason });
  };
  const options = knownOptions(source.options, target.version);
  for (const option of source.options) {
    const name = option.slice(0, option.indexOf('='));
    if (!options.includes(option))
      leave(`storage parameter ${name}`, `it needs PostgreSQL ${sinceOf(option)} on the target`);
  }
  const typed = source.ofType !== null && tree.mapping.exclude.length === 0 && context.added.length === 0;
  if (source.ofType !== null && !typed) {
    leave(`type ${showTable(source.ofType)}`, 'the table has other columns on the target than its type');
  }
  const compressions = new Set<string>();
  for (const column of source.columns) {
    if (column.compression !== 'l' || target.compressions.has('lz4') || tree.mapping.exclude.includes(column.name))
      continue;
    compressions.add('lz4');
    leave(`compression of ${column.name}`, 'the target was built without lz4');
  }
  if (source.tablespace !== null) {
    leave(`tablespace ${source.tablespace}`, tablespaceReason);
  }
  const joins = source.inherits.length > 0 && source.inherits.every((each) => context.members.has(showTable(each)));
  if (joins && parents.length === 0 && source.columns.some((column) => !column.local)) {
    leave('inherited columns', 'in this order they cannot come from the parents alone: they count as its own too');
  }
  const lacksMethod =
    source.accessMethod !== null &&
    !target.accessMethods.has(source.accessMethod) &&
    !context.provided.has(objectKey({ kind: 'access method', schema: '', name: source.accessMethod, table: '' }));
  if (lacksMethod)
    leave(`access method ${source.accessMethod}`, 'the target has none of that name: the table is a heap');
  const nullable = new Set<string>();
  for (const column of source.columns) {
    if (!column.notNullNoInherit || target.version >= 180_000 || !hasHeirs(context, source)) continue;
    nullable.add(column.name);
    leave(`NOT NULL of ${column.name}`, 'it is NO INHERIT: these need PostgreSQL 18 on the target');
  }
  return { lines, options, typed, nullable, compressions, accessMethod: lacksMethod ? null : source.accessMethod };
}

function hasHeirs({ members }: PlanContext, parent: TableName): boolean {
  return [...members.values()].some(({ source }) => source.inherits.some((each) => sameTable(each, parent)));
}
