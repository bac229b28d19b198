// Brings a catalog to the schema of this program: numbered SQL files, each once, in order, under a lock.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { sql, trusted } from '../pg/sql.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  /** Of the text; a migration that was applied must never change. */
  readonly checksum: string;
}

// Any constant will do; it must only differ from the locks of mirrors, which are hashes.
const lockKey = 0x51_0c_e0_01n;

/** The migrations that this program brings, in order. */
export function ownMigrations(): readonly Migration[] {
  const folder = new URL('./migrations/', import.meta.url);
  return readdirSync(folder)
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .sort()
    .map((name) => migration(name, readFileSync(new URL(name, folder), 'utf8')));
}

/** A migration from its file's name (`0001_catalog.sql`) and text. */
export function migration(name: string, text: string): Migration {
  return { number: Number(name.slice(0, 4)), name, text, checksum: createHash('sha256').update(text).digest('hex') };
}

/**
 * Runs `work` while no other process prepares the same catalog.
 * @param db a connection to the catalog, in no transaction
 */
export async function withCatalogLock<T>(db: Connection, work: () => Promise<T>): Promise<T> {
  await db.run(sql`select pg_advisory_lock(${lockKey})`);
  try {
    return await work();
  } finally {
    if (!db.lost.aborted) await db.run(sql`select pg_advisory_unlock(${lockKey})`);
  }
}

/**
 * Applies what is missing; each file in a transaction of its own. Call it under `withCatalogLock`.
 * @throws `unsupported` if the catalog was made by a newer program, or an applied file has another text now
 */
export async function migrate(db: Connection, migrations: readonly Migration[]): Promise<void> {
  await db.run(sql`create schema if not exists sluice_migrations`);
  await db.run(sql`create table if not exists sluice_migrations.applied (
    number integer primary key, name text not null, checksum text not null, applied_at timestamptz not null default now())`);
  const applied = await db.query<{ number: number; name: string; checksum: string }>(
    sql`select number, name, checksum from sluice_migrations.applied order by number`,
  );
  const byNumber = new Map(migrations.map((each) => [each.number, each]));
  for (const { number, name, checksum } of applied) {
    const ours = byNumber.get(number);
    if (ours === undefined) {
      throw new SluiceError('unsupported', `the catalog was made by a newer Sluice (it has ${name})`, {
        hint: 'Start a version that is at least as new.',
      });
    }
    if (ours.checksum !== checksum) {
      throw new SluiceError('unsupported', `the catalog's ${name} is not the one of this Sluice`, {
        hint: 'Start the version that made the catalog, or another catalog.',
      });
    }
  }
  const there = new Set(applied.map((each) => each.number));
  for (const each of migrations.filter(({ number }) => !there.has(number))) {
    await db.transaction(async () => {
      await db.run(trusted(each.text));
      await db.run(sql`insert into sluice_migrations.applied (number, name, checksum)
        values (${each.number}, ${each.name}, ${each.checksum})`);
    });
  }
}
