// What a person runs on the target so that rows fit again: statements that run as they stand. Pure.
import { onlyElement } from '../peers/ddl-columns.ts';
import { shownName } from '../peers/schema/shown-name.ts';
import { quoteLiteral } from '../pg/sql.ts';
import { type Column, showTable, type Table, type TableName } from '../pg/table.ts';
import type { ColumnChange } from './changes.ts';
import { inSteps, type Rename } from './renames.ts';

/** `ALTER TABLE` with these clauses. */
export function alterTable(to: TableName, clauses: readonly string[]): string {
  return `ALTER TABLE ${shownName(to.schema, to.name)} ${clauses.join(', ')}`;
}

/** How a person is told to run them. */
export function runOnTarget(statements: readonly string[]): string {
  return `On the target run ${statements.map((each) => `${each};`).join(' ')} then RESUME MIRROR.`;
}

/** As it goes on after a colon or a semicolon. */
export const decapitalized = (sentence: string) => `${sentence[0]?.toLowerCase()}${sentence.slice(1)}`;

/** Statements that make what columns stand on where the target lacks it, by OID of their type on the source. */
export type MadeFirst = ReadonlyMap<number, readonly string[]>;

/** A column that rows have and the target lacks. */
export interface Lacking {
  readonly name: string;
  /** As of the rows. */
  readonly type: string;
  /** What it is on the source now; left out: it is gone. */
  readonly source: Column | undefined;
  /** What older rows show, as the source prints an array of it; null: nothing, or they hold it themselves. */
  readonly missing: string | null;
  /** Of a partitioned table: whether those of a partition show something. */
  readonly below: boolean;
  /** The source may have computed values for the rows that were there. */
  readonly rewritten: boolean;
  /** Statements that make what it stands on. */
  readonly before: readonly string[];
}

/** How a column is added. */
export interface Addition {
  /** Statements that come before it. */
  readonly before: readonly string[];
  /** `ADD COLUMN …` */
  readonly clause: string;
  /** Clauses that come after it, each a statement. */
  readonly after: readonly string[];
  /** What a person has to know besides. */
  readonly notes: readonly string[];
}

/** Adds a column so that rows which are there show what they show on the source, as far as its catalog tells. */
export function addition(of: Lacking): Addition {
  return { before: of.before, ...added(of) };
}

type Added = Omit<Addition, 'before'>;

function added(of: Lacking): Added {
  const { name, type, missing, below, rewritten } = of;
  const column = of.source?.type.text === type ? of.source : undefined;
  const on = shownName(name);
  const collation =
    column?.collation == null ? '' : ` COLLATE ${shownName(column.collation.schema, column.collation.name)}`;
  const add = `ADD COLUMN ${on} ${type}${collation}`;
  const computed = rewritten ? [otherValues(on)] : [];
  if (column === undefined) return { clause: add, after: [], notes: computed };
  const notNull = column.notNull ? ' NOT NULL' : '';
  if (column.generated !== '') {
    const kind = column.generated === 's' ? 'STORED' : 'VIRTUAL';
    return { clause: `${add} GENERATED ALWAYS AS (${column.default}) ${kind}${notNull}`, after: [], notes: [] };
  }
  if (column.identity !== '') {
    const kind = column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT';
    return { clause: `${add}${notNull} GENERATED ${kind} AS IDENTITY`, after: [], notes: computed };
  }
  if (missing !== null) return withMissing(column, { add, on, type, missing, notNull });
  if (column.default !== null && (rewritten || below))
    return { clause: `${add} DEFAULT ${column.default}${notNull}`, after: [], notes: computed };
  const after = column.default === null ? [] : [`ALTER COLUMN ${on} SET DEFAULT ${column.default}`];
  const late = column.notNull ? [`${on} is NOT NULL on the source: say so when the rows have come.`] : [];
  return { clause: add, after, notes: [...late, ...(column.notNull ? computed : [])] };
}

// What older rows show goes in as a default; the default of new ones may be another by now.
function withMissing(
  column: Column,
  of: { readonly add: string; readonly on: string; readonly type: string; missing: string; notNull: string },
): Added {
  const { add, on, type, missing, notNull } = of;
  const text = onlyElement(missing);
  const value = `${quoteLiteral(text).trim()}::${type}`;
  const isSame = column.default === value || column.default === text;
  const clause = `${add} DEFAULT ${isSame ? column.default : value}${notNull}`;
  if (isSame) return { clause, after: [], notes: [] };
  const then = column.default === null ? 'DROP DEFAULT' : `SET DEFAULT ${column.default}`;
  return { clause, after: [`ALTER COLUMN ${on} ${then}`], notes: [] };
}

function otherValues(on: string): string {
  return `Where the source computed ${on} for rows that were there, they have other values than here, and the log does not tell them: set them, too.`;
}

/** Statements that add columns. @param drop these go first, in the same statement */
export function addColumns(
  to: TableName,
  additions: readonly Addition[],
  drop: readonly string[] = [],
): readonly string[] {
  const drops = drop.map((name) => `DROP COLUMN ${shownName(name)}`);
  return [
    ...new Set(additions.flatMap(({ before }) => before)),
    ...additions.flatMap(({ clause, after }) => sequencesOf([clause, ...after])),
    alterTable(to, [...drops, ...additions.map(({ clause }) => clause)]),
    ...additions.flatMap(({ after }) => after.map((each) => alterTable(to, [each]))),
  ];
}

// What defaults take their values from, as the source prints it.
function sequencesOf(clauses: readonly string[]): readonly string[] {
  const names = clauses.flatMap((each) => [...each.matchAll(/nextval\('((?:[^']|'')+)'::regclass/g)]);
  return names.map(([, name = '']) => `CREATE SEQUENCE IF NOT EXISTS ${name.replaceAll("''", "'")}`);
}

/** Statements that give columns their names; by names in between where they stand in each other's way. */
export function renameColumns(to: TableName, renames: readonly Rename[], target: Table): readonly string[] {
  return inSteps(renames, target).map((each) =>
    alterTable(to, [`RENAME COLUMN ${shownName(each.from)} TO ${shownName(each.to)}`]),
  );
}

/** What a person is told where the target's own columns have names that others need. */
export function ownColumns(names: readonly string[], to: TableName): string {
  const list = names.map((name) => shownName(name)).join(', ');
  return `${list} of ${showTable(to)} is the target's own and in the way: rename it, as here, or drop it.`;
}

/** A column of the target's own makes way. */
export function putAside(to: TableName, name: string, target: Table): string {
  const taken = new Set(target.columns.map((each) => each.name));
  const base = Buffer.byteLength(name) > 50 ? 'column' : name;
  let free = `${base}_own`;
  for (let n = 2; taken.has(free); n++) free = `${base}_own_${n}`;
  return alterTable(to, [`RENAME COLUMN ${shownName(name)} TO ${shownName(free)}`]);
}

/** Statements for changes of columns that a person makes instead of the mirror. NOT NULL may wait until all rows are right. */
export function changeColumns(to: TableName, changes: readonly ColumnChange[], makes: MadeFirst): readonly string[] {
  const statements = changes.flatMap((change): readonly string[] => {
    switch (change.kind) {
      case 'drop':
        return [alterTable(to, [`DROP COLUMN ${shownName(change.name)}`])];
      case 'rename':
        return [alterTable(to, [`RENAME COLUMN ${shownName(change.from)} TO ${shownName(change.to)}`])];
      case 'retype':
        return [
          ...(makes.get(change.type.oid) ?? []),
          alterTable(to, [`ALTER COLUMN ${shownName(change.name)} TYPE ${change.type.text}`]),
        ];
      case 'add': {
        const { name, type, source, missing } = change;
        const before = makes.get(type.oid) ?? [];
        const of = { name, type: type.text, source, missing, below: false, rewritten: true, before };
        return addColumns(to, [addition(of)]);
      }
      case 'compute': {
        const { name, type } = change.source;
        const before = makes.get(type.oid) ?? [];
        const of = {
          name,
          type: type.text,
          source: change.source,
          missing: null,
          below: false,
          rewritten: false,
          before,
        };
        return addColumns(to, [addition(of)]);
      }
      case 'keep computed':
        return [alterTable(to, [`ALTER COLUMN ${shownName(change.name)} DROP EXPRESSION`])];
      case 'let be null':
        return [alterTable(to, [`ALTER COLUMN ${shownName(change.name)} DROP NOT NULL`])];
      case 'may not be null':
      case 'fetch':
        return [];
      default:
        return change satisfies never;
    }
  });
  // What two of them stand on is made once.
  return [...new Set(statements)];
}
