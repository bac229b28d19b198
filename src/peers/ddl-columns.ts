// Statements that change the columns of a target's table as the source's were changed, and what those columns stand on.
import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, quoteLiteral, quoteName, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, showTable, type Table, type TableName } from '../pg/table.ts';
import { columnLine, columnSettings, renamed, type TableToMake } from './ddl.ts';
import { planBefore } from './ddl-before.ts';
import { planInput, readSourceSchema, readTargetFacts } from './ddl-input.ts';
import { planContext, sequenceTarget } from './ddl-tree.ts';
import { collate, createSequence, ownSequence } from './ddl-types.ts';
import { noRenames } from './schema/follow.ts';

/** What columns stand on: made before them, or said after them. */
export interface ColumnNeeds {
  readonly before: readonly Sql[];
  readonly after: readonly Sql[];
  /** What a person must see to first. */
  readonly problems: readonly string[];
  readonly make: TableToMake;
}

/** Looks what the target lacks for these columns of a mirrored table: types, collations, extensions, sequences, functions. */
export async function columnNeeds(
  db: { readonly source: Connection; readonly target: Connection },
  of: {
    readonly mirrored: MirroredTable;
    readonly table: Table;
    readonly columns: readonly Column[];
    /** Names that columns get on the target, where they are others. */
    readonly as: ReadonlyMap<string, string>;
  },
): Promise<ColumnNeeds> {
  const { mirrored, columns } = of;
  const names = new Set(columns.map((column) => column.name));
  const exclude = of.table.columns.map((column) => column.name).filter((name) => !names.has(name));
  const root: Table = { ...of.table, columns, kind: 'r', partitioning: null, partitionOf: null, leaves: [] };
  const tree = { mapping: { ...mirrored, exclude }, root, partitions: [] };
  const schema = await readSourceSchema(db.source, [tree]);
  const facts = await readTargetFacts(db.target, schema);
  const options = { schema: 'tables', resync: false, soft_delete: false, soft_delete_col_name: '' } as const;
  const wishes = { options: { ...options, synced_at_col_name: undefined }, slot: null };
  const input = planInput(schema, facts, wishes, { provided: new Set(), renames: noRenames });
  const context = planContext(input);
  const plan = planBefore(context, new Set([root.oid]));
  const problems = [...plan.problems];
  if (facts.version < 180_000) {
    for (const each of columns.filter((column) => column.generated === 'v')) {
      problems.push(`${showTable(root)}.${each.name} is a virtual generated column: these need PostgreSQL 18`);
    }
  }
  const own = context.sequences
    .map((sequence) => ({ sequence, to: sequenceTarget(context, sequence) }))
    .filter(({ sequence }) => sequence.uses.some((use) => names.has(use.column)));
  const fresh = own.filter(
    ({ sequence, to }) => !sequence.uses.some((use) => use.how === 'identity') && !facts.sequences.has(showTable(to)),
  );
  const withTable = fresh.filter(({ sequence }) => plan.withTable.has(sequence.oid));
  const identity = own.flatMap(({ sequence }) =>
    sequence.uses.flatMap((use) => {
      if (use.how !== 'identity') return [];
      const to = { schema: mirrored.to.schema, name: sequence.name };
      return [
        [
          of.as.get(use.column) ?? use.column,
          { sequence, to: facts.sequences.has(showTable(to)) ? null : to },
        ] as const,
      ];
    }),
  );
  const literal = (name: string) => `${quoteLiteral(name).trim()}::regclass`;
  return {
    before: [
      ...plan.steps.flatMap((step) => step.statements),
      ...withTable.map(({ sequence, to }) => createSequence(sequence, to, facts.version)),
    ],
    after: fresh.flatMap(({ sequence, to }) =>
      sequence.uses
        .filter((use) => use.how === 'owned' && names.has(use.column) && to.schema === mirrored.to.schema)
        .map((use) => ownSequence(to, { table: mirrored.to, column: of.as.get(use.column) ?? use.column })),
    ),
    problems,
    make: {
      source: root,
      to: mirrored.to,
      exclude: [],
      added: [],
      identity: new Map(identity),
      renamed: new Map(
        own.map(({ sequence, to }) => [literal(sequence.regclass), literal(quoteName(to.schema, to.name))]),
      ),
    },
  };
}

const table = (name: TableName) => ident(name.schema, name.name);

export function dropColumn(of: TableName, name: string): Sql {
  return sql`alter table ${table(of)} drop column ${ident(name)}`;
}

export function renameColumn(of: TableName, names: { readonly from: string; readonly to: string }): Sql {
  return sql`alter table ${table(of)} rename column ${ident(names.from)} to ${ident(names.to)}`;
}

export function dropExpression(of: TableName, name: string): Sql {
  return sql`alter table ${table(of)} alter column ${ident(name)} drop expression`;
}

export function setNotNull(of: TableName, name: string, notNull: boolean): Sql {
  return sql`alter table ${table(of)} alter column ${ident(name)} ${trusted(notNull ? 'set' : 'drop')} not null`;
}

/** A column to add, as the source has it now. */
export interface ColumnToAdd {
  readonly name: string;
  readonly type: string;
  readonly column: Column;
  /** What older rows show, as the source prints an array of it; null: nothing. */
  readonly missing: string | null;
  /** Whether the rows' values are read from the source afterwards. */
  readonly fetched: boolean;
}

/** Adds a column; what older rows show comes with it. `late`: what can be said only when values are in. */
export function addColumns(
  needs: ColumnNeeds,
  of: ColumnToAdd,
): { readonly now: readonly Sql[]; readonly late: readonly Sql[] } {
  const { column, missing, fetched } = of;
  const { to } = needs.make;
  const alter = sql`alter table ${table(to)} alter column ${ident(of.name)}`;
  const type = { ...column.type, text: of.type };
  const named = { ...column, name: of.name, type };
  // It has another type by now: what else it has comes with that.
  if (of.type !== column.type.text) {
    const bare = { ...named, default: null, identity: '', notNull: false, collation: null } as const;
    return { now: [sql`alter table ${table(to)} add column ${columnLine(needs.make, bare)}`], late: [] };
  }
  const add = (as: Column) => sql`alter table ${table(to)} add column ${columnLine(needs.make, as)}`;
  const settings = columnSettings(to, named);
  const notNull = column.notNull ? [setNotNull(to, of.name, true)] : [];
  if (missing !== null) {
    const value = `${quoteLiteral(onlyElement(missing)).trim()}::${of.type}`;
    const after =
      column.default === null
        ? sql`${alter} drop default`
        : sql`${alter} set default ${trusted(renamed(column.default, needs.make.renamed))}`;
    return { now: [add({ ...named, default: value, identity: '' }), after, ...settings], late: [] };
  }
  if (column.generated !== '') return { now: [add(named), ...settings], late: [] };
  if (column.identity !== '') {
    // An UPDATE may not set a column that is always generated.
    const always = column.identity === 'a' ? [sql`${alter} set generated always`] : [];
    return { now: [add({ ...named, identity: 'd' }), ...settings], late: always };
  }
  // Computed here too, and then overwritten: rows that the source has no more by then have some value.
  if (fetched && column.default !== null) return { now: [add(named), ...settings], late: [] };
  const after =
    column.default === null ? [] : [sql`${alter} set default ${trusted(renamed(column.default, needs.make.renamed))}`];
  return { now: [add({ ...named, default: null, notNull: false }), ...after, ...settings], late: notNull };
}

/** A column's change of type: ways to say it, the first that the server takes is right. */
export function retypeColumn(
  needs: ColumnNeeds | null,
  of: {
    readonly table: TableName;
    readonly there: Column;
    readonly name: string;
    readonly type: string;
    readonly column: Column | null;
    /** Whether values may be forgotten, as they will be read from the source. */
    readonly forget: boolean;
  },
): { readonly ways: readonly (readonly Sql[])[]; readonly late: readonly Sql[] } {
  const { there, column } = of;
  const [on, name, type] = [table(of.table), ident(of.name), trusted(of.type)];
  const alter = sql`alter column ${name}`;
  const hasDefault = there.default !== null && there.generated === '';
  const dropDefault = hasDefault ? [sql`${alter} drop default`] : [];
  const collation = collate(column?.collation ?? null);
  const way = (using: Sql, more: readonly Sql[] = []) => [
    sql`alter table ${on} ${join([...dropDefault, ...more, sql`${alter} type ${type}${collation}${using}`])}`,
  ];
  const loose = there.notNull && there.identity === '' ? [sql`${alter} drop not null`] : [];
  const byDefault =
    column === null || column.default === null || column.generated !== '' || needs === null
      ? []
      : [sql`alter table ${on} ${alter} set default ${trusted(renamed(column.default, needs.make.renamed))}`];
  const notNull = column?.notNull ? [setNotNull(of.table, of.name, true)] : [];
  return {
    ways: [
      way(sql``),
      way(sql` using ${name}::${type}`),
      way(sql` using ${name}::text::${type}`),
      ...(of.forget ? [way(sql` using null::${type}`, loose)] : []),
    ],
    late: [...byDefault, ...notNull],
  };
}

/** The one value of an array as the server prints it: `{…}` with one element. */
export function onlyElement(array: string): string {
  const text = array.replace(/^(?:\[[^\]]*\])+=/, '').slice(1, -1);
  if (!text.startsWith('"')) return text;
  return text.slice(1, -1).replaceAll(/\\(.)/gs, (_, each: string) => each);
}
