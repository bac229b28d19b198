// Checks of two mirrors that face each other: rows must not be copied back, and changes not go in circles.
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { PeerFacts } from './checks.ts';
import { cameFrom, databaseIdentity, originOf } from './origin.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';

export interface BackFacts {
  /** Tables of the target that a mirror brings to the source. */
  readonly brought: readonly string[];
  /** Tables, wherever they are, that mirrors bring to the source without marking what they write. */
  readonly unmarked: readonly string[];
  /** Whether our role may mark what it writes to the target. */
  readonly mayMark: boolean;
  /** Whether somebody reads the target's changes. */
  readonly isFollowed: boolean;
}

interface Incoming {
  readonly id: string;
  readonly tables: readonly string[];
}

/** Looks at what mirrors write to the source, and what the target would let us do. */
export async function readBack(source: Connection, target: Connection): Promise<BackFacts> {
  const identity = await databaseIdentity(target);
  const incoming = await readIncoming(source);
  const origins = await source.query<{ name: string }>(
    sql`select roname as name from pg_catalog.pg_replication_origin where pg_catalog.starts_with(roname, 'sluice_')`,
  );
  const marks = incoming.map((mirror) => ({
    ...mirror,
    origins: origins.map(({ name }) => name).filter((name) => originOf(name, mirror.id)),
  }));
  const back = marks.filter((each) => each.origins.some((name) => identity !== null && cameFrom(name, identity)));
  const { may, followed } = await target.one<{ may: boolean; followed: boolean }>(sql`select
    (select pg_catalog.bool_and(pg_catalog.has_function_privilege(p.oid, 'execute')) from pg_catalog.pg_proc p
      where p.proname = any(${markFunctions}::text[]) and p.pronamespace = 'pg_catalog'::regnamespace) as may,
    exists (select from pg_catalog.pg_replication_slots
      where slot_type = 'logical' and database = pg_catalog.current_database()) as followed`);
  return {
    brought: back.flatMap((mirror) => mirror.tables),
    unmarked: marks.filter((each) => each.origins.length === 0).flatMap((mirror) => mirror.tables),
    mayMark: may,
    isFollowed: followed,
  };
}

const markFunctions = [
  'pg_replication_origin_create',
  'pg_replication_origin_session_setup',
  'pg_replication_origin_drop',
];

// Mirrors that follow, from what they remember on their target. Schemas that our role may not read are another's.
async function readIncoming(db: Connection): Promise<readonly Incoming[]> {
  const schemas = await db.query<{ name: string }>(sql`select n.nspname::text as name from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'mirror_id'
    where c.relname in ('checkpoints', 'copied_tables') and pg_catalog.has_schema_privilege(n.oid, 'usage')
      and pg_catalog.has_table_privilege(c.oid, 'select')
    group by 1 having count(*) = 2`);
  const found: Incoming[] = [];
  for (const { name } of schemas) {
    found.push(
      ...(await db.query<Incoming>(sql`select c.mirror_id::text as id,
          coalesce((select pg_catalog.json_agg(t.source_table) from ${ident(name, 'copied_tables')} t
            where t.mirror_id = c.mirror_id), '[]') as tables
        from ${ident(name, 'checkpoints')} c where c.lsn is not null`)),
    );
  }
  return found;
}

/** Pure. */
export function checkBack(plan: MirrorPlan, facts: BackFacts, target: Pick<PeerFacts, 'user'>): readonly Finding[] {
  if (plan.slot === null) return [];
  const check = 'mirror back';
  const onto = new Set(plan.tables.map(({ to }) => showTable(to)));
  const circle = facts.brought.filter((table) => onto.has(table));
  if (circle.length > 0 && plan.options.do_initial_copy) {
    return [
      problem(check, 'wrong_state', {
        message: `another mirror brings ${circle[0]} from the target to the source: it must not be copied back`,
        detail: `Tables: ${circle.join(', ')}.`,
        hint: 'The rows are on both sides already. Follow changes only: WITH (do_initial_copy = false).',
      }),
    ];
  }
  const grants = `GRANT EXECUTE ON FUNCTION ${markFunctions.map((name) => `${name}(text)`).join(', ')} TO`;
  const unmarked = facts.unmarked.filter((table) => onto.has(table));
  const findings: Finding[] = [];
  if (unmarked.length > 0) {
    findings.push(
      warning(check, 'a mirror writes to the source and does not mark what it writes', {
        detail: `Tables: ${unmarked.join(', ')}. If they come from this target, changes would go in circles.`,
        hint: `On the source run ${grants} its role; then PAUSE and RESUME that mirror.`,
      }),
    );
  }
  if (!facts.mayMark && facts.isFollowed) {
    findings.push(
      warning(check, 'our role may not mark what it writes to the target, and somebody reads its changes', {
        detail: 'A mirror from the target back to the source would send every change in circles.',
        hint: `${grants} ${ident(target.user).text};`,
      }),
    );
  }
  if (findings.length > 0) return findings;
  if (circle.length > 0) return [ok(check, `what a mirror brings from the target (${circle[0]}, …) is not sent back`)];
  return [
    ok(
      check,
      facts.mayMark ? 'what is written is marked, and not sent back' : 'nobody reads the changes of the target',
    ),
  ];
}
