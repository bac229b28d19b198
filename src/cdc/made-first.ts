// What columns stand on and the target lacks (types, collations, extensions, schemas), for those who make the columns by hand.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { columnNeeds } from '../peers/ddl-columns.ts';
import { isBuiltin } from '../peers/inspect-types.ts';
import type { Connection } from '../pg/client.ts';
import type { Column, Table } from '../pg/table.ts';
import { type Agreement, agree, type Sides, sameType } from './agree.ts';
import type { MadeFirst } from './mend.ts';

interface Tables {
  readonly mirrored: MirroredTable;
  readonly source: Table;
  readonly target: Table;
}

interface Databases {
  readonly source: Connection;
  readonly target: Connection;
}

/** A type by its OID on the source. */
interface TypeOfRows {
  readonly oid: number;
  readonly text: string;
}

/**
 * Statements that make it, by OID of the columns' type on the source.
 * @param passing types that rows have and no column has any more
 */
export async function madeFirst(
  db: Databases,
  { mirrored, source, target }: Tables,
  passing: readonly TypeOfRows[] = [],
): Promise<MadeFirst> {
  const columns = [...source.columns.filter((each) => isLacking(each, { mirrored, target })), ...bare(source, passing)];
  const found = new Map<number, readonly string[]>();
  for (const oid of new Set(columns.map(({ type }) => type.oid))) {
    const of = columns.filter(({ type }) => type.oid === oid);
    const needs = await columnNeeds(db, { mirrored, table: source, columns: of, as: new Map() });
    if (needs.before.length > 0)
      found.set(
        oid,
        needs.before.map(({ text }) => text),
      );
  }
  return found;
}

function isLacking({ name, type, collation }: Column, { mirrored, target }: Omit<Tables, 'source'>): boolean {
  const isOwn = collation !== null && collation.schema !== 'pg_catalog';
  if (mirrored.exclude.includes(name) || (isBuiltin(type.oid) && !isOwn)) return false;
  return !target.columns.some((each) => each.name === name && sameType(each.type.text, type.text));
}

// Nothing is known of such a column but its type; its name is no column's.
function bare({ columns: [column, ...rest] }: Table, types: readonly TypeOfRows[]): readonly Column[] {
  const all = [column, ...rest];
  return types.flatMap((type): Column[] => {
    if (column === undefined || isBuiltin(type.oid) || all.some((each) => each?.type.oid === type.oid)) return [];
    const nothing = { default: null, identity: '', generated: '', collation: null, notNull: false } as const;
    return [{ ...column, ...nothing, name: '', attnum: 0, type: { ...column.type, ...type } }];
  });
}

/**
 * As agree; what a person is told to run makes what is lacking first.
 * @returns null: it does not fit, and `mayFail`
 */
export async function agreeTelling(db: Databases, sides: Sides, mayFail: boolean): Promise<Agreement | null> {
  let agreed: Agreement;
  try {
    agreed = agree(sides);
    if (agreed.notes.length === 0) return agreed;
  } catch (error) {
    if (!(error instanceof SluiceError) || error.kind !== 'wrong_state') throw error;
    if (mayFail) return null;
  }
  const passing = sides.relation.columns.map(({ type: oid }, i) => ({ oid, text: sides.types[i] ?? '' }));
  return agree({ ...sides, makes: await madeFirst(db, sides, passing) });
}
