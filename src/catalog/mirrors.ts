// Mirrors as the catalog keeps them: the wish, the phase and the trouble, each group of columns written by one side only.
import { randomInt } from 'node:crypto';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { type MirrorOptions, readMirrorOptions } from '../mirror/options.ts';
import { mayMove, type Phase, type Trouble, type Wanted } from '../mirror/phase.ts';
import type { MirroredTable, ObjectScope, SourceObject } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { type Sql, sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { type JournalEntry, writeJournal } from './journal.ts';

/** Something that a drop could not remove. */
export interface Leftover {
  /** Name of the peer. */
  readonly peer: string;
  readonly what: string;
  /** Removes it, said on that peer. */
  readonly statement: string;
}

/** One row of the catalog. */
export interface Mirror {
  readonly id: string;
  readonly name: string;
  /** Null once the mirror is dropped. */
  readonly sourceId: string | null;
  readonly targetId: string | null;
  readonly sourceName: string;
  readonly targetName: string;
  readonly kind: 'cdc' | 'copy';
  readonly options: MirrorOptions;
  readonly scope: ObjectScope;
  readonly publication: SourceObject;
  readonly slot: SourceObject | null;
  readonly wanted: Wanted;
  /** How often RESUME MIRROR asked to try again, and how much of that the runner has seen. */
  readonly retriesAsked: bigint;
  readonly retriesSeen: bigint;
  /** How often ALTER MIRROR … RETRY asked for objects that are missing, and how much of that the runner has done. */
  readonly objectsAsked: bigint;
  readonly objectsDone: bigint;
  readonly keepSlot: boolean;
  readonly phase: Phase;
  /** Grows with every owner. */
  readonly token: bigint;
  readonly working: boolean;
  readonly trouble: Trouble | null;
  readonly leftovers: readonly Leftover[];
}

/** What CREATE MIRROR writes down. */
export interface NewMirror {
  readonly id: string;
  readonly name: string;
  readonly sourceId: string;
  readonly targetId: string;
  readonly sourceName: string;
  readonly targetName: string;
  readonly kind: 'cdc' | 'copy';
  /** As it was said, secrets cut out. */
  readonly statement: string;
  readonly options: MirrorOptions;
  readonly tables: readonly MirroredTable[];
  readonly scope: ObjectScope;
  readonly publication: SourceObject;
  readonly slot: SourceObject | null;
  readonly by: { readonly user: string; readonly remote: string };
}

interface MirrorRow {
  readonly id: string;
  readonly name: string;
  readonly source_id: string | null;
  readonly target_id: string | null;
  readonly source_name: string;
  readonly target_name: string;
  readonly kind: 'cdc' | 'copy';
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly scope: ObjectScope;
  readonly publication: string;
  readonly publication_made: boolean;
  readonly slot: string | null;
  readonly slot_made: boolean;
  readonly wanted: Wanted;
  readonly retries_asked: string;
  readonly retries_seen: string;
  readonly objects_asked: string;
  readonly objects_done: string;
  readonly keep_slot: boolean;
  readonly phase: Phase;
  readonly token: string;
  readonly working: boolean;
  readonly trouble: (Omit<Trouble, 'retryAt' | 'since'> & { retryAt: string | null; since: string }) | null;
  readonly leftovers: readonly Leftover[];
}

const selected = sql`select id, name, source_id, target_id, source_name, target_name, kind, options, scope, publication,
  publication_made, slot, slot_made, wanted, retries_asked, retries_seen,
  objects_asked, objects_done, keep_slot, phase, token, working, trouble, leftovers from sluice_private.mirrors`;

async function select(db: Connection, condition: Sql): Promise<readonly Mirror[]> {
  return (await db.query<MirrorRow>(sql`${selected} ${condition}`)).map(mirrorOf);
}

function mirrorOf(row: MirrorRow): Mirror {
  return {
    id: row.id,
    name: row.name,
    sourceId: row.source_id,
    targetId: row.target_id,
    sourceName: row.source_name,
    targetName: row.target_name,
    kind: row.kind,
    options: readMirrorOptions(Object.entries(row.options).map(([name, value]) => ({ name, value }))),
    scope: row.scope,
    publication: { name: row.publication, made: row.publication_made },
    slot: row.slot === null ? null : { name: row.slot, made: row.slot_made },
    wanted: row.wanted,
    retriesAsked: BigInt(row.retries_asked),
    retriesSeen: BigInt(row.retries_seen),
    objectsAsked: BigInt(row.objects_asked),
    objectsDone: BigInt(row.objects_done),
    keepSlot: row.keep_slot,
    phase: row.phase,
    token: BigInt(row.token),
    working: row.working,
    trouble: row.trouble && {
      ...row.trouble,
      retryAt: row.trouble.retryAt === null ? null : new Date(row.trouble.retryAt),
      since: new Date(row.trouble.since),
    },
    leftovers: row.leftovers,
  };
}

/** The live mirror of that name. */
export async function findMirror(db: Connection, name: string): Promise<Mirror | undefined> {
  return (await select(db, sql`where name = ${name} and phase <> 'dropped'`))[0];
}

/** The same, and nobody else writes a wish for it until the caller's transaction ends. */
export async function lockMirror(db: Connection, name: string): Promise<Mirror | undefined> {
  return (await select(db, sql`where name = ${name} and phase <> 'dropped' for no key update`))[0];
}

/** The mirror of that id, dropped or not. @throws `undefined_object` */
export async function readMirror(db: Connection, id: string): Promise<Mirror> {
  const mirror = (await select(db, sql`where id = ${id}`))[0];
  if (mirror === undefined) throw new SluiceError('undefined_object', `mirror ${id} does not exist`);
  return mirror;
}

/** Every mirror that is not dropped, by name. */
export function liveMirrors(db: Connection): Promise<readonly Mirror[]> {
  return select(db, sql`where phase <> 'dropped' order by name`);
}

interface TableRow {
  readonly source_schema: string;
  readonly source_relation: string;
  readonly target_schema: string;
  readonly target_relation: string;
  readonly key_column: string | null;
  readonly excluded: readonly string[];
  readonly predicate: string | null;
}

/** A mirror's tables, in the order in which they were written. */
export async function readTables(db: Connection, mirrorId: string): Promise<readonly MirroredTable[]> {
  const rows = await db.query<TableRow>(sql`select source_schema, source_relation, target_schema, target_relation,
      key_column, excluded, predicate
    from sluice_private.mirror_tables where mirror_id = ${mirrorId} order by ordinal`);
  return rows.map((row) => ({
    from: { schema: row.source_schema, name: row.source_relation },
    to: { schema: row.target_schema, name: row.target_relation },
    key: row.key_column,
    exclude: row.excluded,
    where: row.predicate,
  }));
}

/**
 * Writes a mirror down, with its tables and a journal row; in the caller's transaction.
 * @throws `duplicate_object` for its name, `undefined_object` if a peer went meanwhile, `wrong_state` if another mirror
 *   writes one of the target tables
 */
export async function insertMirror(db: Connection, mirror: NewMirror): Promise<void> {
  // One at a time, so that two statements cannot both find a target table free.
  await db.run(sql`lock table sluice_private.mirrors in share row exclusive mode`);
  await refuseSharedTables(db, mirror);
  const { publication, slot, by } = mirror;
  try {
    await db.run(sql`insert into sluice_private.mirrors (id, name, source_id, target_id, source_name, target_name, kind,
        statement, options, scope, publication, publication_made, slot, slot_made, created_by, created_from)
      values (${mirror.id}, ${mirror.name}, ${mirror.sourceId}, ${mirror.targetId}, ${mirror.sourceName},
        ${mirror.targetName}, ${mirror.kind}, ${mirror.statement}, ${JSON.stringify(mirror.options)}, ${JSON.stringify(mirror.scope)}, ${publication.name},
        ${publication.made}, ${slot?.name ?? null}, ${slot?.made ?? false}, ${by.user}, ${by.remote})`);
  } catch (error) {
    throw insertError(error, mirror);
  }
  await insertTables(db, mirror);
}

async function insertTables(db: Connection, mirror: NewMirror): Promise<void> {
  const tables = mirror.tables.map((table, ordinal) => ({
    ordinal,
    source_table: showTable(table.from),
    target_table: showTable(table.to),
    source_schema: table.from.schema,
    source_relation: table.from.name,
    target_schema: table.to.schema,
    target_relation: table.to.name,
    key_column: table.key,
    excluded: table.exclude,
    predicate: table.where,
  }));
  await db.run(sql`insert into sluice_private.mirror_tables
    select ${mirror.id}, v.* from jsonb_to_recordset(${JSON.stringify(tables)}::jsonb) as v (ordinal integer,
      source_table text, target_table text, source_schema text, source_relation text, target_schema text,
      target_relation text, key_column text, excluded jsonb, predicate text)`);
  await db.run(sql`insert into sluice_private.table_progress (mirror_id, source_table)
    select mirror_id, source_table from sluice_private.mirror_tables where mirror_id = ${mirror.id}`);
}

async function refuseSharedTables(db: Connection, mirror: NewMirror): Promise<void> {
  const wanted = mirror.tables.map((table) => showTable(table.to));
  const taken = await db.query<{ name: string; target_table: string }>(sql`select m.name, t.target_table
    from sluice_private.mirrors m join sluice_private.mirror_tables t on t.mirror_id = m.id
    where m.target_id = ${mirror.targetId} and m.phase <> 'dropped' and m.name <> ${mirror.name}
      and t.target_table = any(${wanted}::text[]) order by 1, 2`);
  if (taken.length === 0) return;
  throw new SluiceError('wrong_state', 'another mirror writes the same tables of the target', {
    detail: taken.map((each) => `${each.target_table} is written by mirror "${each.name}".`).join(' '),
    hint: 'Map them to other names, or drop that mirror.',
  });
}

function insertError(error: unknown, mirror: NewMirror): unknown {
  const { sqlstate } = toSluiceError(error);
  if (sqlstate === '23505') {
    return new SluiceError('duplicate_object', `mirror "${mirror.name}" already exists`, { cause: error });
  }
  if (sqlstate === '23503') {
    return new SluiceError('undefined_object', 'a peer of the mirror was dropped meanwhile', { cause: error });
  }
  return error;
}

/** What people want of a mirror; only commands call this. */
export async function writeWish(
  db: Connection,
  id: string,
  wish: { readonly wanted: Wanted; readonly retry?: boolean; readonly keepSlot?: boolean },
): Promise<void> {
  await db.run(sql`update sluice_private.mirrors set wanted = ${wish.wanted}, wanted_at = now(),
      retries_asked = retries_asked + ${wish.retry ? 1 : 0},
      keep_slot = keep_slot or ${wish.keepSlot ?? false}
    where id = ${id}`);
}

/** Asks for the objects that are not on the target; only ALTER MIRROR … RETRY calls this. It ends a wait for a person, too. */
export async function askForObjects(db: Connection, id: string): Promise<void> {
  await db.run(sql`update sluice_private.mirrors set objects_asked = objects_asked + 1, retries_asked = retries_asked + 1
    where id = ${id}`);
}

/** What ALTER MIRROR … SET leaves of the options; only that calls this, with the mirror locked. */
export async function writeOptions(db: Connection, id: string, options: MirrorOptions): Promise<void> {
  await db.run(sql`update sluice_private.mirrors set options = ${JSON.stringify(options)} where id = ${id}`);
}

/** What the runner says of a mirror that it owns; every statement compares the owner's token. */
export interface Owned {
  readonly id: string;
  readonly name: string;
  readonly token: bigint;
}

/**
 * Makes us the owner: counts the token up, so that an earlier owner can write nothing more. Its low bits are drawn by lot: two
 * processes with copies of one catalog count alike, and must not come to the same.
 */
export async function takeMirror(db: Connection, id: string): Promise<Mirror> {
  await db.run(sql`update sluice_private.mirrors
    set token = (((greatest(token, token_met) >> ${tokenLotBits}) + 1) << ${tokenLotBits}) | ${randomInt(2 ** tokenLotBits)}::bigint,
      working = true where id = ${id}`);
  await countFromLastLook(db, id);
  return readMirror(db, id);
}

// While nobody follows, something may wait that nothing tells of: since the target was last seen to have everything, at most. What a
// stream or a look at the slot finds ends that.
async function countFromLastLook(db: Connection, id: string): Promise<void> {
  await db.run(sql`update sluice_private.positions set behind_since = coalesce(behind_since, observed_at)
    where mirror_id = ${id} and durable_lsn is not null`);
}

const tokenLotBits = 24;

/** A target knows a newer owner than ours, whom this catalog does not know: the next that we take is newer than that. */
export async function writeTokenMet(db: Connection, id: string, token: bigint): Promise<void> {
  await db.run(sql`update sluice_private.mirrors set token_met = greatest(token_met, ${token}) where id = ${id}`);
}

/**
 * Moves a mirror along an edge, with its row in the journal; trouble of the phase it leaves is over.
 * @throws `internal` for a move that is no edge, `fenced` if the mirror is not in `from` or another's
 */
export async function moveMirror(db: Connection, owned: Owned, move: { from: Phase; to: Phase }): Promise<void> {
  const { from, to } = move;
  if (!mayMove(from, to)) throw new SluiceError('internal', `no mirror moves from ${from} to ${to}`);
  await db.transaction(async () => {
    const { rowCount } = await db.run(sql`update sluice_private.mirrors
      set phase = ${to}, phase_since = now(), trouble = null
      where id = ${owned.id} and token = ${owned.token} and phase = ${from}`);
    if (rowCount === 0) throw lost(owned);
    await writeJournal(db, [{ event: 'phase', message: `${from} → ${to}`, mirror: owned, details: { from, to } }]);
  });
}

/** Ends a drop: the mirror becomes history, its peers are free, what is left is written down. @throws `fenced` */
export async function finishDrop(db: Connection, owned: Owned, leftovers: readonly Leftover[]): Promise<void> {
  await db.transaction(async () => {
    const { rowCount } = await db.run(sql`update sluice_private.mirrors
      set phase = 'dropped', phase_since = now(), trouble = null, working = false, source_id = null, target_id = null,
        leftovers = ${JSON.stringify(leftovers)}
      where id = ${owned.id} and token = ${owned.token} and phase = 'dropping'`);
    if (rowCount === 0) throw lost(owned);
    const left = leftovers.map(
      (each): JournalEntry => ({
        event: 'note',
        message: `left on peer "${each.peer}": ${each.what}`,
        mirror: owned,
        details: { statement: each.statement },
      }),
    );
    await writeJournal(db, [
      { event: 'phase', message: 'dropping → dropped', mirror: owned, details: { from: 'dropping', to: 'dropped' } },
      ...left,
    ]);
  });
}

/** Says whether a step is in flight, and why that changed; where none is, the lag counts on. @throws `fenced` */
export async function writeWorking(
  db: Connection,
  owned: Owned,
  working: boolean,
  entry?: JournalEntry,
): Promise<void> {
  await db.transaction(async () => {
    const { rowCount } = await db.run(sql`update sluice_private.mirrors set working = ${working}
      where id = ${owned.id} and token = ${owned.token}`);
    if (rowCount === 0) throw lost(owned);
    if (!working) await countFromLastLook(db, owned.id);
    if (entry !== undefined) await writeJournal(db, [entry]);
  });
}

/**
 * Writes what is in the way, or that nothing is any more. While something is, the lag counts on.
 * @param journal whether it is news; a retry that fails like the one before is not
 * @throws `fenced`
 */
export async function writeTrouble(
  db: Connection,
  owned: Owned,
  what: { readonly trouble: Trouble | null; readonly journal: boolean },
): Promise<void> {
  const { trouble } = what;
  const entry: JournalEntry =
    trouble === null
      ? { event: 'recovered', message: 'works again', mirror: owned }
      : { event: 'trouble', message: trouble.message, mirror: owned, details: { ...trouble } };
  await db.transaction(async () => {
    const { rowCount } = await db.run(sql`update sluice_private.mirrors
      set trouble = ${trouble === null ? null : JSON.stringify(trouble)}
      where id = ${owned.id} and token = ${owned.token}`);
    if (rowCount === 0) throw lost(owned);
    if (trouble !== null) await countFromLastLook(db, owned.id);
    if (what.journal) await writeJournal(db, [entry]);
  });
}

/**
 * Says that what RESUME asked for is being tried. Trouble that waited for a person waits no longer: whoever takes the mirror over, if
 * this process dies now, tries as well. @throws `fenced`
 */
export async function writeRetriesSeen(db: Connection, owned: Owned, seen: bigint): Promise<void> {
  const { rowCount } = await db.run(sql`update sluice_private.mirrors set retries_seen = ${seen},
      trouble = case when trouble ->> 'retryAt' is null then pg_catalog.jsonb_set(trouble, '{retryAt}', pg_catalog.to_jsonb(pg_catalog.now()))
        else trouble end
    where id = ${owned.id} and token = ${owned.token}`);
  if (rowCount === 0) throw lost(owned);
}

/** Says that what RETRY asked for was tried. @throws `fenced` */
export async function writeObjectsDone(db: Connection, owned: Owned, asked: bigint): Promise<void> {
  const { rowCount } = await db.run(sql`update sluice_private.mirrors set objects_done = ${asked}
    where id = ${owned.id} and token = ${owned.token}`);
  if (rowCount === 0) throw lost(owned);
}

function lost(owned: Owned): SluiceError {
  return new SluiceError('fenced', `mirror "${owned.name}" is not ours any more`, {
    detail: `Our token is ${owned.token}.`,
  });
}
