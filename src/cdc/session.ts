// The beginning of following: what the target has, whether the slot still fits to it, and a stream from there.
import { SluiceError } from '../base/errors.ts';
import type { Spill } from '../base/spill.ts';
import { withTableChanges } from '../mirror/table-change.ts';
import { applicationName, type MirroredTable, type MirrorWork } from '../mirror/work.ts';
import { Applier } from '../peers/apply.ts';
import { CatchUp, type CatchUpOptions, mayCatchUp } from '../peers/catch-up.ts';
import { readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { ddlPrefix, ensureDdlCapture } from '../peers/ddl-capture.ts';
import { readFiles, withFiles } from '../peers/files.ts';
import { ensureKnownObjects } from '../peers/known-objects.ts';
import { cameFrom, databaseIdentity, originName } from '../peers/origin.ts';
import { readPublication } from '../peers/publication.ts';
import { ownFilters } from '../peers/publication-filter.ts';
import { ensureSchemaChanges } from '../peers/schema-changes.ts';
import {
  type Memory,
  type Remembered,
  readRemembered,
  remember,
  type Shape,
  shapeLeaves,
  shapeOf,
} from '../peers/shape.ts';
import type { SessionShelf } from '../peers/shelf.ts';
import { endWalsender } from '../peers/slot.ts';
import { type ChangeSource, ChangeStream } from '../peers/stream.ts';
import { StreamedTransactions } from '../peers/streamed.ts';
import { tellSchemaChanges } from '../peers/told-changes.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, laterLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';
import { type Inspection, inspectSides, mayBeBinary } from './inspection.ts';
import { RelationBook } from './relations.ts';
import type { CdcReport } from './report.ts';
import { agreeOnStart } from './start.ts';
import { Watcher } from './watch.ts';
import type { Readings } from './written.ts';

export interface Session {
  /** With the tables that it has by now. */
  readonly work: MirrorWork;
  readonly report: CdcReport;
  /** A plain connection to the source, for asking how far it is. */
  readonly source: Connection;
  readonly applier: Applier;
  readonly stream: ChangeSource;
  /** What came of transactions before their commit; null: nothing does. */
  readonly streamed: StreamedTransactions | null;
  readonly relations: RelationBook;
  readonly watcher: Watcher;
  /** Where the target stands. */
  readonly checkpoint: Lsn;
  /** The target is one consistent state from here on. */
  readonly consistentAt: Lsn;
  readonly version: number;
  /** Whether a table of the mirror has a row filter. */
  readonly filtered: boolean;
  /** Whether the origin of a transaction says that it came from the target. */
  readonly isEcho: (origin: string) => boolean;
}

export interface SessionDeps {
  readonly work: MirrorWork;
  readonly report: CdcReport;
  /** Do not ask for binary values, whatever the types are. */
  readonly text: boolean;
  /** Where large transactions wait for their commit; null: on the source. */
  readonly spill: Spill | null;
  /** A backlog of that much log is read in chunks first; 0: it comes in the stream. */
  readonly catchUpBytes: number;
  readonly catchUpStallMs?: number | undefined;
  readonly onChange: () => void;
  readonly readings: Readings;
  readonly sessions?: SessionShelf | undefined;
  /** Gets what must be closed, last first. */
  readonly defer: (cleanup: () => unknown) => void;
}

/** Opens everything. What was opened is handed to `defer`, also when it throws. @throws `slot_lost`, `fenced`, `wrong_state`, as connectPeer */
export async function openSession({ work: given, ...deps }: SessionDeps, signal: AbortSignal): Promise<Session> {
  const { report, defer } = deps;
  const slot = given.slot?.name;
  if (slot === undefined) throw new SluiceError('internal', 'a copy-only mirror has no stream');
  const watching = { application: applicationName('watch', given), from: deps.sessions };
  const source = await connectPeer(given.source, watching, signal);
  defer(() => source.close());
  const from = await databaseIdentity(source);
  const origin = from === null ? null : originName(given.id, from);
  const { version } = await source.one<{ version: number }>(
    sql`select pg_catalog.current_setting('server_version_num')::int as version`,
  );
  const streaming = { application: applicationName('stream', given), replication: 'database' } as const;
  // Beside the target's session, but only when what had the slot is gone: it may hold the last connection that the source allows.
  const replOpening = endWalsender(source, slot, signal).then(() => connectPeer(given.source, streaming, signal));
  defer(() => replOpening.then((opened) => opened.destroy()).catch(() => {}));
  replOpening.catch(() => {});
  const noteOnce = (message: string) => report.noteOnce(message);
  const applier = await Applier.open(
    { work: given, origin, note: noteOnce, sourceVersion: version, sessions: deps.sessions },
    signal,
  );
  defer(() => applier[Symbol.asyncDispose]());
  const repl = await replOpening;
  const checkpoint = await agreeOnStart({ work: given, source, repl, target: applier.connection, slot });
  applier.begin(checkpoint);
  await ensureSchemaChanges(applier.connection, given.target.metadataSchema);
  if (given.options.schema_changes === 'full') {
    await ensureDdlCapture(source, given);
    await ensureKnownObjects(applier.connection, given.target.metadataSchema);
  }
  const told = await tellSchemaChanges(applier.connection, given, report);
  const work = { ...given, tables: told.reduce(withTableChanges, given.tables) };
  const copied = await readCopiedTables(applier.connection, work);
  const inspection = await inspectSides(work, { source, target: applier.connection });
  const remembered = await rememberAll({ work, source, target: applier.connection, inspection });
  const { readings } = deps;
  const watcher = new Watcher(work, remembered, { readings, note: (message) => report.note(message) });
  await watcher.look({ source, target: applier.connection, reached: checkpoint });
  const filters = await ownFilters(source, work);
  const versions = [version, applier.version] as const;
  // The source decides about values in the form that people write them.
  const binary = !deps.text && filters.size === 0 && mayBeBinary(work, inspection, versions);
  const where = { slot, from: checkpoint, binary };
  const { stream, streamed } = await openChanges({ ...deps, ...where, work, source, repl }, signal);
  const shapes = new Map(
    [...remembered].flatMap(([name, { shape }]) => (shape === null ? [] : [[name, shape] as const])),
  );
  const { connection: target } = applier;
  const note = (message: string) => report.note(message);
  const published = await readPublication(source, work.publication.name);
  const byRoot = new Set(published?.viaRoot ? published.tables.map(showTable) : []);
  const relations = new RelationBook({
    byRoot,
    versions,
    work,
    binary,
    inspection,
    copied,
    shapes,
    filters,
    source,
    target,
    note,
  });
  const filtered = work.tables.some((table) => table.where !== null);
  const snapshots = [...copied.values()].map((table) => table.snapshotLsn ?? 0n);
  const consistentAt = snapshots.reduce((most, lsn) => laterLsn(most, lsn), 0n);
  const to = await databaseIdentity(target);
  const isEcho = (name: string) => to !== null && cameFrom(name, to);
  const positions = { checkpoint, consistentAt };
  return {
    work,
    report,
    source,
    applier,
    stream,
    streamed,
    relations,
    watcher,
    ...positions,
    version,
    filtered,
    isEcho,
  };
}

// By chunks while there is a backlog that is worth it, else by the stream.
async function openChanges(
  deps: Omit<SessionDeps, 'work'> & {
    readonly work: MirrorWork;
    readonly source: Connection;
    readonly repl: Connection;
    readonly slot: string;
    readonly from: Lsn;
    readonly binary: boolean;
  },
  signal: AbortSignal,
): Promise<Pick<Session, 'stream' | 'streamed'>> {
  const { work, repl, slot, from, binary, spill, onChange, defer } = deps;
  const where = { slot, publication: work.publication.name, from, binary, onChange };
  const onLeft = (why: string) =>
    void deps.report.note(`what waits on the source is left to the stream: ${why}`).catch(() => {});
  const options = { ...where, leastBytes: deps.catchUpBytes, onLeft, stallMs: deps.catchUpStallMs };
  const catchUp = (await mayCatchUp(deps.source, options)) ? await beginCatchUp(work, options, signal) : null;
  if (catchUp !== null) {
    defer(() => catchUp[Symbol.asyncDispose]());
    repl.destroy();
    await deps.report.note(
      'what waits on the source is read in chunks, over a temporary slot; then the stream is followed',
    );
    return { stream: catchUp, streamed: null };
  }
  const messagePrefix = work.options.schema_changes === 'full' ? ddlPrefix(work.id) : null;
  const streamed = spill === null ? null : new StreamedTransactions({ spill, messagePrefix, onKept: onChange });
  if (streamed !== null) defer(() => streamed[Symbol.asyncDispose]());
  const stream = await ChangeStream.start(repl, { ...where, blocks: streamed });
  defer(() => stream[Symbol.asyncDispose]());
  return { stream, streamed };
}

// Null: the source does not let us, or begins with what is for the stream.
async function beginCatchUp(
  { source, ...work }: MirrorWork,
  options: Omit<CatchUpOptions, 'connect'>,
  signal: AbortSignal,
): Promise<CatchUp | null> {
  const connect = (purpose: string) => connectPeer(source, { application: applicationName(purpose, work) }, signal);
  const reader = await connect('catch-up');
  const catchUp = await CatchUp.start(reader, { ...options, connect: () => connect('move slot') });
  if (catchUp === null) await reader.close();
  return catchUp;
}

// Where nothing is remembered (no copy was made, or an older version made it), what is there now is taken for agreed.
async function rememberAll(deps: {
  readonly work: MirrorWork;
  readonly source: Connection;
  readonly target: Connection;
  readonly inspection: Inspection;
}): Promise<ReadonlyMap<string, Remembered>> {
  const { work, source: db, target, inspection } = deps;
  const known = await readRemembered(target, work);
  const memories: Memory[] = [];
  const fileless = new Map<string, Shape>();
  for (const mirrored of work.tables) {
    const table = showTable(mirrored.from);
    const { source, target: there } = inspection.sides.get(table) ?? {};
    if (source === undefined || there === undefined) continue;
    const stored = known.get(table)?.shape ?? null;
    const shape = stored ?? shapeOf(mirrored, source, there);
    if (stored === null) memories.push({ table, shape, leaves: shapeLeaves(source) });
    const isMarked = shape.node != null && shape.columns.every(({ mark, dropped }) => dropped || mark !== undefined);
    if (!isMarked && isUnchanged(shape, source, mirrored)) fileless.set(table, shape);
  }
  const files = await readFiles(
    db,
    [...fileless.values()].map((shape) => shape.oid),
  );
  for (const [table, shape] of fileless) {
    const now = files.get(shape.oid);
    if (shape.node != null && shape.node !== now?.node) continue;
    memories.push({ ...memories.find((each) => each.table === table), table, shape: withFiles(shape, now) });
  }
  if (memories.length === 0) return known;
  await remember(target, work, [...new Map(memories.map((memory) => [memory.table, memory])).values()]);
  return await readRemembered(target, work);
}

// Whether the source's columns are those that were agreed on: then so are its rows.
function isUnchanged(shape: Shape, source: Table, { exclude }: MirroredTable): boolean {
  const text = (list: readonly { readonly attnum: number; readonly name: string; readonly type: string }[]) =>
    JSON.stringify(list.map(({ attnum, name, type }) => [attnum, name, type]));
  const own = source.columns.filter(({ name, generated }) => generated === '' && !exclude.includes(name));
  return (
    shape.oid === source.oid && text(own.map((each) => ({ ...each, type: each.type.text }))) === text(shape.columns)
  );
}
