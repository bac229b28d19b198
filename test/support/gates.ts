// Gates on a target: places where our own statements wait until a test lets them pass, so that it can kill at just that line.
import type { Connection } from '../../src/pg/client.ts';
import { literal, sql, trusted } from '../../src/pg/sql.ts';
import { until } from './wait.ts';

/** Where a session can be held up; the number is the key of an advisory lock. */
const gateKeys = {
  /** at CREATE TABLE, while the target is prepared */
  createTable: 101,
  /** at some row of a part, or of the stream's changes */
  row: 102,
  /** a part is copied and about to be written down; two others are there, or as many as partAfter says */
  part: 103,
  /** every part of a table is there, which is about to be written down */
  copiedTable: 104,
  /** at ALTER TABLE: primary keys after the load */
  alterTable: 105,
  /** at CREATE INDEX: of identities before keys, of small tables with them */
  createIndex: 108,
  /** a batch is applied and its checkpoint about to be written */
  checkpoint: 106,
  /** inside COMMIT of a batch: it becomes durable, and nobody hears of it */
  commit: 107,
} as const;
export type Gate = keyof typeof gateKeys;

/** Gates of one target database. */
export interface Gates {
  /** Makes sessions wait at the gate from now on. */
  close(gate: Gate): Promise<void>;
  /** Lets them pass. */
  open(gate: Gate): Promise<void>;
  /** How many parts are written down before the gate "part" is there. */
  partAfter(parts: number): Promise<void>;
  /** How many parts were about to be written down, also those that never were. */
  partsTried(): Promise<number>;
  /** Returns when a session of ours waits there. */
  someoneWaitsAt(gate: Gate): Promise<void>;
  /** The same for several, where sizes decide which comes first. @returns at which of them */
  someoneWaitsAtOneOf(gates: readonly Gate[]): Promise<Gate>;
}

/**
 * Builds the gates into a database by event triggers, so that tables are gated as soon as they are made.
 * @param schema the schema of the mirrored tables
 * @param db a superuser's connection that nothing else uses
 */
export async function buildGates(db: Connection, schema: string): Promise<Gates> {
  await db.run(trusted(gatesDefinition(schema)));
  const key = (gate: Gate) => literal(gateKeys[gate]);
  const waits = async (gates: readonly Gate[]) =>
    await until(
      `someone waits at the gate "${gates.join('" or "')}"`,
      async () => {
        const rows = await db.query<{ key: number }>(sql`select objid::int as key from pg_catalog.pg_locks
          where locktype = 'advisory' and not granted and objid = any(${gates.map((gate) => gateKeys[gate])}::oid[])
            and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`);
        return gates.find((gate) => rows.some((row) => row.key === gateKeys[gate]));
      },
      60_000,
    );
  return {
    async close(gate) {
      await db.run(sql`select pg_catalog.pg_advisory_lock(${key(gate)})`);
    },
    async open(gate) {
      await db.run(sql`select pg_catalog.pg_advisory_unlock(${key(gate)})`);
    },
    async partAfter(parts) {
      await db.run(sql`update gates.part_after set n = ${parts}`);
    },
    async partsTried() {
      const { n } = await db.one<{ n: string }>(
        sql`select case when is_called then last_value else 0 end as n from gates.parts_tried`,
      );
      return Number(n);
    },
    async someoneWaitsAt(gate) {
      await waits([gate]);
    },
    someoneWaitsAtOneOf: waits,
  };
}

// The load sessions run with session_replication_role = replica, so every trigger is ENABLE ALWAYS.
function gatesDefinition(schema: string): string {
  const wait = (gate: Gate) => `perform pg_catalog.pg_advisory_xact_lock_shared(${gateKeys[gate]});`;
  return `
  create schema gates;
  create table gates.part_after as select 2 as n;
  create sequence gates.parts_tried;
  create function gates.at_row() returns trigger language plpgsql as $$
  begin
    if pg_catalog.random() < 0.01 then ${wait('row')} end if;
    return case when tg_op = 'DELETE' then old else new end;
  end $$;
  create function gates.at_part() returns trigger language plpgsql as $$
  begin
    perform pg_catalog.nextval('gates.parts_tried');
    if (select pg_catalog.count(*) from _sluice.parts) >= (select n from gates.part_after) then ${wait('part')} end if;
    return new;
  end $$;
  create function gates.at_copied_table() returns trigger language plpgsql as $$
  begin
    if new.finished then ${wait('copiedTable')} end if;
    return new;
  end $$;
  create function gates.at_checkpoint() returns trigger language plpgsql as $$
  begin
    if new.lsn is distinct from old.lsn then ${wait('checkpoint')} end if;
    return new;
  end $$;
  create function gates.at_commit() returns trigger language plpgsql as $$
  begin
    if new.lsn is distinct from old.lsn then ${wait('commit')} end if;
    return null;
  end $$;
  create function gates.before_ddl() returns event_trigger language plpgsql as $$
  begin
    case tg_tag
      when 'ALTER TABLE' then ${wait('alterTable')}
      when 'CREATE INDEX' then ${wait('createIndex')}
      else ${wait('createTable')}
    end case;
  end $$;
  create function gates.after_ddl() returns event_trigger language plpgsql as $$
  declare
    made record;
    gate record;
  begin
    for made in select c.oid::regclass as name, n.nspname as schema, c.relname, c.relkind
      from pg_catalog.pg_event_trigger_ddl_commands() d
        join pg_catalog.pg_class c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where d.command_tag = 'CREATE TABLE' and c.relkind = 'r'
    loop
      for gate in select * from (values
          ('${schema}', null, 'create trigger gate_row before insert or update or delete', 'gate_row', 'gates.at_row()'),
          ('_sluice', 'parts', 'create trigger gate_part before insert', 'gate_part', 'gates.at_part()'),
          ('_sluice', 'copied_tables', 'create trigger gate_table before update', 'gate_table', 'gates.at_copied_table()'),
          ('_sluice', 'checkpoints', 'create trigger gate_checkpoint before update', 'gate_checkpoint', 'gates.at_checkpoint()'),
          ('_sluice', 'checkpoints', 'create constraint trigger gate_commit after update', 'gate_commit', 'gates.at_commit()')
        ) as v (in_schema, only_table, head, name, function)
        where v.in_schema = made.schema and coalesce(v.only_table, made.relname) = made.relname
      loop
        execute pg_catalog.format('%s on %s %s for each row execute function %s', gate.head, made.name,
          case when gate.head like '%constraint%' then 'deferrable initially deferred' else '' end, gate.function);
        execute pg_catalog.format('alter table %s enable always trigger %I', made.name, gate.name);
      end loop;
    end loop;
  end $$;
  create event trigger gates_before_ddl on ddl_command_start when tag in ('ALTER TABLE', 'CREATE TABLE', 'CREATE INDEX')
    execute function gates.before_ddl();
  alter event trigger gates_before_ddl enable always;
  create event trigger gates_after_ddl on ddl_command_end when tag in ('CREATE TABLE') execute function gates.after_ddl();
  alter event trigger gates_after_ddl enable always`;
}
