// COPY from one server into another: the frames of CopyData go from socket to socket unread, with back-pressure.
import type { Duplex } from 'node:stream';
import { SluiceError, saidBy, toSluiceError } from '../base/errors.ts';
import type { Connection } from './client.ts';
import { copyData, cutFrames, type FrameRun, frameCursor, headerBytes } from './copy-frames.ts';
import { type Borrower, lendingOf } from './lending.ts';
import type { Sql } from './sql.ts';

// CopyDone: 'c' and a length that counts itself. https://www.postgresql.org/docs/18/protocol-message-formats.html
const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);

/** Rows out of one statement into another; both of the simple protocol, so without parameters. */
export interface CopyStep {
  /** `copy (…) to stdout …` */
  readonly sourceSql: Sql;
  /** `copy … from stdin …` */
  readonly targetSql: Sql;
}

/** What a step brought. */
export interface Copied {
  /** That the target took. */
  readonly rows: number;
  /** That passed. */
  readonly bytes: number;
}

interface Relay {
  readonly source: Connection;
  readonly target: Connection;
  /** Asked as bytes pass; while what it gives is not settled, no more are read. */
  readonly pace?: ((bytes: number) => Promise<void> | undefined) | undefined;
}

export interface CopyRelay extends Relay, CopyStep {
  /** Called as bytes pass: bytes and messages since the last call. A message is a row, give or take one. */
  readonly onBytes?: (bytes: number, messages: number) => void;
}

export interface CopiesRelay extends Relay {
  readonly steps: readonly CopyStep[];
  /** As for one, with the step's place. */
  readonly onBytes?: (step: number, bytes: number, messages: number) => void;
  /** Told when all rows of a step have passed. */
  readonly onPassed?: (step: number) => void;
  /** Told before it throws: the first step that is not done. */
  readonly onFailure?: (step: number) => void;
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
export async function relayCopy(relay: CopyRelay, signal?: AbortSignal): Promise<Copied> {
  const { onBytes, ...rest } = relay;
  const told = onBytes === undefined ? {} : { onBytes: (_: number, ...more: [number, number]) => onBytes(...more) };
  const [copied] = await relayCopies({ ...rest, ...told, steps: [relay] }, signal);
  return copied ?? { rows: 0, bytes: 0 };
}

/**
 * Several, one after another and as one: each server gets all of its statements at once, so that between two of them nobody waits
 * for an answer. Inside a transaction of each side; what holds for one holds for all.
 * @throws as `relayCopy`
 */
export async function relayCopies(relay: CopiesRelay, signal?: AbortSignal): Promise<readonly Copied[]> {
  for (const statement of relay.steps.flatMap((step) => [step.sourceSql, step.targetSql])) {
    if (statement.values.length > 0) throw new SluiceError('internal', 'COPY takes no parameters');
  }
  if (relay.steps.length === 0) return [];
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
  resolve(result: readonly Copied[]): void;
  reject(error: SluiceError): void;
}

/** The part of pg's connection that we stand on: its socket, whose data its parser reads by one listener. */
interface RawConnection {
  readonly stream: Duplex;
  query(text: string): void;
}

function startRelay(relay: CopiesRelay, outcome: Outcome): void {
  const { steps } = relay;
  const bytes = steps.map(() => 0);
  /** Rows of the steps that are through. */
  const sent: number[] = [];
  let taken = 0;
  let from: Duplex | undefined;
  let to: Duplex | undefined;
  let lends = false;
  const isFull = () => (to?.writableLength ?? 0) > (lends ? 0 : mostBuffered);
  const gate = new Gate(
    () => from?.pause(),
    () => from?.resume(),
  );
  const written = () => {
    if (to?.writableLength === 0) gate.resume();
  };
  let isOver = false;
  const reject = (at: number, error: SluiceError) => {
    if (!isOver) relay.onFailure?.(Math.min(at, steps.length - 1));
    isOver = true;
    outcome.reject(error);
  };
  const wrong = (at: number, why: string) => reject(at, new SluiceError('internal', why));

  const target = new CopyQuery(textOf(steps.map(({ targetSql }) => targetSql)), 'target', {
    submitted: () => {},
    // Only now are rows read: the target may be waiting for a lock.
    copyIn: (stream) => {
      to = stream;
      gate.resume();
    },
    copied: () => {
      taken++;
    },
    completed: (rows) => {
      const differs = steps.findIndex((_, step) => rows[step] !== sent[step]);
      if (to === undefined) wrong(0, 'the target statement is not COPY FROM STDIN');
      else if (rows.length < steps.length) wrong(rows.length, 'no COPY ran on the target');
      else if (differs < 0)
        outcome.resolve(steps.map((_, step) => ({ rows: rows[step] ?? 0, bytes: bytes[step] ?? 0 })));
      else reject(differs, keptOther(sent[differs] ?? 0, rows[differs] ?? 0));
    },
    failed: (error) => reject(taken, saidBy(error, relay.target.server)),
  });

  const source = new CopyQuery(textOf(steps.map(({ sourceSql }) => sourceSql)), 'source', {
    submitted: (stream) => {
      from = stream;
      if (to === undefined) from.pause();
      lends = divert(stream, source, (run) => {
        const step = sent.length;
        bytes[step] = (bytes[step] ?? 0) + run.bytes.length;
        relay.onBytes?.(step, run.bytes.length, run.frames);
        if (to !== undefined && run.bytes.length > 0) writeData(to, run.bytes, written);
        if (isFull()) gate.pause();
        gate.hold(relay.pace?.(run.bytes.length));
      });
    },
    copyIn: () => wrong(sent.length, 'the source statement is not COPY TO STDOUT'),
    copied: (rows) => {
      // All rows are through: what the server says next must not wait, and the next COPY must find the stream as it wants it.
      if (sent.push(rows) === steps.length) gate.open(!lends);
      to?.write(copyDone);
      relay.onPassed?.(sent.length - 1);
    },
    completed: (rows) => {
      if (rows.length < steps.length) wrong(rows.length, 'no COPY ran on the source');
    },
    failed: (error) => reject(sent.length, saidBy(error, relay.source.server)),
  });
  relay.target.client.query(target);
  relay.source.client.query(source);
}

function textOf(statements: readonly Sql[]): string {
  return statements.map(({ text }) => text).join('; ');
}

function keptOther(sent: number, kept: number): SluiceError {
  return new SluiceError('conflict', `the source sent ${sent} rows and the target kept ${kept}`, {
    hint: 'A trigger or rule of the target table drops rows.',
  });
}

/** As one message, whose borders mean nothing to COPY: a server takes each by itself, for some 70 ns. */
function writeData(to: Duplex, bytes: Buffer, written: () => void): void {
  const header = Buffer.allocUnsafe(headerBytes);
  header[0] = copyData;
  header.writeUInt32BE(bytes.length + 4, 1);
  to.cork();
  to.write(header);
  to.write(bytes, written);
  to.uncork();
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
  /** Rows of `COPY n`, when a statement is done. */
  copied(rows: number): void;
  /** Those of all of them, when the server is ready for the next statement. */
  completed(rows: readonly number[]): void;
  failed(error: SluiceError): void;
}

/** COPY statements, as pg's client hands the messages of the server on ("submittable"). */
class CopyQuery {
  readonly #text: string;
  readonly #side: 'source' | 'target';
  readonly #events: CopyEvents;
  readonly #rows: number[] = [];
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
    this.#rows.push(Number(rows));
    this.#events.copied(Number(rows));
  }

  handleReadyForQuery(): void {
    this.ended();
    this.#events.completed(this.#rows);
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
