// What every commit of the model's source keeps, read on the target as one moment of it: broken, half a transaction is there.
import type { Connection } from '../../src/pg/client.ts';
import { trusted } from '../../src/pg/sql.ts';
import { type ModelTable, own } from './tables.ts';

/** Each question has one answer at every commit. */
export interface Promises {
  readonly [name: string]: string;
}

// TRUNCATE takes rows away from those who look at an older moment, too: so these are locked before the moment is chosen.
const locked = (plain: readonly ModelTable[]) =>
  ['tally', 'events', 'log', 'left_twin', 'right_twin', 'orders', 'lines', 'regions', ...plain.map(({ name }) => name)]
    .map((name) => `model.${name}`)
    .join(', ');

/** What must be answered. `total`: of all amounts when the model began. */
export function promised(total: string): Promises {
  return {
    'sum of all amounts': total,
    'events less those counted': '0',
    'logged less those counted': '0',
    'twins that differ': '0',
    'orders and lines that refer to nothing': '0',
    'rows with a wrong generated value': '0',
    'rows that the filter leaves out': '0',
  };
}

/** The sum of all amounts, on either side. */
export function totalText(plain: readonly ModelTable[]): string {
  const tables = [...plain.filter(({ apart }) => !apart).map(own), 'purse', 'regions', 'orders', 'lines'];
  const sums = tables.map((table) => {
    const [only, name] = table.startsWith('only ') ? ['only ', table.slice(5)] : ['', table];
    // Rows of heirs are counted with the heirs.
    return `(select coalesce(sum(amount), 0) from ${only}model.${name})`;
  });
  return `(${sums.join(' + ')})::text`;
}

/** Reads the answers in one transaction; null: somebody else's locks were in the way. */
export async function readPromises(db: Connection, plain: readonly ModelTable[]): Promise<Promises | null> {
  const text = `select ${totalText(plain)} as "sum of all amounts",
    ((select count(*) from model.events) - (select sum(events) from model.tally))::text as "events less those counted",
    ((select count(*) from model.log) - (select sum(logged) from model.tally))::text as "logged less those counted",
    (select count(*) from model.left_twin l full join model.right_twin r on r.id = l.id where l.v is distinct from r.v)::text as "twins that differ",
    ((select count(*) from model.lines l where not exists (select from model.orders o where o.id = l.order_id))
      + (select count(*) from model.orders o where first_line is not null and not exists (select from model.lines l where l.id = o.first_line)))::text
      as "orders and lines that refer to nothing",
    (select count(*) from model.computed where doubled is distinct from a * 2)::text as "rows with a wrong generated value",
    (select count(*) from model.filtered where not visible)::text as "rows that the filter leaves out"`;
  try {
    await db.run(
      trusted(`begin isolation level repeatable read read only; lock table ${locked(plain)} in access share mode`),
    );
    const [answers] = await db.query<Promises>(trusted(text));
    await db.run(trusted('commit'));
    return answers ?? null;
  } catch (error) {
    // Locks of it would keep the mirror waiting for ever.
    await db.run(trusted('rollback'));
    if (!['55P03', '40P01'].includes((error as { sqlstate?: string }).sqlstate ?? '')) throw error;
    return null;
  }
}
