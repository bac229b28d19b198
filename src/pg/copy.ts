// COPY from one server into another: the frames of CopyData go from socket to socket as they come, unread, with back-pressure.
import type { Duplex } from 'node:stream';
import { SluiceError, saidBy, toSluiceError } from '../base/errors.ts';
import type { Connection } from './client.ts';
import { type Borrower, lendingOf } from './lending.ts';
import type { Sql } from './sql.ts';

/** Where we are in a server's stream of messages. */
export interface FrameCursor {
  /** Bytes of the present header that were seen, 0 to 5. */
  header: number;
  /** Type byte of the present message. */
  code: number;
  /** Its length as far as read, then the bytes of it still to come. */
  left: number;
}

/** Bytes that belong together: whole or cut messages that all are CopyData, or that all are not. */
export interface FrameRun {
  readonly copyData: boolean;
  readonly bytes: Buffer;
  /** Messages that begin in it. */
  readonly frames: number;
}

const copyData = 0x64; // 'd'
// CopyDone: 'c' and a length that counts itself. https://www.postgresql.org/docs/18/protocol-message-formats.html
const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

/** The start of a stream, at a message's first byte. */
export function frameCursor(): FrameCursor {
  return { header: 0, code: 0, left: 0 };
}

/**
 * Cuts a chunk where CopyData begins or ends. A message is a type byte and a length of four bytes that counts itself; it may
 * be cut anywhere by the network, also in its header. https://www.postgresql.org/docs/18/protocol-overview.html
 */
export function cutFrames(cursor: FrameCursor, chunk: Buffer): readonly FrameRun[] {
  const runs: FrameRun[] = [];
  let from = 0;
  let at = 0;
  let frames = 0;
  let inCopy = cursor.code === copyData;
  while (at < chunk.length) {
    if (cursor.header === 0) {
      const code = chunk[at] ?? 0;
      if ((code === copyData) !== inCopy) {
        if (at > from) runs.push({ copyData: inCopy, bytes: chunk.subarray(from, at), frames });
        from = at;
        frames = 0;
        inCopy = code === copyData;
      }
      cursor.code = code;
      frames++;
    }
    at = readHeader(cursor, chunk, at);
    if (cursor.header < 5) break;
    const taken = Math.min(cursor.left, chunk.length - at);
    cursor.left -= taken;
    at += taken;
    if (cursor.left === 0) cursor.header = 0;
  }
  if (at > from) runs.push({ copyData: inCopy, bytes: chunk.subarray(from, at), frames });
  return runs;
}

function readHeader(cursor: FrameCursor, chunk: Buffer, start: number): number {
  if (cursor.header === 0 && start + 5 <= chunk.length) {
    cursor.left = chunk.readUInt32BE(start + 1) - 4;
    cursor.header = 5;
    return start + 5;
  }
  let at = start;
  while (cursor.header < 5 && at < chunk.length) {
    const byte = chunk[at++] ?? 0;
    cursor.left = cursor.header <= 1 ? (cursor.header === 0 ? 0 : byte) : cursor.left * 256 + byte;
    cursor.header++;
    if (cursor.header === 5) cursor.left -= 4;
  }
  return at;
}

export interface CopyRelay {
  readonly source: Connection;
  /** `copy (…) to stdout …`; a statement of the simple protocol, so without parameters. */
  readonly sourceSql: Sql;
  readonly target: Connection;
  /** `copy … from stdin …` */
  readonly targetSql: Sql;
  /** Called as bytes pass: bytes and messages since the last call. A message is a row, give or take one. */
  readonly onBytes?: (bytes: number, messages: number) => void;
  /** Asked as bytes pass; while what it gives is not settled, no more are read. */
  readonly pace?: ((bytes: number) => Promise<void> | undefined) | undefined;
}

// A target's socket may hold that much before the source has to wait; nothing of what the source's socket lends, which reads into
// the same memory again.
const mostBuffered = 512 * 1024;

/**
 * Copies and gives the rows that the target took and the bytes that passed. On any failure (either server's, a lost
 * connection, an abort) **both connections are broken off**: the source would send the rest, the target would wait inside a
 * message for it. The first error is thrown, a server's own with all its fields.
 * @throws `upstream`, `connection_lost`, `stopped`, `conflict` if the target took other than what the source sent
 */
export async function relayCopy(relay: CopyRelay, signal?: AbortSignal): Promise<{ rows: number; bytes: number }> {
  for (const statement of [relay.sourceSql, relay.targetSql]) {
    if (statement.values.length > 0) throw new SluiceError('internal', 'COPY takes no parameters');
  }
  if (signal?.aborted) throw new SluiceError('stopped', 'stopped', { cause: signal.reason });
  let abort = () => {};
  try {
    return await new Promise((resolve, reject) => {
      abort = () => reject(new SluiceError('stopped', 'stopped', { cause: signal?.reason }));
      signal?.addEventListener('abort', abort, { once: true });
      startRelay(relay, { resolve, reject });
    });
  } catch (error) {
    relay.source.destroy();
    relay.target.destroy();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

interface Outcome {
  resolve(result: { rows: number; bytes: number }): void;
  reject(error: SluiceError): void;
}

/** The part of pg's connection that we stand on: its socket, whose data its parser reads by one listener. */
interface RawConnection {
  readonly stream: Duplex;
  query(text: string): void;
}

function startRelay(relay: CopyRelay, outcome: Outcome): void {
  let sent: number | undefined;
  let bytes = 0;
  let from: Duplex | undefined;
  let to: Duplex | undefined;
  let mostWaiting = mostBuffered;
  const gate = new Gate(
    () => from?.pause(),
    () => from?.resume(),
  );
  const written = () => {
    if (to?.writableLength === 0) gate.resume();
  };

  const target = new CopyQuery(relay.targetSql.text, 'target', {
    submitted: () => {},
    // Only now are rows read: the target may be waiting for a lock.
    copyIn: (stream) => {
      to = stream;
      gate.resume();
    },
    completed: (rows) => {
      if (to === undefined) outcome.reject(new SluiceError('internal', 'the target statement is not COPY FROM STDIN'));
      else if (rows === sent) outcome.resolve({ rows, bytes });
      else
        outcome.reject(
          new SluiceError('conflict', `the source sent ${sent} rows and the target kept ${rows}`, {
            hint: 'A trigger or rule of the target table drops rows.',
          }),
        );
    },
    failed: (error) => outcome.reject(saidBy(error, relay.target.server)),
  });

  const source = new CopyQuery(relay.sourceSql.text, 'source', {
    submitted: (stream) => {
      from = stream;
      if (to === undefined) from.pause();
      const lends = divert(stream, source, (run) => {
        bytes += run.bytes.length;
        relay.onBytes?.(run.bytes.length, run.frames);
        to?.write(run.bytes, written);
        if ((to?.writableLength ?? 0) > mostWaiting) gate.pause();
        gate.hold(relay.pace?.(run.bytes.length));
      });
      if (lends) mostWaiting = 0;
    },
    copyIn: () => outcome.reject(new SluiceError('internal', 'the source statement is not COPY TO STDOUT')),
    completed: (rows) => {
      // All rows are through: what the server says next must not wait, and the next COPY must find the stream as it wants it.
      gate.open(mostWaiting > 0);
      sent = rows;
      to?.write(copyDone);
    },
    failed: (error) => outcome.reject(saidBy(error, relay.source.server)),
  });
  relay.target.client.query(target);
  relay.source.client.query(source);
}

/** Two reasons why the source has to wait: the target is full, or the pace is over; it goes on when neither holds. */
class Gate {
  readonly #pause: () => void;
  readonly #resume: () => void;
  #full = false;
  #holds = 0;
  #open = false;

  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause;
    this.#resume = resume;
  }

  pause(): void {
    this.#full = true;
    this.#pause();
  }

  resume(): void {
    this.#full = false;
    if (this.#holds === 0) this.#resume();
  }

  hold(until: Promise<void> | undefined): void {
    if (until === undefined || this.#open) return;
    this.#holds++;
    this.#pause();
    const end = () => {
      if (this.#open) return;
      this.#holds--;
      if (!this.#full && this.#holds === 0) this.#resume();
    };
    // Its failure is that of whoever stopped it, who ends the relay as well.
    until.then(end, end);
  }

  /** For good: nothing is held any more. @param full also where the target is full; else it goes on when that has taken all */
  open(full: boolean): void {
    this.#open = true;
    this.#holds = 0;
    if (full) this.#full = false;
    if (!this.#full) this.#resume();
  }
}

/**
 * Takes CopyData out of the stream until the query ended; all else goes to pg's parser as before.
 * @returns whether what is taken is lent: it may be used until the stream reads on
 */
function divert(stream: Duplex, query: CopyQuery, take: (run: FrameRun) => void): boolean {
  const lending = lendingOf(stream);
  const parsers = stream.listeners('data') as ((chunk: Buffer) => void)[];
  const cursor = frameCursor();
  const cut = (chunk: Buffer) => {
    for (const run of cutFrames(cursor, chunk)) {
      if (run.copyData) take(run);
      // The parser keeps what is not whole.
      else
        for (const parser of parsers) parser.call(stream, lending === undefined ? run.bytes : Buffer.from(run.bytes));
    }
  };
  if (lending !== undefined) {
    const borrower: Borrower = {
      expecting: true,
      borrow(chunk) {
        cut(chunk);
        return true;
      },
    };
    lending.lendTo(borrower);
    query.ended = () => lending.lendTo(undefined);
    return true;
  }
  stream.removeAllListeners('data');
  stream.on('data', cut);
  query.ended = () => {
    stream.removeListener('data', cut);
    for (const parser of parsers) stream.on('data', parser);
  };
  return false;
}

interface CopyEvents {
  submitted(stream: Duplex): void;
  copyIn(stream: Duplex): void;
  /** Rows of `COPY n`; called when the server is ready for the next statement, for the source when it said `COPY n`. */
  completed(rows: number): void;
  failed(error: SluiceError): void;
}

/** One COPY, as pg's client hands it the messages of the server ("submittable"). */
class CopyQuery {
  readonly #text: string;
  readonly #side: 'source' | 'target';
  readonly #events: CopyEvents;
  #rows: number | undefined;
  /** What is to be undone on the stream when the query has ended. */
  ended: () => void = () => {};

  constructor(text: string, side: 'source' | 'target', events: CopyEvents) {
    this.#text = text;
    this.#side = side;
    this.#events = events;
  }

  submit(connection: RawConnection): void {
    connection.query(this.#text);
    this.#events.submitted(connection.stream);
  }

  handleCopyInResponse(connection: RawConnection): void {
    this.#events.copyIn(connection.stream);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const rows = /^COPY (\d+)$/.exec(message.text)?.[1];
    if (rows === undefined) return;
    this.#rows = Number(rows);
    if (this.#side === 'source') this.#events.completed(this.#rows);
  }

  handleReadyForQuery(): void {
    this.ended();
    if (this.#rows === undefined) this.#events.failed(new SluiceError('internal', `no COPY ran on the ${this.#side}`));
    else if (this.#side === 'target') this.#events.completed(this.#rows);
  }

  handleError(error: unknown): void {
    this.ended();
    const known = toSluiceError(error);
    // What pg says itself, without a code, is that the connection is gone.
    this.#events.failed(
      known.kind === 'internal'
        ? new SluiceError('connection_lost', `the connection to the ${this.#side} was lost during COPY`, {
            cause: error,
          })
        : known,
    );
  }

  // A statement that is no COPY answers rows; they are not ours to read.
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
}
