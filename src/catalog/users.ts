// Further logins to the gateway as the catalog keeps them: a name, what it may do, and SCRAM verifiers in the password's place.
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { UserAccess } from '../sql/statement.ts';
import type { ScramVerifier } from '../wire/scram.ts';
import { type JournalEntry, writeJournal } from './journal.ts';
import type { Catalog } from './open.ts';

export interface StoredUser {
  readonly name: string;
  readonly access: UserAccess;
  readonly createdBy: string;
  /** As PostgreSQL prints a timestamptz in UTC. */
  readonly createdAt: string;
}

export interface UserChange {
  readonly access?: UserAccess | undefined;
  readonly verifier?: ScramVerifier | undefined;
}

/** The users of one catalog. Each change writes what was said into the journal, in the same transaction. */
export class UserTable {
  readonly #catalog: Pick<Catalog, 'pool' | 'seal'>;

  constructor(catalog: Pick<Catalog, 'pool' | 'seal'>) {
    this.#catalog = catalog;
  }

  /** By name. */
  async list(): Promise<readonly StoredUser[]> {
    return this.#catalog.pool.use((db) => readUsers(db));
  }

  /** What a login of that name is checked against; undefined: there is no such user. */
  async login(name: string): Promise<{ readonly verifier: ScramVerifier; readonly access: UserAccess } | undefined> {
    const { pool, seal } = this.#catalog;
    const [row] = await pool.use((db) =>
      db.query<{ sealed: string; access: UserAccess }>(
        sql`select encode(sealed, 'hex') as sealed, access from sluice_private.users where name = ${name}`,
      ),
    );
    if (row === undefined) return undefined;
    return { verifier: opened(seal.open(Buffer.from(row.sealed, 'hex'), `user ${name}`)), access: row.access };
  }

  /** @throws `duplicate_object` */
  async insert(
    name: string,
    user: { readonly access: UserAccess; readonly verifier: ScramVerifier },
    said: JournalEntry,
  ): Promise<void> {
    const { pool, seal } = this.#catalog;
    const sealed = seal.seal(closed(user.verifier), `user ${name}`);
    await pool.transaction(async (db) => {
      const { rowCount } = await db.run(sql`insert into sluice_private.users (name, access, sealed, created_by)
        values (${name}, ${user.access}, ${sealed}, ${said.by?.user ?? ''}) on conflict (name) do nothing`);
      if (rowCount === 0) throw new SluiceError('duplicate_object', `user "${name}" already exists`);
      await writeJournal(db, [said]);
    });
  }

  /** @throws `undefined_object` */
  async update(name: string, { access, verifier }: UserChange, said: JournalEntry): Promise<void> {
    const { pool, seal } = this.#catalog;
    const sealed = verifier === undefined ? null : seal.seal(closed(verifier), `user ${name}`);
    await pool.transaction(async (db) => {
      const { rowCount } = await db.run(sql`update sluice_private.users
        set access = coalesce(${access ?? null}, access), sealed = coalesce(${sealed}, sealed), changed_at = now()
        where name = ${name}`);
      if (rowCount === 0) throw noSuchUser(name);
      await writeJournal(db, [said]);
    });
  }

  /** @throws `undefined_object` */
  async remove(name: string, said: JournalEntry): Promise<void> {
    await this.#catalog.pool.transaction(async (db) => {
      const { rowCount } = await db.run(sql`delete from sluice_private.users where name = ${name}`);
      if (rowCount === 0) throw noSuchUser(name);
      await writeJournal(db, [said]);
    });
  }
}

/** All users, by name. */
export async function readUsers(db: Connection): Promise<readonly StoredUser[]> {
  return db.query<StoredUser>(sql`select name, access, created_by as "createdBy", created_at::text as "createdAt"
    from sluice_private.users order by name`);
}

function noSuchUser(name: string): SluiceError {
  return new SluiceError('undefined_object', `user "${name}" does not exist`);
}

function closed({ salt, iterations, keys }: ScramVerifier): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64');
  return JSON.stringify({
    salt: base64(salt),
    iterations,
    keys: keys.map(({ storedKey, serverKey }) => ({ storedKey: base64(storedKey), serverKey: base64(serverKey) })),
  });
}

function opened(text: string): ScramVerifier {
  const kept = JSON.parse(text) as {
    readonly salt: string;
    readonly iterations: number;
    readonly keys: readonly { readonly storedKey: string; readonly serverKey: string }[];
  };
  const bytes = (base64: string) => Buffer.from(base64, 'base64');
  return {
    salt: bytes(kept.salt),
    iterations: kept.iterations,
    keys: kept.keys.map(({ storedKey, serverKey }) => ({ storedKey: bytes(storedKey), serverKey: bytes(serverKey) })),
  };
}
