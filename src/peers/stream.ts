// A slot's stream of changes, pulled: frames as they were received, paced while there is a backlog, in bounded memory.
import type { Socket } from 'node:net';
import { SluiceError, saidBy, toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, laterLsn } from '../pg/lsn.ts';
import { quoteName, trusted } from '../pg/sql.ts';
import { readLength, readMessage, readUint64, tags } from './pgoutput.ts';
import { FrameGatherer } from './stream-frames.ts';

export interface StreamOptions {
  readonly slot: string;
  readonly publication: string;
  /** Where to begin: the end of the last commit that the target has. */
  readonly from: Lsn;
  /** Values in their binary form. */
  readonly binary: boolean;
  /** Gets what comes of transactions that are still open on the source; null: each comes when it was committed. */
  readonly blocks: BlockSink | null;
  /** Called when there is something to take, when the stream fell quiet, or when it ended. Must not throw. */
  readonly onChange: () => void;
}

/**
 * Keeps what comes of open transactions, until a stream commit (which goes the way of all messages) says that it counts.
 * Blocks of several may come in turns, and what is rolled back is told as soon as it comes.
 */
export interface BlockSink {
  start(xid: number): void;
  /**
   * Messages of the block, in their frames: each has the number of its subtransaction behind the tag, but for an origin.
   * The bytes are the sink's, to change them where they lie.
   */
  add(buffer: Buffer, start: number, end: number): void;
  /** Its commit has come, and waits among the messages to be taken. */
  commit(xid: number): void;
  /** `subxid` is `xid` where all of it was. */
  abort(xid: number, subxid: number): void;
  /** What is on its way to the disk: in memory still. */
  readonly waitingBytes: number;
  /** As much waits that was committed as should: nothing more is to be read before some of it is taken. */
  readonly behind: boolean;
  /** Called once: when less waits, and with the error when no more can be kept. */
  listen(listener: { readonly relieved: () => void; readonly failed: (error: SluiceError) => void }): void;
}

// We stop reading the socket when that much waits to be taken, or to be written.
const mostWaitingBytes = 3 * 1024 * 1024;
// While there is a backlog we read this often. A reader that takes every message as it arrives makes the server wake for each
// (measured: 4 times the processor time on its side).
const paceMs = 1;
// A pace that brought less is no backlog: what is there should be applied at once.
const backlogBytes = 16 * 1024;
// In the middle of a large transaction a pause that brought less gathers nothing. After a loss, or what looks like one where
// acknowledgements come late, the server's TCP may let one segment out for each of them, and that is sent when we read: with pauses a
// walsender with megabytes to send stood still for 150 ms at a time. So what comes is read as it comes, until this much came within as
// long as a few pauses. (Small transactions go faster with the pauses: what the server cannot send costs it less than single messages.)
const dripBytes = 512;
const dripOverBytes = 16 * 1024;
const dripOverMs = 5;
// What Node reads from a socket at once.
const readBytes = 64 * 1024;
const statusEveryMs = 2_000;
const askAfterMs = 5_000;
const mostSilentMs = 90_000;

// The source gathers that much of its open transactions before it sends a block of the largest; 64 MB unless told. Less stays closer to
// its processor and leaves memory to others (transactions of a million rows: 3 to 6 % less time, a walsender of 26 MB for 94). With 4 MB it
// is hardly more, and then some clients with middling transactions at once are enough to have those sent in blocks as well, which costs more.
/** Lets a walsender, or a function that decodes, send what is open in blocks of 16 MB. */
export const smallBlocks = trusted(`select case
  when pg_catalog.pg_size_bytes(pg_catalog.current_setting('logical_decoding_work_mem')) > 16777216
  then pg_catalog.set_config('logical_decoding_work_mem', '16MB', false) end`);

/** Changes of a slot's publication, to be pulled. */
export interface ChangeSource {
  /** Position up to which the server has sent what there is. */
  readonly received: Lsn;
  /** Whether more is coming as fast as we can read it. */
  readonly flowing: boolean;
  /** The reader has more to do than to wait for the next message: what comes may gather on its way. */
  busy: boolean;
  /** The next whole messages (CopyData frames, nothing else), or undefined if there are none now. @throws when it has ended */
  take(): Buffer | undefined;
  acknowledge(lsn: Lsn): void;
  ask(): void;
}

/** The part of pg's connection that we stand on: its socket, whose data its parser reads by one listener. */
interface RawConnection {
  readonly stream: Socket;
}

/**
 * A running `START_REPLICATION`. https://www.postgresql.org/docs/18/protocol-replication.html
 * It takes the connection over and closes it.
 */
export class ChangeStream implements ChangeSource, AsyncDisposable {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #onChange: () => void;
  readonly #frames = new FrameGatherer();
  readonly #waiting: Buffer[] = [];
  readonly #blocks: BlockSink | null;
  /** What comes is of an open transaction. */
  #inBlock = false;
  readonly #status: NodeJS.Timeout;
  #waitingBytes = 0;
  #windowBytes = 0;
  /** Pauses bring next to nothing; since then, or since less than enough came. */
  #dripsSince: number | null = null;
  #gulpBytes = 0;
  #closingWindow = false;
  #paced = false;
  #full = false;
  #pacer: NodeJS.Timeout | undefined;
  #busy = false;
  #received: Lsn;
  #heardAt = Date.now();
  #durable: Lsn;
  #failure: SluiceError | undefined;
  #closing = false;

  private constructor(connection: Connection, options: StreamOptions) {
    this.#connection = connection;
    this.#onChange = options.onChange;
    this.#blocks = options.blocks;
    this.#received = options.from;
    this.#durable = options.from;
    this.#socket = (connection.client as unknown as { readonly connection: RawConnection }).connection.stream;
    this.#status = setInterval(() => this.#check(), statusEveryMs);
    connection.lost.addEventListener('abort', () => this.#fail(this.#lostError()), { once: true });
    options.blocks?.listen({ relieved: () => this.#relieve(), failed: (error) => this.#endWith(error) });
  }

  /**
   * Starts streaming on a replication connection.
   * @throws `upstream` with the server's answer, `connection_lost`
   */
  static async start(connection: Connection, options: StreamOptions): Promise<ChangeStream> {
    if (options.blocks !== null) await connection.run(smallBlocks);
    const stream = new ChangeStream(connection, options);
    try {
      await stream.#start(options);
    } catch (error) {
      clearInterval(stream.#status);
      throw error;
    }
    return stream;
  }

  get received(): Lsn {
    return this.#received;
  }

  get flowing(): boolean {
    return this.#waiting.length > 0 || (this.#paced && this.#gulpBytes >= backlogBytes);
  }

  set busy(busy: boolean) {
    this.#busy = busy;
  }

  take(): Buffer | undefined {
    const chunk = this.#waiting.shift();
    if (chunk === undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      return undefined;
    }
    this.#waitingBytes -= chunk.length;
    this.#relieve();
    return chunk;
  }

  /** Everything before `lsn` is safe on the target: the source may forget it. */
  acknowledge(lsn: Lsn): void {
    if (lsn <= this.#durable) return;
    this.#durable = lsn;
    this.#sendStatus(false);
  }

  /** Asks the server how far it is, so that an idle source answers at once. */
  ask(): void {
    this.#sendStatus(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    clearInterval(this.#status);
    clearTimeout(this.#pacer);
    this.#waiting.length = 0;
    // The server may be sending, and would hear a polite end only after that; the slot is free when its process is gone.
    if (!this.#connection.lost.aborted) this.#connection.destroy();
  }

  #start(options: StreamOptions): Promise<void> {
    const { client } = this.#connection;
    // Frames that are not the stream's own (errors, notices, the end) go on to pg's parser.
    const parser = this.#socket.listeners('data') as ((chunk: Buffer) => void)[];
    this.#socket.removeAllListeners('data');
    return new Promise<void>((resolve, reject) => {
      this.#socket.on('data', (chunk: Buffer) => {
        this.#heardAt = Date.now();
        const { data, rest } = this.#frames.add(chunk);
        for (const frame of rest) {
          for (const listener of parser) listener.call(this.#socket, frame);
          if (frame[0] === 0x57) resolve(); // CopyBothResponse
        }
        for (const part of data) this.#receive(part);
        this.#pace(chunk.length);
      });
      client.query(startStatement({ ...options, streamed: options.blocks !== null })).then(
        () => this.#fail(new SluiceError('connection_lost', 'the source ended the replication stream')),
        (error: unknown) => {
          const known = saidBy(toSluiceError(error), this.#connection.server);
          reject(this.#connection.lost.aborted ? this.#lostError() : known);
          this.#fail(known);
        },
      );
    });
  }

  // A connection that is dead without a word would leave us waiting for ever.
  #check(): void {
    const silentMs = Date.now() - this.#heardAt;
    this.#sendStatus(silentMs > askAfterMs);
    if (this.#full || silentMs < mostSilentMs) return;
    this.#connection.destroy();
  }

  #receive(part: Buffer): void {
    // Messages of blocks go elsewhere; runs of either are kept as they lie.
    let runStart = 0;
    for (let at = 0; at < part.length; ) {
      const end = at + readLength(part, at + 1) + 1;
      // CopyData: 'd' and length, then XLogData: 'w' and three fields of 8 bytes, or keepalive: 'k', end of WAL, time, reply wanted
      const kind = part[at + 5];
      if (kind === 0x77) {
        if (this.#blocks !== null && !this.#inBlock && this.#isOfBlocks(this.#blocks, part, { at, end })) {
          this.#keep(part, runStart, at);
          runStart = end;
        } else if (this.#inBlock && part[at + 30] === tags.streamStop) {
          this.#blocks?.add(part, runStart, at);
          this.#inBlock = false;
          runStart = end;
        }
      } else if (kind === 0x6b) {
        const position = readUint64(part, at + 6);
        if (position > this.#received) this.#received = position;
        if (part[at + 22] === 1) this.#sendStatus(false);
        // Keepalives are few, and their place among the messages matters: they go the same way. One within a block says nothing
        // of that transaction, which comes whole again as long as its commit is not behind what we said is durable.
        if (this.#inBlock) {
          this.#blocks?.add(part, runStart, at);
          this.#keep(part, at, end);
          runStart = end;
        }
      }
      at = end;
    }
    if (this.#inBlock) this.#blocks?.add(part, runStart, part.length);
    else this.#keep(part, runStart, part.length);
  }

  // What begins a block or ends a transaction that came in blocks. A commit goes the way of all messages as well.
  #isOfBlocks(blocks: BlockSink, part: Buffer, { at, end }: { readonly at: number; readonly end: number }): boolean {
    const tag = part[at + 30];
    if (tag !== tags.streamStart && tag !== tags.streamAbort && tag !== tags.streamCommit) return false;
    const message = readMessage(part, at + 30, end);
    if (message.kind === 'streamCommit') {
      blocks.commit(message.xid);
      return false;
    }
    if (message.kind === 'streamStart') {
      blocks.start(message.xid);
      this.#inBlock = true;
    } else if (message.kind === 'streamAbort') blocks.abort(message.xid, message.subxid);
    return true;
  }

  #keep(part: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#waiting.push(part.subarray(start, end));
    this.#waitingBytes += end - start;
    this.#onChange();
  }

  #holds(bytes: number): boolean {
    return this.#blocks?.behind === true || this.#waitingBytes + (this.#blocks?.waitingBytes ?? 0) >= bytes;
  }

  #relieve(): void {
    if (!this.#full || this.#closing || this.#holds(mostWaitingBytes / 2)) return;
    this.#full = false;
    if (this.#pacer === undefined) this.#openWindow();
  }

  // Paced: a window of reading as much as the socket holds, then a pause in which the server sends in bigger gulps.
  #pace(bytes: number): void {
    this.#windowBytes += bytes;
    if (!this.#full && this.#holds(mostWaitingBytes)) {
      this.#full = true;
      this.#socket.pause();
    }
    if (this.#closingWindow || this.#pacer !== undefined) return;
    if (!this.#paced && this.#trickles(bytes)) return;
    this.#paced = true;
    // A read that did not fill its buffer has emptied the socket. Node would read on, once for each message that comes.
    if (bytes < readBytes) {
      this.#closeWindow();
      return;
    }
    this.#closingWindow = true;
    setImmediate(() => this.#closeWindow());
  }

  // So little comes that it is read as it comes.
  #trickles(bytes: number): boolean {
    if (this.#dripsSince === null) return !this.#busy && bytes < backlogBytes;
    if (this.#windowBytes >= dripOverBytes) {
      this.#dripsSince = null;
      return false;
    }
    const now = performance.now();
    if (now - this.#dripsSince > dripOverMs) {
      this.#dripsSince = now;
      this.#windowBytes = 0;
    }
    return true;
  }

  #closeWindow(): void {
    this.#closingWindow = false;
    this.#gulpBytes = this.#windowBytes;
    this.#windowBytes = 0;
    if (this.#closing) return;
    if (this.#gulpBytes < backlogBytes && !this.#busy) {
      this.#paced = false;
      this.#onChange();
      return;
    }
    if (this.#inBlock && this.#gulpBytes < dripBytes) {
      this.#paced = false;
      this.#dripsSince = performance.now();
      return;
    }
    this.#socket.pause();
    this.#pacer = setTimeout(() => this.#openWindow(), paceMs);
  }

  #openWindow(): void {
    this.#pacer = undefined;
    if (this.#full) return;
    this.#socket.resume();
    // A turn of the loop brings what has gathered; if it brings nothing, the stream is quiet.
    setImmediate(() => setImmediate(() => this.#settle()));
  }

  #settle(): void {
    if (this.#closing || this.#closingWindow || this.#pacer !== undefined || this.#windowBytes > 0 || this.#full)
      return;
    this.#paced = false;
    this.#gulpBytes = 0;
    this.#onChange();
  }

  #sendStatus(ask: boolean): void {
    if (this.#failure !== undefined || this.#closing || !this.#socket.writable) return;
    this.#socket.write(statusUpdate({ received: this.#received, durable: this.#durable, ask }));
  }

  #lostError(): SluiceError {
    return new SluiceError('connection_lost', 'the replication connection to the source was lost', {
      cause: this.#connection.lost.reason,
    });
  }

  // What has come whole is still to be taken.
  #endWith(error: SluiceError): void {
    this.#fail(error);
    this.#connection.destroy();
  }

  #fail(error: SluiceError): void {
    if (this.#failure !== undefined || this.#closing) return;
    this.#failure = error;
    clearInterval(this.#status);
    this.#onChange();
  }
}

/** What the plugin is asked for, by names and values. https://www.postgresql.org/docs/18/protocol-logical-replication.html */
export function pluginOptions(
  options: Pick<StreamOptions, 'publication' | 'binary'> & { readonly streamed: boolean },
): readonly (readonly [name: string, value: string])[] {
  return [
    ['proto_version', options.streamed ? '2' : '1'],
    ...(options.streamed ? [['streaming', 'on'] as const] : []),
    ['publication_names', quoteName(options.publication)],
    ...(options.binary ? [['binary', 'true'] as const] : []),
    ['messages', 'true'],
  ];
}

/** The text of START_REPLICATION; its grammar knows no E'…' and takes backslashes as they are. */
export function startStatement(
  options: Omit<StreamOptions, 'onChange' | 'blocks'> & { readonly streamed: boolean },
): string {
  const plugin = pluginOptions(options).map(([name, value]) => `${name} '${value.replaceAll("'", "''")}'`);
  return `START_REPLICATION SLOT ${quoteName(options.slot)} LOGICAL ${formatLsn(options.from)} (${plugin.join(', ')})`;
}

/**
 * A standby status update in its CopyData frame: written, flushed and applied positions, the time, and whether an answer is
 * wanted. https://www.postgresql.org/docs/18/protocol-replication.html#PROTOCOL-REPLICATION-STANDBY-STATUS-UPDATE
 */
export function statusUpdate(status: { readonly received: Lsn; readonly durable: Lsn; readonly ask: boolean }): Buffer {
  const { received, durable } = status;
  const frame = Buffer.alloc(39);
  frame[0] = 0x64;
  frame.writeUInt32BE(38, 1);
  frame[5] = 0x72;
  frame.writeBigUInt64BE(laterLsn(durable, received), 6);
  frame.writeBigUInt64BE(durable, 14);
  frame.writeBigUInt64BE(durable, 22);
  frame.writeBigInt64BE((BigInt(Date.now()) - 946_684_800_000n) * 1000n, 30);
  frame[38] = status.ask ? 1 : 0;
  return frame;
}
