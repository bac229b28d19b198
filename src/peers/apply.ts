// Writes pieces of the stream to the target: whole source transactions and the checkpoint in one target transaction.

import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Conflict } from '../mirror/conflict.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { applicationName } from '../mirror/work.ts';
import type { Versions } from '../pg/binary-form.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { FrameWriter } from './apply-frames.ts';
import { asExpected, type Expected, mergeFrames, pieceEffects } from './apply-merge.ts';
import { identityCells, type Ordered, orderedFrames } from './apply-order.ts';
import { PipelineError, runPipeline } from './apply-pipeline.ts';
import { setUpSession } from './apply-session.ts';
import { createStaging, showKey } from './apply-sql.ts';
import { Statements } from './apply-statements.ts';
import type { AppliedTable } from './apply-table.ts';
import { eachChange, noCounts, type Piece, type TableCounts } from './apply-walk.ts';
import { RowConflict, refusedHint, words } from './apply-words.ts';
import { endLeftovers, moveCheckpoint } from './checkpoint.ts';
import { connectPeer } from './connect.ts';
import { setUpOrigin } from './origin.ts';
import { cells, readLength } from './pgoutput.ts';
import { writeSchemaChange } from './schema-changes.ts';
import { type Shape, writeEmptied, writeMemories } from './shape.ts';
import type { SessionShelf } from './shelf.ts';
import type { TableEffect } from './staging.ts';

// Below that many changes, a COPY and a merge cost more than they save.
const fewChanges = 60;
// Without an index each change reads the whole table, but a merge reads it once.
const fewScans = 3;
// foreign_key_violation
const refersToNothing = '23503';
// A staging table has two columns more than its table, and a table 1600 at most.
const mostStagedColumns = 1_590;
// Each commit empties every staging table of the session.
const mostStagingTables = 200;

export interface ApplierDeps {
  readonly work: MirrorWork;
  /** What the rows are marked with, so that they are not sent back; null: the source could not be identified. */
  readonly origin: string | null;
  readonly note: (message: string) => Promise<void>;
  /** server_version_num of the source. */
  readonly sourceVersion: number;
  readonly sessions?: SessionShelf | undefined;
}

/** What became of a piece. */
export interface Applied {
  readonly tables: ReadonlyMap<AppliedTable, TableCounts>;
  /** When the last row of it had come to a staging table (ms); null: none did. */
  readonly stagedAt: number | null;
  /** When the target's tables had it, before the commit (ms). */
  readonly mergedAt: number;
}

/** A session on the target that applies pieces, one after another. After an error it is of no more use. */
export class Applier implements AsyncDisposable {
  readonly #db: Connection;
  readonly #work: MirrorWork;
  readonly #statements = new Statements();
  readonly #staging = new Set<AppliedTable>();
  readonly #dirty = new Set<AppliedTable>();
  readonly #remembered = new WeakSet<AppliedTable>();
  /** In the open transaction. */
  readonly #rememberedNow = new Set<AppliedTable>();
  readonly #versions: Versions;
  #mayStage = true;
  #stagedAt: number | null = null;
  #conflict: Conflict | null = null;
  /** Whether foreign keys of the target are at work. */
  readonly #checked: boolean;
  #open = false;
  #savepoint = false;
  #checkpoint: Lsn = 0n;
  #busySince: number | null = null;

  private constructor(
    db: Connection,
    work: MirrorWork,
    of: { readonly versions: Versions; readonly checked: boolean },
  ) {
    this.#db = db;
    this.#work = work;
    this.#versions = of.versions;
    this.#checked = of.checked;
  }

  /** Connects and sets the session up. @throws as connectPeer */
  static async open(deps: ApplierDeps, signal: AbortSignal): Promise<Applier> {
    const { work, origin, note, sessions } = deps;
    const use = { application: applicationName('apply', work), from: sessions };
    const db = await connectPeer(work.target, use, signal);
    try {
      // A session whose end the server has not seen may still commit, and holds the origin.
      await endLeftovers(db, work, ['apply']);
      const unmarked = origin === null ? 'our role may not ask the source who it is' : await setUpOrigin(db, origin);
      if (unmarked !== null) await note(`${unmarkedNote}: ${unmarked}`);
      const { version } = await db.one<{ version: number }>(
        sql`select pg_catalog.current_setting('server_version_num')::int as version`,
      );
      const checked = !(await setUpSession(db, note));
      return new Applier(db, work, { versions: [deps.sourceVersion, version], checked });
    } catch (error) {
      db.destroy();
      throw error;
    }
  }

  /** Aborted when the session is gone. */
  get lost(): AbortSignal {
    return this.#db.lost;
  }

  /** server_version_num of the target. */
  get version(): number {
    return this.#versions[1];
  }

  /** Since when the target has had something to do (ms); null: nothing. */
  get busySince(): number | null {
    return this.#busySince;
  }

  /** After a `conflict`: what did not fit; null: the error was another. */
  get conflict(): Conflict | null {
    return this.#conflict;
  }

  /** A connection with the session's settings, for reading between pieces. */
  get connection(): Connection {
    return this.#db;
  }

  /** Says where the target stands, once, before anything is applied. */
  begin(checkpoint: Lsn): void {
    this.#checkpoint = checkpoint;
  }

  /**
   * Applies a piece; if it ends whole transactions, moves the checkpoint to its end and commits. When it returns for such a
   * piece, the target has it, crash or no crash.
   * @returns what was done to each table, and when
   * @throws `conflict` where the target's rows are not what the stream says, `fenced`, `upstream`, `connection_lost`
   */
  async apply(piece: Piece): Promise<Applied> {
    this.#stagedAt = null;
    this.#busySince = Date.now();
    try {
      const tables = await this.#apply(piece);
      const mergedAt = Date.now();
      for (const step of piece.steps) {
        if (step.kind === 'truncate') countTruncates(tables, step.tables);
      }
      await this.#remember(piece);
      if (piece.endLsn !== null) {
        await this.#commit(piece.endLsn);
      }
      return { tables, stagedAt: this.#stagedAt, mergedAt };
    } catch (error) {
      this.#db.destroy();
      throw error;
    } finally {
      this.#busySince = null;
    }
  }

  /**
   * Changes the schema between two pieces of one source transaction, inside the target's transaction, and writes down there what
   * was done. It is committed with the end of that source transaction.
   */
  async change<T extends { readonly what: string; readonly statements: readonly string[] }>(
    work: (db: Connection) => Promise<T>,
    of: { readonly table: string; readonly lsn: Lsn },
  ): Promise<T> {
    this.#busySince = Date.now();
    try {
      if (!this.#open) await this.#db.run(sql`begin`);
      this.#open = true;
      // What constraints have put off keeps a table from being altered.
      if (this.#checked) await this.#db.run(sql`set constraints all immediate`);
      const done = await work(this.#db);
      if (done.statements.length > 0) await writeSchemaChange(this.#db, this.#work, { ...of, ...done });
      return done;
    } catch (error) {
      this.#db.destroy();
      throw error;
    } finally {
      this.#busySince = null;
    }
  }

  /** Undoes all that was applied since the last commit. */
  async undo(): Promise<void> {
    await this.#db.run(sql`rollback`);
    await this.#forgetStatements();
    // Some may have been made in what was rolled back.
    await this.#db.run(sql`discard temp`);
    this.#staging.clear();
    this.#dirty.clear();
    for (const table of this.#rememberedNow) this.#remembered.delete(table);
    this.#rememberedNow.clear();
    this.#open = false;
    this.#savepoint = false;
  }

  /** Gives the session up at once, whatever it does. */
  destroy(): void {
    this.#db.destroy();
  }

  /** Ends what `change` did where no rows come with it: the checkpoint stays. */
  async settled(): Promise<void> {
    try {
      await this.#commit(this.#checkpoint);
    } catch (error) {
      this.#db.destroy();
      throw error;
    }
  }

  /** Moves the checkpoint where no change came with it: what came before `lsn` was not ours. */
  async advance(lsn: Lsn): Promise<void> {
    await this.#db.run(sql`begin`);
    this.#open = true;
    await this.#commit(lsn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // An open transaction is one whose end never came.
    if (this.#open) this.#db.destroy();
    await this.#db.close();
  }

  // With the first rows after a change of a table's columns, or what emptied it, in their transaction.
  async #remember(piece: Piece): Promise<void> {
    const memories = new Map<string, { readonly id: number; readonly shape: Shape }>();
    const emptied = piece.steps.flatMap((step) =>
      step.kind === 'truncate' ? [{ tables: step.tables.map(({ from }) => showTable(from)), xid: step.xid }] : [],
    );
    await writeEmptied(this.#db, this.#work, emptied);
    for (const step of piece.steps) {
      if (step.kind !== 'changes') continue;
      for (const table of step.relations.values()) {
        if (table === null || table.agreed === null || this.#remembered.has(table)) continue;
        this.#remembered.add(table);
        this.#rememberedNow.add(table);
        const name = showTable(table.from);
        // The last that was met knows most: there may be several, each for a partition.
        if ((memories.get(name)?.id ?? 0) < table.id) memories.set(name, { id: table.id, shape: table.agreed });
      }
    }
    await writeMemories(
      this.#db,
      this.#work,
      [...memories].map(([table, { shape }]) => ({ table, shape })),
    );
  }

  async #commit(lsn: Lsn): Promise<void> {
    await moveCheckpoint(this.#db, this.#work, { from: this.#checkpoint, to: lsn });
    await this.#db.run(sql`commit`);
    this.#checkpoint = lsn;
    this.#open = false;
    this.#savepoint = false;
    this.#dirty.clear();
    this.#rememberedNow.clear();
  }

  async #apply(piece: Piece): Promise<Map<AppliedTable, TableCounts>> {
    if (this.#statements.full && !this.#open) await this.#forgetStatements();
    const fresh = !this.#open;
    const many = piece.changes >= (touchesUnindexed(piece) ? fewScans : fewChanges);
    try {
      return (many ? await this.#bySets(piece, 'many') : null) ?? (await this.#inOrder(piece));
    } catch (error) {
      if (!this.#checked || !fresh || this.lost.aborted) throw error;
      if (toSluiceError(error).sqlstate !== refersToNothing) throw error;
      return await this.#together(piece);
    }
  }

  // A statement of the source may write rows that refer to each other, and a transaction of it may look at foreign keys late:
  // then neither order nor each row by itself satisfies them. Begins as if nothing had been tried.
  async #together(piece: Piece): Promise<Map<AppliedTable, TableCounts>> {
    await this.undo();
    await this.#db.run(sql`begin`);
    this.#open = true;
    await this.#db.run(sql`set constraints all deferred`);
    return (await this.#bySets(piece, 'all')) ?? (await this.#inOrder(piece));
  }

  // Null: it cannot be done so, and nothing is. `staged`: what goes through staging tables; the rest goes change by change.
  async #bySets(piece: Piece, staged: 'all' | 'many'): Promise<Map<AppliedTable, TableCounts> | null> {
    if (!this.#mayStage) return null;
    const counts = new Map<AppliedTable, TableCounts>();
    const effects = pieceEffects(piece, counts);
    if (effects === null) return null;
    const touched = effects.flatMap((effect) => [...(effect?.tables.values() ?? [])]);
    const some = staged === 'many' && touched.some(({ few }) => few !== null);
    let done = some && (await this.#stage(touched)) && (await this.#merge(piece, effects));
    if (!done) {
      // A set of rows may satisfy what each of them by itself does not.
      for (const each of touched) each.few = null;
      done = (await this.#stage(touched)) && (await this.#merge(piece, effects));
    }
    for (const { keys } of touched) keys.free();
    return done ? counts : null;
  }

  // Staging tables are made outside of the transaction where that is possible, and together: the end of each transaction empties
  // all that are there.
  async #stage(touched: readonly TableEffect[]): Promise<boolean> {
    const tables = new Set(touched.flatMap(({ table, few }) => (few === null ? [table] : [])));
    if ([...tables].some((table) => table.columns.length > mostStagedColumns)) return false;
    if (this.#staging.size > mostStagingTables && !this.#open) {
      await this.#db.run(sql`discard temp`);
      this.#staging.clear();
    }
    const missing = [...tables].filter((table) => !this.#staging.has(table));
    if (missing.length === 0) return true;
    if (this.#open) await this.#db.run(sql`savepoint staging`);
    try {
      await this.#db.run(trusted(missing.map(createStaging).join('; ')));
    } catch (error) {
      if (this.#open) await this.#db.run(sql`rollback to savepoint staging`);
      if (toSluiceError(error).sqlstate !== '42501') throw error;
      // No privilege for temporary tables: slower, but right.
      this.#mayStage = false;
      return false;
    }
    for (const table of missing) this.#staging.add(table);
    return true;
  }

  // False: the merge was undone, and order may help.
  async #merge(piece: Piece, effects: NonNullable<ReturnType<typeof pieceEffects>>): Promise<boolean> {
    const expected: Expected[] = [];
    const writer = new FrameWriter();
    const command = (key: string, text: string) => {
      this.#statements.run(writer, key, () => text);
      expected.push({ table: null, rows: null });
    };
    if (!this.#open) command('begin', 'begin');
    // The last piece is right: its savepoint must not be the bottom of a pile.
    if (this.#savepoint) command('release', 'release savepoint piece');
    command('savepoint', 'savepoint piece');
    this.#open = true;
    this.#savepoint = true;
    const statements = this.#statements;
    const dirty = this.#dirty;
    function* frames(): Generator<Buffer> {
      yield writer.take();
      yield* mergeFrames(piece, effects, { statements, expected, dirty });
    }
    try {
      const counts = await runPipeline(this.#db, frames(), (command) => {
        if (expected[command]?.stages) this.#stagedAt = Date.now();
      });
      if (asExpected(expected, counts)) return true;
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      if (this.lost.aborted || error.error.retry === 'backoff' || error.error.kind !== 'upstream') throw error.error;
    }
    return await this.#undo();
  }

  async #undo(): Promise<false> {
    this.#stagedAt = null;
    await this.#db.run(sql`rollback to savepoint piece`);
    await this.#forgetStatements();
    return false;
  }

  async #forgetStatements(): Promise<void> {
    await this.#db.run(sql`deallocate all`);
    this.#statements.clear();
  }

  async #inOrder(piece: Piece): Promise<Map<AppliedTable, TableCounts>> {
    const counts = new Map<AppliedTable, TableCounts>();
    const ordered: Ordered[] = [];
    const first = new FrameWriter();
    const begins = this.#open ? 0 : 1;
    if (begins === 1) this.#statements.run(first, 'begin', () => 'begin');
    this.#open = true;
    const frames = orderedFrames(piece, { statements: this.#statements, counts, ordered });
    if (first.length > 0) frames.unshift(first.take());
    if (frames.length === 0) return counts;
    let done: readonly number[];
    try {
      done = await runPipeline(this.#db, frames[Symbol.iterator]());
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const failed = ordered[error.done - begins];
      // Of a session that was ended, the row is not the reason.
      const isEnded = error.error.sqlstate.startsWith('57P');
      if (failed === undefined || this.lost.aborted || isEnded) throw error.error;
      throw await this.#refused(failed, error.error);
    }
    const wrong = ordered.find(({ counted }, i) => counted && done[i + begins] !== 1);
    if (wrong !== undefined) throw await this.#noSuchRow(wrong, done[ordered.indexOf(wrong) + begins] ?? 0);
    return counts;
  }

  async #refused(failed: Ordered, error: SluiceError): Promise<SluiceError> {
    const shown = await this.#describe(failed);
    const what = `${words[failed.change?.kind ?? 'truncate']} ${shown.text}`;
    // A unique or primary key that holds the row already.
    if (error.sqlstate === '23505') {
      this.#meet(failed, 'exists', shown.key);
      const { detail, sqlstate } = error;
      const of = { ...failed.table, mirror: this.#work.name };
      return new RowConflict(`${what} failed on the target: ${error.message}`, of, { detail, sqlstate, cause: error });
    }
    return new SluiceError(error.kind, `${what} failed on the target: ${error.message}`, {
      detail: error.detail,
      hint: error.hint ?? refusedHint(error, this.#versions, failed.table.to),
      fields: error.fields,
      cause: error,
    });
  }

  async #noSuchRow(wrong: Ordered, rows: number): Promise<SluiceError> {
    const shown = await this.#describe(wrong);
    const what = `${words[wrong.change?.kind ?? 'truncate']} ${shown.text}`;
    this.#meet(wrong, rows === 0 ? 'missing' : 'several', shown.key);
    const found = rows === 0 ? 'no such row' : `${rows} such rows`;
    return new RowConflict(`${what} found ${found} on the target`, { ...wrong.table, mirror: this.#work.name });
  }

  #meet({ table, change }: Ordered, kind: Conflict['kind'], key: string | null): void {
    if (change === null) return;
    this.#conflict = { table: showTable(table.from), change: change.kind, kind, key };
  }

  async #describe({ table, change, buffer }: Ordered): Promise<{ readonly text: string; readonly key: string | null }> {
    const name = showTable(table.to);
    const nameless = { text: name, key: null };
    if (change === null || buffer === null || table.key.length === 0) return nameless;
    if (this.lost.aborted) return nameless;
    const row = change.kind === 'insert' || (change.kind === 'update' && change.old < 0) ? change.row : change.old;
    const values = identityCells(table, buffer, row).map(({ at }) => cellValue(buffer, at, table.binary));
    try {
      await this.#db.run(sql`rollback`);
      const [shown] = await this.#db.query<Record<string, string>>({ text: showKey(table), values } satisfies Sql);
      const list = table.key.map((_, i) => shown?.[`v${i}`] ?? 'null');
      const key = `(${table.key.map((column) => column.name).join(', ')}) = (${list.join(', ')})`;
      return { text: `${name} ${key}`, key };
    } catch {
      return nameless; // the error that we are about to name matters more
    }
  }
}

const unmarkedNote =
  'what is applied is not marked with a replication origin on the target: a mirror back would send it to the source again';

function cellValue(buffer: Buffer, at: number, binary: boolean): Buffer | string | null {
  if (buffer[at] === cells.null || buffer[at] === cells.unchanged) return null;
  const bytes = buffer.subarray(at + 5, at + 5 + readLength(buffer, at + 1));
  return binary ? bytes : bytes.toString('utf8');
}

function touchesUnindexed(piece: Piece): boolean {
  if (piece.changes >= fewChanges || piece.changes < fewScans) return false;
  let found = false;
  for (const step of piece.steps) {
    if (step.kind !== 'changes' || found) continue;
    if (![...step.relations.values()].some((table) => table !== null && !table.indexed)) continue;
    eachChange(step, ({ table, change }) => {
      found ||= !table.indexed && change.kind !== 'insert';
    });
  }
  return found;
}

function countTruncates(counts: Map<AppliedTable, TableCounts>, tables: readonly AppliedTable[]): void {
  for (const table of tables) {
    const counted = counts.get(table) ?? noCounts();
    counted.truncates++;
    counts.set(table, counted);
  }
}
