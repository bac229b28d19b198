// What a target must hold that keeps deleted rows: a shadow of each table on the source, written row by row by triggers.
import { expect } from 'vitest';
import type { Following } from './following.ts';
import type { TestDatabase } from './servers.ts';

export interface KeptTable {
  readonly name: string;
  /** Columns that tell rows apart; empty: a row is its values. */
  readonly key: readonly string[];
}

const shadowing = `
create function shadow_mark(name text, key text, gone record) returns void language plpgsql as $$
begin
  if key = '' then
    execute format('update shadow_%1$s set "_PEERDB_IS_DELETED" = true where ctid = (select s.ctid from shadow_%1$s s
      where not s."_PEERDB_IS_DELETED" and (to_jsonb(s) - ''_PEERDB_IS_DELETED'') = to_jsonb($1) limit 1)', name) using gone;
  else
    execute format('update shadow_%1$s s set "_PEERDB_IS_DELETED" = true
      where row(%2$s) = row(%3$s) and not "_PEERDB_IS_DELETED"', name, key, replace('($1).' || key, ', ', ', ($1).')) using gone;
  end if;
end $$;
create function shadow() returns trigger language plpgsql as $$
declare
  name text := tg_argv[0];
  key text := tg_argv[1];
  theirs text := replace('($1).' || key, ', ', ', ($1).');
  same boolean := false;
begin
  if tg_op = 'TRUNCATE' then
    execute format('update shadow_%s set "_PEERDB_IS_DELETED" = true', name);
    return null;
  end if;
  if tg_op = 'UPDATE' and key <> '' then
    execute format('select row(%s) = row(%s)', theirs, replace(theirs, '$1', '$2')) into same using old, new;
  end if;
  if same then
    execute format('delete from shadow_%s where row(%s) = row(%s) and not "_PEERDB_IS_DELETED"', name, key, theirs) using old;
  elsif tg_op in ('UPDATE', 'DELETE') then
    perform shadow_mark(name, key, old);
  end if;
  if tg_op in ('UPDATE', 'INSERT') then
    if key <> '' then
      execute format('delete from shadow_%s where row(%s) = row(%s) and "_PEERDB_IS_DELETED"', name, key, theirs) using new;
    end if;
    execute format('insert into shadow_%s select ($1).*, false', name) using new;
  end if;
  return null;
end $$;`;

/** Makes the shadows, and gives the target's tables the columns that the mirror fills. */
export async function keepDeleted(f: Following, tables: readonly KeptTable[]): Promise<void> {
  await f.source.exec(shadowing);
  for (const { name, key } of tables) {
    await f.source.exec(`create table shadow_${name} as select *, false as "_PEERDB_IS_DELETED" from ${name};
      create trigger shadow after insert or update or delete on ${name} for each row execute function shadow('${name}', '${key.join(', ')}');
      create trigger shadow_all after truncate on ${name} for each statement execute function shadow('${name}', '${key.join(', ')}')`);
  }
  for (const name of [...tables.map((table) => table.name), 'mark']) {
    // Without defaults, as somebody else may have made them: a null is no mark.
    await f.target.exec(`alter table ${name} add "_PEERDB_IS_DELETED" boolean, add "_PEERDB_SYNCED_AT" timestamptz`);
  }
}

const rows = (db: TestDatabase, table: string) =>
  db.exec<{
    row: string;
  }>(`select row from (select row((to_jsonb(t) - '{_PEERDB_IS_DELETED,_PEERDB_SYNCED_AT}'::text[]),
    coalesce("_PEERDB_IS_DELETED", false))::text as row from ${table} t) r order by row collate "C"`);

/** Compares the target with the shadows, and what is not marked there with the source. */
export async function expectKept(f: Following, tables: readonly KeptTable[]): Promise<void> {
  for (const { name } of tables) {
    expect(await rows(f.target, name), name).toEqual(await rows(f.source, `shadow_${name}`));
  }
}
