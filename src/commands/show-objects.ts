// The ledger as SHOW MIRROR tells it: counts, what is being built, and by name what has failed, waits or was left out.
import type { Connection } from '../pg/client.ts';
import { literal, sql, trusted } from '../pg/sql.ts';
import { grouped } from './words.ts';

/** An object, or several of one kind of which the same is to be said. */
export interface ObjectFacts {
  readonly kind: string;
  readonly name: string;
  readonly source_table: string | null;
  /** How many there are, and the names of the first. */
  readonly number: string;
  readonly names: readonly string[];
  readonly state: string;
  readonly reason: string | null;
  readonly sqlstate: string | null;
  readonly doing: string | null;
  readonly percent: number | null;
}

// What one screen can bear; the view has them all.
const mostObjects = 50;
// So many of a kind of which the same is to be said are told one by one.
const mostAlike = 3;

/** Rows for SHOW MIRROR; none before there is a ledger. */
export async function objectRows(db: Connection, mirror: string): Promise<[string, string][]> {
  const counts = await db.query<{ state: string; number: string }>(
    sql`select state, count(*) as number from sluice.objects where mirror = ${mirror} group by state`,
  );
  if (counts.length === 0) return [];
  // One that waits is told if something keeps it; the others are only not begun.
  const named = await db.query<ObjectFacts & { readonly lines: string }>(sql`
    with told as (select *, concat_ws(' of ', name, source_table) as called,
        count(*) over (partition by kind, state, reason, sqlstate) > ${mostAlike} and state <> 'making' as alike
      from sluice.objects where mirror = ${mirror}
        and (state in ('failed', 'making', 'left_out') or state = 'waiting' and reason is not null))
    select kind, min(name) as name, min(source_table) as source_table, state, reason, sqlstate, doing, percent,
      count(*) as number, to_json((array_agg(called order by called))[1:${trusted(String(mostAlike))}]) as names, count(*) over () as lines
    from told group by kind, state, reason, sqlstate, doing, percent, case when alike then '' else schema || ' ' || called end
    order by array_position(array['failed', 'making', 'waiting', 'left_out'], state), min(source_table), kind, min(name)
    limit ${mostObjects}`);
  const more = Number(named[0]?.lines ?? 0) - named.length;
  return [
    ['objects', countsLine(counts)],
    ...named.map((object): [string, string] => [label(object), objectLine(object)]),
    ...(more > 0 ? [['objects not shown', `${more}; select * from sluice.objects has them`] as [string, string]] : []),
    ...(await scriptRow(db, mirror)),
  ];
}

// What a person can do about all of these at once.
async function scriptRow(db: Connection, mirror: string): Promise<[string, string][]> {
  const { now, then } = await db.one<{ now: string; then: string }>(sql`
    select count(*) filter (where due = 'now') as now, count(*) filter (where due = 'change_over') as then
    from sluice.script where mirror = ${mirror} and step > 0`);
  if (now === '0' && then === '0') return [];
  const counts = [
    ...(now === '0' ? [] : [`${grouped(now)} now`]),
    ...(then === '0' ? [] : [`${grouped(then)} at the change-over`]),
  ];
  const query = `SELECT text FROM sluice.script WHERE mirror = ${literal(mirror).text} ORDER BY step`;
  return [['for an administrator', `${counts.join(', ')}: ${query}`]];
}

/** `1,204 created, 2 left out, 1 failed`. Pure. */
export function countsLine(counts: readonly { readonly state: string; readonly number: string }[]): string {
  const order = ['waiting', 'making', 'created', 'existed', 'left_out', 'failed'];
  return order
    .flatMap((state) => counts.filter((each) => each.state === state))
    .map(({ state, number }) => `${grouped(number)} ${state.replace('_', ' ')}`)
    .join(', ');
}

function label({ kind, name, source_table: table, number }: ObjectFacts): string {
  if (number !== '1') return `${kind} of ${grouped(number)} objects`;
  return table === null ? `${kind} ${name}` : `${kind} ${name} of ${table}`;
}

/** `failed: relation "x" does not exist (SQLSTATE 42P01)`. Pure. */
export function objectLine({ state, reason, sqlstate, doing, percent, number, names }: ObjectFacts): string {
  if (state === 'making') {
    const far = percent === null ? '' : `, ${percent} %`;
    return doing === null ? 'being made' : `being made: ${doing}${far}`;
  }
  const code = sqlstate === null ? '' : ` (SQLSTATE ${sqlstate})`;
  const word = state === 'waiting' ? 'waits for the change-over' : state.replace('_', ' ');
  const which =
    number === '1' ? '' : ` (${names.join(', ')} and ${grouped(String(Number(number) - names.length))} more)`;
  return `${word}: ${reason ?? ''}${code}${which}`;
}
