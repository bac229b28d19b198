// A backlog read in chunks: over a copy of the slot that may run ahead, by a function that sends many changes at once.
import type { Socket } from 'node:net';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { type Sql, sql } from '../pg/sql.ts';
import { messageOffset, walData } from './apply-walk.ts';
import { readLength, readUint64, tags } from './pgoutput.ts';
import { type ChangeSource, pluginOptions, type StreamOptions, smallBlocks } from './stream.ts';
import { FrameGatherer } from './stream-frames.ts';

/** Thrown by `take` when all was taken and the rest is for the stream: where the log ends, or where a large transaction is open. */
export class CaughtUp extends Error {}

export interface CatchUpOptions extends Omit<StreamOptions, 'blocks'> {
  /** What is shorter is left to the stream (bytes of log); 0: all of it. */
  readonly leastBytes: number;
  /** Opens another connection like the first: the slot itself is moved over it. */
  readonly connect: () => Promise<Connection>;
  /** Told why a backlog, or its rest, is left to the stream before it is at its end. */
  readonly onLeft: (why: string) => void;
  /** How long the target may take nothing; 30 s. */
  readonly stallMs?: number | undefined;
}

// A walsender makes two calls into the kernel for each change, to look for our answers and to send. A function's rows go out by buffers,
// but it keeps them until all are decoded. What such calls cost is another thing on each machine: for 2 million changes of small
// transactions a source took 4.8 s by the function and 6.6 by the stream on one, 3.9 and 3.4 on another. Who runs us says what to take: a
// trial of the first of a backlog does not tell (alone, the function was faster on either), as what counts is what the servers leave.
// Each call begins where a snapshot of running transactions was last written to the log (every 15 s), so chunks should not be small; but
// nothing comes of one before all of it was decoded, so they should not be much larger than what waits here meanwhile.
const aimedBytes = 32n * 1024n * 1024n;
const mostChanges = 600_000;
// Values may be much longer than they are in the log: the first chunk shows how much.
const probedBytes = 4n * 1024n * 1024n;
const leastLogBytes = 1024n * 1024n;
const mostLogBytes = 64n * 1024n * 1024n;
// Each chunk decodes so much log once more, without sending it. A transaction that stays open on the source keeps that place where it
// began, however long ago: the stream reads all of it once.
const mostAgainBytes = 512n * 1024n * 1024n;
// A chunk is a file on the source when it is more than this.
const workMem = '64MB';
// Less log than that came while a chunk was read to the end: the stream's affair.
const closeBytes = 8n * 1024n * 1024n;
// We stop reading when that much waits; all of this process together share the second, and each may have the last.
const mostWaitingBytes = 24 * 1024 * 1024;
const mostInAllBytes = 48 * 1024 * 1024;
const leastWaitingBytes = 2 * 1024 * 1024;
// The slot itself follows what is durable: by that much log, and at least that often (an idle slot may be taken for forgotten).
const moveBytes = 256n * 1024n * 1024n;
const moveEveryMs = 10_000;
const lastMoveMs = 3_000;
// A function that sends holds old row versions of its database back, as any query does: where the target takes nothing for that long, the
// rest is for the stream, which does not.
const mostStalledMs = 30_000;

let inAllBytes = 0;

/** The part of pg's connection that we stand on. */
interface RawConnection {
  readonly stream: Socket;
}

/** A backlog while it is read. It takes its connection over and closes it. */
export class CatchUp implements ChangeSource, AsyncDisposable {
  readonly #connection: Connection;
  readonly #options: CatchUpOptions;
  readonly #socket: Socket;
  readonly #copy: string;
  readonly #waiting: Buffer[] = [];
  readonly #mover: NodeJS.Timeout;
  #waitingBytes = 0;
  #chunkBytes = 0;
  /** What is read shows whether to go on. */
  #probing = true;
  /** Nothing is read; runs out when that takes too long. */
  #stalled: NodeJS.Timeout | null = null;
  #arriving = false;
  /** A transaction is open that comes in blocks. */
  #large = false;
  /** How far the chunk goes that is read. */
  #goal: Lsn = 0n;
  #received: Lsn;
  #durable: Lsn;
  #moved: Lsn;
  #moving: Promise<void> | null = null;
  #other: Promise<Connection> | null = null;
  #end: Error | undefined;
  #closing = false;

  private constructor(connection: Connection, options: CatchUpOptions, copy: string) {
    this.#connection = connection;
    this.#options = options;
    this.#copy = copy;
    this.#received = options.from;
    this.#durable = options.from;
    this.#moved = options.from;
    this.#socket = (connection.client as unknown as { readonly connection: RawConnection }).connection.stream;
    this.#mover = setInterval(() => this.#move(), moveEveryMs);
    connection.lost.addEventListener('abort', () => this.#endWith(lostError(this.#connection)), { once: true });
  }

  /**
   * Begins, if the source lets us copy its slot, and the backlog does not begin with a large transaction; else gives null, and the
   * connection is to be closed.
   * https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-REPLICATION
   * @throws `connection_lost`
   */
  static async start(connection: Connection, options: CatchUpOptions): Promise<CatchUp | null> {
    let catchUp: CatchUp | undefined;
    try {
      const copy = `sluice_catch_up_${connection.pid}`;
      await connection.run(sql`select pg_catalog.pg_copy_logical_replication_slot(${options.slot}, ${copy}, true)`);
      await connection.run(sql`select pg_catalog.pg_replication_slot_advance(${copy}, ${formatLsn(options.from)}::pg_lsn)
        from pg_catalog.pg_replication_slots where slot_name = ${copy} and confirmed_flush_lsn < ${formatLsn(options.from)}::pg_lsn`);
      await connection.run(sql`select pg_catalog.set_config('work_mem', ${workMem}, false)`);
      catchUp = new CatchUp(connection, options, copy);
      if (await catchUp.#probe()) return catchUp;
      options.onLeft('a large transaction comes first');
    } catch (error) {
      // No free slot, no right to make one, values that are much longer than in the log: nothing that the stream needs or minds.
      const isOurs = catchUp !== undefined && catchUp.#end instanceof CaughtUp;
      if (connection.lost.aborted && !isOurs) throw lostError(connection);
      if (!isOurs) options.onLeft(toSluiceError(error).message);
    }
    if (catchUp !== undefined) catchUp.#abandon();
    return null;
  }

  get received(): Lsn {
    return this.#received;
  }

  get flowing(): boolean {
    return this.#waiting.length > 0 || this.#arriving;
  }

  /** Nothing is paced here. */
  set busy(_busy: boolean) {}

  take(): Buffer | undefined {
    const chunk = this.#waiting.shift();
    if (chunk === undefined) {
      if (this.#end !== undefined) throw this.#end;
      return undefined;
    }
    this.#count(-chunk.length);
    if (this.#stalled !== null && !this.#holds(2)) {
      clearTimeout(this.#stalled);
      this.#stalled = null;
      this.#socket.resume();
    }
    return chunk;
  }

  acknowledge(lsn: Lsn): void {
    if (lsn <= this.#durable) return;
    this.#durable = lsn;
    if (lsn - this.#moved >= moveBytes) this.#move();
  }

  /** The end is found without asking. */
  ask(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    clearInterval(this.#mover);
    if (this.#stalled !== null) clearTimeout(this.#stalled);
    this.#waiting.length = 0;
    this.#count(-this.#waitingBytes);
    this.#connection.destroy();
    const patience = setTimeout(() => void this.#other?.then((other) => other.destroy()).catch(() => {}), lastMoveMs);
    await this.#moving;
    // The stream begins where the slot is, and should not read all of this again.
    if (this.#end instanceof CaughtUp && this.#durable - this.#moved > closeBytes) this.#move();
    await this.#moving;
    clearTimeout(patience);
    await this.#other?.then((other) => other.close()).catch(() => {});
  }

  // A large transaction is seen early where little is decoded at once.
  async #probe(): Promise<boolean> {
    await this.#connection.run(sql`select pg_catalog.set_config('logical_decoding_work_mem', '1MB', false)`);
    const { end, at } = await this.#where();
    this.#goal = end - at < probedBytes ? end : at + probedBytes;
    await this.#readChunk();
    this.#probing = false;
    await this.#connection.run(sql`reset logical_decoding_work_mem`);
    await this.#connection.run(smallBlocks);
    if (this.#large && this.#waiting.length === 0) return false;
    void this.#run();
    return true;
  }

  #abandon(): void {
    this.#closing = true;
    clearInterval(this.#mover);
    this.#count(-this.#waitingBytes);
  }

  async #run(): Promise<void> {
    let logBytes = probedBytes;
    let from = this.#options.from;
    let toEnd = false;
    try {
      while (!this.#closing && !this.#large) {
        const { end, at, restart } = await this.#where();
        if (at - restart > mostAgainBytes) {
          this.#options.onLeft('a transaction that is open on the source would be decoded again with each chunk');
          break;
        }
        if (toEnd && at >= this.#goal && end - at < closeBytes) break;
        logBytes = nextLogBytes(logBytes, { log: at - from, sent: this.#chunkBytes });
        from = at;
        toEnd = end - at <= logBytes;
        this.#goal = toEnd ? end : at + logBytes;
        await this.#readChunk();
      }
      if (this.#large) this.#options.onLeft('a large transaction comes next');
      this.#endWith(new CaughtUp());
    } catch (error) {
      const known = toSluiceError(error);
      const isLost = known.kind === 'connection_lost' || this.#connection.lost.aborted;
      // What a chunk needs beyond a stream (a temporary file, say) is no reason to stop; that the session or server was ended is.
      if (isLost || known.sqlstate.startsWith('57P')) this.#endWith(isLost ? lostError(this.#connection) : known);
      else this.#leave(known.message, error);
    }
  }

  // What has come whole is still to be taken.
  #leave(why: string, cause?: unknown): void {
    if (this.#end !== undefined || this.#closing) return;
    this.#options.onLeft(why);
    this.#endWith(new CaughtUp(why, { cause }));
  }

  /** End of the log, how far the chunks have come, and where the next one begins to decode. */
  async #where(): Promise<{ readonly end: Lsn; readonly at: Lsn; readonly restart: Lsn }> {
    const row = await this.#connection.one<{ end: string; at: string; restart: string }>(sql`
      select pg_catalog.pg_current_wal_flush_lsn()::text as end, confirmed_flush_lsn::text as at, restart_lsn::text as restart
      from pg_catalog.pg_replication_slots where slot_name = ${this.#copy}`);
    return { end: parseLsn(row.end), at: parseLsn(row.at), restart: parseLsn(row.restart) };
  }

  async #readChunk(): Promise<void> {
    const frames = new FrameGatherer(dataRow);
    const parser = this.#socket.listeners('data') as ((chunk: Buffer) => void)[];
    const receive = (chunk: Buffer) => {
      const { data, rest } = frames.add(chunk);
      for (const part of data) this.#receive(part);
      for (const frame of rest) for (const listener of parser) listener.call(this.#socket, frame);
    };
    this.#chunkBytes = 0;
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', receive);
    try {
      const { text, values } = chunkQuery(this.#copy, this.#goal, this.#options);
      await this.#connection.client.query({ text, values: [...values], binary: true } as { text: string });
    } finally {
      this.#socket.off('data', receive);
      for (const listener of parser) this.#socket.on('data', listener);
      this.#arriving = false;
      this.#options.onChange();
    }
  }

  // Rows of two columns become frames of the stream where they lie: the first column is as long as what a frame has more.
  #receive(part: Buffer): void {
    this.#chunkBytes += part.length;
    if (this.#large || this.#closing) return;
    this.#arriving = true;
    let at = 0;
    while (at < part.length) {
      const tag = part[at + messageOffset];
      if (tag === tags.streamStart) {
        this.#large = true;
        break;
      }
      part[at] = 0x64; // 'd', CopyData
      part[at + 5] = walData;
      const end = at + readLength(part, at + 1) + 1;
      // Commit: a byte of flags, its position, the transaction's end
      if (tag === tags.commit) this.#received = readUint64(part, at + messageOffset + 10);
      at = end;
    }
    if (at === 0) return;
    this.#waiting.push(at === part.length ? part : part.subarray(0, at));
    this.#count(at);
    // Nobody takes what the first chunk brings before it has come whole.
    if (this.#probing) {
      if (this.#waitingBytes >= mostWaitingBytes) this.#giveUp('its values are much longer than they are in the log');
    } else if (this.#stalled === null && this.#holds(1)) {
      this.#socket.pause();
      const stallMs = this.#options.stallMs ?? mostStalledMs;
      this.#stalled = setTimeout(() => this.#giveUp(`the target took nothing for ${stallMs / 1000} s`), stallMs);
    }
    this.#options.onChange();
  }

  #giveUp(why: string): void {
    this.#leave(why);
    this.#connection.destroy();
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes;
    inAllBytes += bytes;
  }

  #holds(share: number): boolean {
    if (this.#waitingBytes <= leastWaitingBytes / share) return false;
    return this.#waitingBytes >= mostWaitingBytes / share || inAllBytes >= mostInAllBytes / share;
  }

  // Lets the source forget what is safe on the target.
  #move(): void {
    if (this.#moving !== null) return;
    const to = this.#durable;
    this.#moving = this.#moveTo(to)
      .catch(() => undefined)
      .finally(() => {
        this.#moving = null;
      });
  }

  async #moveTo(lsn: Lsn): Promise<void> {
    this.#other ??= this.#options.connect();
    try {
      const other = await this.#other;
      const { slot } = this.#options;
      await other.run(sql`select pg_catalog.pg_replication_slot_advance(${slot}, ${formatLsn(lsn)}::pg_lsn)`);
      this.#moved = lsn;
    } catch (error) {
      const broken = await this.#other.then((other) => other.lost.aborted).catch(() => true);
      if (broken) this.#other = null;
      // Who else reads it is seen at the target; what is gone, when a session begins.
      else if (toSluiceError(error).sqlstate !== objectInUse) this.#leave(toSluiceError(error).message, error);
    }
  }

  #endWith(error: Error): void {
    if (this.#end !== undefined || this.#closing) return;
    this.#end = error;
    this.#options.onChange();
  }
}

// So much log that as much comes of it as should, if it is like the last.
function nextLogBytes(last: bigint, { log, sent }: { readonly log: bigint; readonly sent: number }): bigint {
  const most = last * 4n < mostLogBytes ? last * 4n : mostLogBytes;
  const wanted = sent === 0 || log <= 0n ? most : (log * aimedBytes) / BigInt(sent);
  if (wanted < leastLogBytes) return leastLogBytes;
  return wanted < most ? wanted : most;
}

function lostError({ lost }: Connection): SluiceError {
  return new SluiceError('connection_lost', 'the connection that reads the backlog from the source was lost', {
    cause: lost.reason,
  });
}

const objectInUse = '55006';
const dataRow = 0x44; // 'D'

/**
 * Whether there is a backlog that is worth it, on a source where it can be read so. A slot that standbys are waited for must not be
 * overtaken, and others may want a slot as well: two must be free.
 */
export async function mayCatchUp(
  db: Connection,
  { slot, from, leastBytes }: Pick<CatchUpOptions, 'slot' | 'from' | 'leastBytes'>,
): Promise<boolean> {
  if (leastBytes === 0 || db.version < 140_000) return false;
  const [row] = await db.query<{ ok: boolean }>(sql`
    select not pg_catalog.pg_is_in_recovery()
      and pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), ${formatLsn(from)}::pg_lsn) >= ${leastBytes}
      and not (coalesce((pg_catalog.to_jsonb(s) ->> 'failover')::boolean, false)
        and coalesce(pg_catalog.current_setting('synchronized_standby_slots', true), '') <> '')
      and pg_catalog.current_setting('max_replication_slots')::int
        - (select count(*) from pg_catalog.pg_replication_slots) >= 2 as ok
    from pg_catalog.pg_replication_slots s where slot_name = ${slot}`);
  return row?.ok === true;
}

// Of a frame's header, what a row of two columns has not: 'd' and length, 'w' and three fields, for 'D' and length, a count and two lengths.
const paddingBytes = messageOffset - 15;

function chunkQuery(copy: string, upTo: Lsn, options: CatchUpOptions): Sql {
  const plugin = pluginOptions({ ...options, streamed: true }).flat();
  return sql`select pg_catalog.decode(${'00'.repeat(paddingBytes)}, 'hex'), data
    from pg_catalog.pg_logical_slot_get_binary_changes(${copy}, ${formatLsn(upTo)}::pg_lsn, ${mostChanges}, variadic ${plugin})`;
}
