// The ledger as SHOW MIRROR tells it: counts, what is being built, and by name what has failed, waits or was left out.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { grouped } from './words.ts';

export interface ObjectFacts {
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  readonly source_table: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly sqlstate: string | null;
  readonly doing: string | null;
  readonly percent: number | null;
}

// What one screen can bear; the view has them all.
const mostObjects = 50;

/** Rows for SHOW MIRROR; none before there is a ledger. */
export async function objectRows(db: Connection, mirror: string): Promise<[string, string][]> {
  const counts = await db.query<{ state: string; number: string }>(
    sql`select state, count(*) as number from sluice.objects where mirror = ${mirror} group by state`,
  );
  if (counts.length === 0) return [];
  // One that waits is told if something keeps it; the others are only not begun.
  const named = await db.query<ObjectFacts & { readonly number: string }>(sql`
    select kind, schema, name, source_table, state, reason, sqlstate, doing, percent, count(*) over () as number
    from sluice.objects where mirror = ${mirror}
      and (state in ('failed', 'making', 'left_out') or state = 'waiting' and reason is not null)
    order by array_position(array['failed', 'making', 'waiting', 'left_out'], state), source_table, kind, name limit ${mostObjects}`);
  const more = Number(named[0]?.number ?? 0) - named.length;
  return [
    ['objects', countsLine(counts)],
    ...named.map((object): [string, string] => [label(object), objectLine(object)]),
    ...(more > 0 ? [['objects not shown', `${more}; select * from sluice.objects has them`] as [string, string]] : []),
  ];
}

/** `1,204 created, 2 left out, 1 failed`. Pure. */
export function countsLine(counts: readonly { readonly state: string; readonly number: string }[]): string {
  const order = ['waiting', 'making', 'created', 'existed', 'left_out', 'failed'];
  return order
    .flatMap((state) => counts.filter((each) => each.state === state))
    .map(({ state, number }) => `${grouped(number)} ${state.replace('_', ' ')}`)
    .join(', ');
}

function label({ kind, name, source_table: table }: ObjectFacts): string {
  return table === null ? `${kind} ${name}` : `${kind} ${name} of ${table}`;
}

/** `failed: relation "x" does not exist (SQLSTATE 42P01)`. Pure. */
export function objectLine({ state, reason, sqlstate, doing, percent }: ObjectFacts): string {
  if (state === 'making') {
    const far = percent === null ? '' : `, ${percent} %`;
    return doing === null ? 'being made' : `being made: ${doing}${far}`;
  }
  const code = sqlstate === null ? '' : ` (SQLSTATE ${sqlstate})`;
  const word = state === 'waiting' ? 'waits for the change-over' : state.replace('_', ' ');
  return `${word}: ${reason ?? ''}${code}`;
}
