// Triggers of tables and views, event triggers and rules, as their server prints them, and in which sessions they fire.
import type { Connection } from '../../pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { showTable, type TableName } from '../../pg/table.ts';
import { type Circumstances, type Entity, entity, type Verdict } from './entity.ts';
import { isUsers, notTheirs, type ServerFacts } from './facts.ts';

/** When one fires: O in ordinary sessions, R in those that apply what another server did (ours), A in all, D in none. */
type Firing = 'O' | 'R' | 'A' | 'D';

const firingWords = { O: 'enable', R: 'enable replica', A: 'enable always', D: 'disable' } as const;

// Rows are written into tables only; a view or a foreign table is nothing that a mirror writes to.
function isWritten(relkind: string): boolean {
  return relkind === 'r' || relkind === 'p';
}

function isHeld({ follows, target }: Circumstances, what: string): Verdict | null {
  if (!follows || target.replicaRole) return null;
  return { hold: `${what} would fire for mirrored rows: our role may not set session_replication_role on the target` };
}

interface Bound extends TableName {
  readonly id: string;
  readonly relation: string;
  readonly relkind: string;
  readonly state: Firing;
  /** Columns of the relation that it names. */
  readonly columns: readonly string[];
}

interface TriggerRow extends Bound {
  readonly trigger: string;
  readonly definition: string;
  /** Of a partition, made with its parent's: the parent's state, and the ids of all above it up to the one that is made. */
  readonly parentState: Firing | null;
  readonly above: readonly string[];
}

export async function readTriggers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_trigger')) return [];
  // One that stands behind a foreign key or a deferrable key is made with that; one of a partition with its parent's, if that is
  // mirrored too.
  const rows = await db.query<TriggerRow>(sql`
    select 'pg_trigger:' || t.oid as id, 'pg_class:' || c.oid as relation, n.nspname::text as schema, c.relname::text as name,
      c.relkind::text as relkind, t.tgname::text as trigger, pg_catalog.pg_get_triggerdef(t.oid) as definition,
      t.tgenabled::text as state, p.tgenabled::text as "parentState",
      (with recursive up(oid) as (select t.tgparentid union all
          select a.tgparentid from up join pg_catalog.pg_trigger a on a.oid = up.oid where a.tgparentid <> 0)
        select coalesce(pg_catalog.json_agg('pg_trigger:' || up.oid), '[]') from up where up.oid <> 0) as above,
      (select coalesce(pg_catalog.json_agg(distinct a.attname), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and (a.attnum = any(t.tgattr) or exists (
          select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
            and d.objid = t.oid and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.refobjid = c.oid and d.refobjsubid = a.attnum))) as columns
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_trigger p on p.oid = t.tgparentid
    where (not t.tgisinternal or t.tgparentid <> 0) and ${isUsers(facts, 'pg_class', 'c', 'n')}
      and not exists (select from pg_catalog.pg_constraint k where k.oid = t.tgconstraint and k.contype <> 't')
    order by n.nspname, c.relname, t.tgname`);
  return rows.flatMap((row) => {
    const { relation: id, above } = row;
    if (above.length === 0) return triggerEntities(row);
    const apart = triggerEntities(row).map((each) => ({ ...each, partition: { id, above, alone: true } }));
    if (row.state === row.parentState) return apart;
    // What is said of a partitioned table holds for its partitions, until something else is said of these.
    return [...apart, { ...stateEntity(row, withState(above)), partition: { id, above, alone: false } }];
  });
}

/** Ids of triggers and of what is said of each. */
export function withState(triggers: readonly string[]): readonly string[] {
  return triggers.flatMap((id) => [id, `${id}:state`]);
}

// One that fires for applied rows is made at once, so that whatever keeps it from being made shows early, but without firing.
function triggerEntities(row: TriggerRow): readonly Entity[] {
  const { id, schema, name, trigger, definition, state, relkind, columns } = row;
  const quiet = isWritten(relkind) && state !== 'O' ? [fire(row, 'D')] : [];
  const made = entity({
    ...{ id, kind: 'trigger', schema, name: trigger, table: showTable({ schema, name }), columns, stage: 'triggers' },
    statements: [[trusted(definition), ...(isWritten(relkind) ? quiet : state === 'O' ? [] : [fire(row, state)])]],
    definition,
    needs: [row.relation],
    verdict: (all) => (isWritten(relkind) && state === 'O' ? isHeld(all, 'it') : null),
  });
  return isWritten(relkind) && state !== 'O' ? [made, stateEntity(row, [id])] : [made];
}

function fire({ schema, name, trigger, relkind }: TriggerRow, state: Firing): Sql {
  const table = relkind === 'f' ? sql`foreign table` : sql`table`;
  return sql`alter ${table} ${ident(schema, name)} ${trusted(firingWords[state])} trigger ${ident(trigger)}`;
}

function stateEntity(row: TriggerRow, needs: readonly string[]): Entity {
  const { id, schema, name, trigger, state, relkind } = row;
  const held = isWritten(relkind) && (state === 'R' || state === 'A');
  return entity({
    ...{ id: `${id}:state`, kind: 'setting', schema, name: `trigger ${trigger}`, table: showTable({ schema, name }) },
    ...{ stage: 'triggers', needs: [...needs, row.relation] },
    statements: [[fire(row, state)]],
    definition: firingWords[state],
    mend: () => [[fire(row, state)]],
    verdict: (all) => {
      if (!all.follows) return null;
      if (held) return { hold: `the trigger is disabled: ${firingWords[state]} has it fire for mirrored rows` };
      return state === 'O' ? isHeld(all, 'the trigger') : null;
    },
  });
}

interface EventTriggerRow {
  readonly id: string;
  readonly name: string;
  readonly event: string;
  readonly tags: readonly string[] | null;
  readonly function: string;
  readonly state: Firing;
}

/** https://www.postgresql.org/docs/18/catalog-pg-event-trigger.html */
export async function readEventTriggers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_event_trigger')) return [];
  const rows = await db.query<EventTriggerRow>(sql`
    select 'pg_event_trigger:' || e.oid as id, e.evtname::text as name, e.evtevent::text as event,
      pg_catalog.to_json(e.evttags) as tags, e.evtenabled::text as state,
      pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) as function
    from pg_catalog.pg_event_trigger e join pg_catalog.pg_proc p on p.oid = e.evtfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where ${isUsers(facts, 'pg_event_trigger', 'e')} and ${notTheirs(facts, 'n')} order by e.evtname`);
  return rows.flatMap(eventTriggerEntities);
}

// Statements of ours on the target, and our logging in, are events like any other: it is made disabled.
function eventTriggerEntities(row: EventTriggerRow): readonly Entity[] {
  const { id, name, event, tags, state } = row;
  const when = tags === null ? sql`` : sql` when tag in (${join(tags.map(literal))})`;
  const create = sql`create event trigger ${ident(name)} on ${trusted(event)}${when} execute function ${trusted(row.function)}()`;
  const set = (to: Firing) => sql`alter event trigger ${ident(name)} ${trusted(firingWords[to])}`;
  const stage = 'event triggers';
  const made = entity({
    ...{ id, kind: 'event trigger', name, stage, definition: create.text },
    statements: [[create, set('D')]],
    since: event === 'login' ? [170_000, 'it is fired by logging in'] : undefined,
  });
  const enabled = entity({
    ...{ id: `${id}:state`, kind: 'setting', name: `event trigger ${name}`, stage, needs: [id] },
    statements: [[set(state)]],
    definition: firingWords[state],
    mend: () => [[set(state)]],
    verdict: ({ follows }) =>
      follows && state !== 'D'
        ? { hold: 'the event trigger is disabled: it would fire for what the mirror does' }
        : null,
  });
  return [made, enabled];
}

interface RuleRow extends Bound {
  readonly rule: string;
  readonly definition: string;
  /** ev_type: 2 update, 3 insert, 4 delete. */
  readonly event: string;
}

/** Rules of tables. */
export async function readRules(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('rules')) return [];
  const rows = await db.query<RuleRow>(sql`
    select 'pg_rewrite:' || r.oid as id, 'pg_class:' || c.oid as relation, n.nspname::text as schema, c.relname::text as name,
      c.relkind::text as relkind, r.rulename::text as rule, pg_catalog.pg_get_ruledef(r.oid) as definition,
      r.ev_type::text as event, r.ev_enabled::text as state,
      (select coalesce(pg_catalog.json_agg(distinct a.attname), '[]') from pg_catalog.pg_depend d
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid and d.refobjid = c.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0) as columns
    from pg_catalog.pg_rewrite r
    join pg_catalog.pg_class c on c.oid = r.ev_class join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where r.rulename <> '_RETURN' and c.relkind <> 'v' and ${isUsers(facts, 'pg_class', 'c', 'n')}
    order by n.nspname, c.relname, r.rulename`);
  return rows.map(ruleEntity);
}

function ruleEntity(row: RuleRow): Entity {
  const { id, schema, name, rule, definition, state, relkind, columns, event } = row;
  const set = sql`alter table ${ident(schema, name)} ${trusted(firingWords[state])} rule ${ident(rule)}`;
  return entity({
    ...{ id, kind: 'rule', schema, name: rule, table: showTable({ schema, name }), columns, stage: 'rules' },
    statements: [[trusted(definition.replace(/;$/, '')), ...(state === 'O' ? [] : [set])]],
    definition: `${definition} ${firingWords[state]}`,
    needs: [row.relation],
    verdict: (all) => {
      if (!all.follows || !isWritten(relkind)) return null;
      if (state === 'A' || state === 'R')
        return { hold: `it would be at work for mirrored rows: ${firingWords[state]}` };
      // Wherever it fires: https://www.postgresql.org/docs/18/sql-insert.html#SQL-ON-CONFLICT
      if (event === '2')
        return { hold: 'a table with a rule on UPDATE takes no INSERT … ON CONFLICT, which we may need' };
      return state === 'D' ? null : isHeld(all, 'it');
    },
  });
}
