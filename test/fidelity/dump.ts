// What pg_dump prints of a database's schema, object by object, to compare two of them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from '../clients/installed.ts';
import { runProgram } from '../support/gateway.ts';
import type { TestDatabase } from '../support/servers.ts';

/** An object as pg_dump heads it: `-- Name: t_pkey; Type: CONSTRAINT; Schema: public; Owner: -`. */
export interface DumpedObject {
  readonly type: string;
  readonly schema: string;
  readonly name: string;
  readonly text: string;
}

const wanted = 18;

/** The client of PostgreSQL 18, where there is one: an older one does not dump the servers of these tests. */
export const pgDump: string | undefined = [
  join(cache, 'python/embedded_postgres/pginstall/bin/pg_dump'),
  ...(existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((major) => `/usr/lib/postgresql/${major}/bin/pg_dump`)
    : []),
  'pg_dump',
].find((program) => {
  const { stdout, status } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 && Number(/\b(\d+)\./.exec(stdout)?.[1]) >= wanted;
});

/** `pg_dump --schema-only` without owners, and without what is ours. */
export async function dumpSchema(db: TestDatabase): Promise<string> {
  const { host, port, user, password, database } = db;
  const done = await runProgram(pgDump ?? 'pg_dump', {
    args: ['--schema-only', '--no-owner', '--exclude-schema=_sluice'],
    env: { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database },
  });
  if (done.code !== 0) throw new Error(`pg_dump of ${database}: ${done.stderr}`);
  // The key that it draws for each dump of its own.
  return done.stdout.replaceAll(/^\\(un)?restrict .*$/gm, '');
}

const header = /^--\n-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: .*\n--\n/gm;

/** The objects of a dump by type, schema and name; several of one name are one, as their order does not count. */
export function objectsOf(dump: string): ReadonlyMap<string, DumpedObject> {
  const found = new Map<string, DumpedObject>();
  const heads = [...dump.matchAll(header)];
  // What is set before an object holds for all that follow.
  const set = new Map<string, string>();
  const strip = (text: string) =>
    text.replaceAll(
      /^SET (default_\w+) = (.*);$|^-- PostgreSQL database dump complete$|^-- \*not\* creating schema.*$|^--$/gm,
      (_, name, value) => {
        if (name !== undefined) set.set(name, value);
        return '';
      },
    );
  strip(dump.slice(0, heads[0]?.index));
  for (const [i, head] of heads.entries()) {
    const [whole, name = '', type = '', schema = ''] = head;
    const place = [...(placed[type] ?? [])].flatMap((setting) => {
      const value = set.get(`default_${setting}`) ?? "''";
      return value === "''" || value === 'heap' ? [] : [`-- ${setting} ${value}\n`];
    });
    const body = strip(dump.slice((head.index ?? 0) + whole.length, heads[i + 1]?.index)).trim();
    // Rights come in the order in which they were given.
    const text = place.join('') + (type.endsWith('ACL') ? body.split('\n').toSorted().join('\n') : body);
    const key = keyOf({ type, schema, name });
    const before = found.get(key);
    const together = before === undefined ? text : [before.text, text].toSorted().join('\n');
    found.set(key, { type, schema: schema === '-' ? '' : schema, name, text: together });
  }
  return found;
}

const placed: Readonly<Record<string, readonly string[]>> = {
  TABLE: ['table_access_method', 'tablespace'],
  'MATERIALIZED VIEW': ['table_access_method', 'tablespace'],
  INDEX: ['tablespace'],
  CONSTRAINT: ['tablespace'],
};

/** A key for maps. */
export function keyOf({ type, schema, name }: Omit<DumpedObject, 'text'>): string {
  return `${type} ${schema === '-' || schema === '' ? '' : `${schema}.`}${name}`;
}

/** The parts of a dump as they can be said to a server one after another: its settings, then object by object. */
export function restorable(dump: string): readonly string[] {
  const starts = [...dump.matchAll(header)].map((head) => head.index ?? 0);
  return [0, ...starts].map((start, i) => dump.slice(start, starts[i]).replaceAll(/^\\.*$/gm, ''));
}
