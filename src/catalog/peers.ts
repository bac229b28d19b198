// Peers as the catalog keeps them: the options as they were given, sealed; the same without secrets, for people.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { WrittenOption } from '../base/options.ts';
import { type Peer, readPeerOptions, shownPeerOptions } from '../mirror/peer.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { type JournalEntry, writeJournal } from './journal.ts';
import type { Catalog } from './open.ts';
import type { Seal } from './seal.ts';

/** A peer with the options that it was made of. Holds secrets. */
export interface StoredPeer extends Peer {
  readonly options: readonly WrittenOption[];
  readonly createdBy: string;
  /** As PostgreSQL prints a timestamptz in UTC. */
  readonly createdAt: string;
  /** As createdAt; other text: it was altered. */
  readonly changedAt: string;
}

interface PeerRow {
  readonly id: string;
  readonly name: string;
  readonly sealed: string;
  readonly created_by: string;
  readonly created_at: string;
  readonly changed_at: string;
}

const columns = sql`id, name, encode(sealed, 'hex') as sealed, created_by, created_at::text as created_at,
  changed_at::text as changed_at`;

/** The peers of one catalog. Each change writes what was said into the journal, in the same transaction. */
export class PeerTable {
  readonly #catalog: Pick<Catalog, 'pool' | 'seal'>;

  constructor(catalog: Pick<Catalog, 'pool' | 'seal'>) {
    this.#catalog = catalog;
  }

  async find(name: string): Promise<StoredPeer | undefined> {
    const { pool, seal } = this.#catalog;
    const rows = await pool.use((db) =>
      db.query<PeerRow>(sql`select ${columns} from sluice_private.peers where name = ${name}`),
    );
    return rows[0] && opened(rows[0], seal);
  }

  async exists(name: string): Promise<boolean> {
    const rows = await this.#catalog.pool.use((db) =>
      db.query(sql`select 1 as found from sluice_private.peers where name = ${name}`),
    );
    return rows.length > 0;
  }

  /** Those of the ids that are there. */
  async findById(ids: readonly string[]): Promise<ReadonlyMap<string, StoredPeer>> {
    const { pool, seal } = this.#catalog;
    const rows = await pool.use((db) =>
      db.query<PeerRow>(sql`select ${columns} from sluice_private.peers where id = any(${ids}::uuid[])`),
    );
    return new Map(rows.map((row) => [row.id, opened(row, seal)]));
  }

  /** By name. */
  async list(): Promise<readonly StoredPeer[]> {
    const { pool, seal } = this.#catalog;
    const rows = await pool.use((db) =>
      db.query<PeerRow>(sql`select ${columns} from sluice_private.peers order by name`),
    );
    return rows.map((row) => opened(row, seal));
  }

  /** How many mirrors use each peer, by its id; a peer without any is left out. */
  async mirrorCounts(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#catalog.pool.use((db) =>
      db.query<{ id: string; mirrors: number }>(sql`select peer.id, count(*)::int as mirrors
        from sluice_private.peers peer join sluice_private.mirrors m on peer.id in (m.source_id, m.target_id)
        group by peer.id`),
    );
    return new Map(rows.map((row) => [row.id, row.mirrors]));
  }

  /** @throws `duplicate_object` */
  async insert(name: string, options: readonly WrittenOption[], said: JournalEntry): Promise<void> {
    const { pool, seal } = this.#catalog;
    const { sealed, shown } = closed(name, options, seal);
    await pool.transaction(async (db) => {
      const { rowCount } = await db.run(sql`insert into sluice_private.peers (name, sealed, shown, created_by)
        values (${name}, ${sealed}, ${shown}, ${said.by?.user ?? ''}) on conflict (name) do nothing`);
      if (rowCount === 0) throw new SluiceError('duplicate_object', `peer "${name}" already exists`);
      await writeJournal(db, [said]);
    });
  }

  /** Puts other options in place of the old. @throws `undefined_object` */
  async update(name: string, options: readonly WrittenOption[], said: JournalEntry): Promise<void> {
    const { pool, seal } = this.#catalog;
    const { sealed, shown } = closed(name, options, seal);
    await pool.transaction(async (db) => {
      const { rowCount } = await db.run(sql`update sluice_private.peers
        set sealed = ${sealed}, shown = ${shown}, changed_at = now() where name = ${name}`);
      if (rowCount === 0) throw noSuchPeer(name);
      // It answers now: what was in the way of its mirrors may be gone.
      await db.run(sql`update sluice_private.mirrors m set retries_asked = retries_asked + 1
        from sluice_private.peers p where p.name = ${name} and p.id in (m.source_id, m.target_id)
          and m.trouble is not null and m.phase <> 'dropped'`);
      await writeJournal(db, [said]);
    });
  }

  /** @throws `undefined_object`, `dependent_objects` naming the mirrors that use it */
  async remove(name: string, said: JournalEntry): Promise<void> {
    await this.#catalog.pool.transaction(async (db) => {
      const [peer] = await db.query<{ id: string }>(
        sql`select id from sluice_private.peers where name = ${name} for update`,
      );
      if (peer === undefined) throw noSuchPeer(name);
      const users = await mirrorsOf(db, peer.id);
      if (users.length > 0) {
        throw new SluiceError('dependent_objects', `peer "${name}" is used by mirrors`, {
          detail: `Mirrors: ${users.join(', ')}.`,
          hint: 'Drop them first.',
        });
      }
      await db.run(sql`delete from sluice_private.peers where id = ${peer.id}`);
      await writeJournal(db, [said]);
    });
  }
}

async function mirrorsOf(db: Connection, peerId: string): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(sql`select name from sluice_private.mirrors
    where ${peerId} in (source_id, target_id) order by name`);
  return rows.map((row) => row.name);
}

function noSuchPeer(name: string): SluiceError {
  return new SluiceError('undefined_object', `peer "${name}" does not exist`);
}

function opened(row: PeerRow, seal: Seal): StoredPeer {
  const text = seal.open(Buffer.from(row.sealed, 'hex'), `peer ${row.name}`);
  const options = JSON.parse(text) as readonly WrittenOption[];
  try {
    const config = readPeerOptions(options);
    const { id, name, created_by: createdBy, created_at: createdAt, changed_at: changedAt } = row;
    return { ...{ id, name, options, config }, createdBy, createdAt, changedAt };
  } catch (cause) {
    const { message, hint } = toSluiceError(cause);
    throw new SluiceError('invalid_option', `peer "${row.name}": ${message}`, { hint, cause });
  }
}

function closed(name: string, options: readonly WrittenOption[], seal: Seal): { sealed: Buffer; shown: string } {
  const kept = options.map((option) => ({ name: option.name, value: option.value }));
  const config = readPeerOptions(kept);
  const shown = Object.fromEntries(shownPeerOptions(kept, config).map(({ name: option, value }) => [option, value]));
  return { sealed: seal.seal(JSON.stringify(kept), `peer ${name}`), shown: JSON.stringify(shown) };
}
