// The conversation after login: each message to the one that answers it, errors to their place, skip until Sync.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import { readyForQuery, type TransactionStatus } from './backend.ts';
import { errorResponse, shutdownError } from './failure.ts';
import { type Frame, frontend } from './frames.ts';
import {
  type BindMessage,
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
  type ExecuteMessage,
  type Named,
  type ParseMessage,
} from './frontend.ts';
import type { Inbox, Outbox } from './inbox.ts';
import { arrivalWithin, idleError, mostPatience, type Patience, patienceFor } from './patience.ts';

/**
 * What answers a client. Each call may send to the client whatever belongs to its message, but for ReadyForQuery, and may
 * throw: the session sends the error. https://www.postgresql.org/docs/18/protocol-flow.html
 */
export interface Backend {
  /** For ReadyForQuery. */
  readonly status: TransactionStatus;
  /** An extended query has failed: everything up to the next Sync is skipped. */
  readonly skipping: boolean;
  /** An extended query waits for COPY data. */
  readonly copying: boolean;
  /** The session cannot go on; the client has been told. */
  readonly over: boolean;
  /**
   * Deals with a message at once, in the turn in which it came, and sends what answers it, with ReadyForQuery, whenever that
   * comes. False: nothing was done, and the message is to be handed in as ever.
   */
  take(frame: Frame): boolean;
  /** A ReadyForQuery has yet to come for what was taken. */
  readonly pending: boolean;
  /** Resolves when none has. */
  settled(): Promise<void>;
  query(text: Buffer): Promise<void>;
  functionCall(raw: Buffer): Promise<void>;
  parse(message: ParseMessage, raw: Buffer): Promise<void>;
  bind(message: BindMessage, raw: Buffer): Promise<void>;
  describe(message: Named, raw: Buffer): Promise<void>;
  execute(message: ExecuteMessage, raw: Buffer): Promise<void>;
  close(message: Named, raw: Buffer): Promise<void>;
  flush(): Promise<void>;
  /** Ends an extended query. False: COPY goes on and there is no ReadyForQuery. */
  sync(): Promise<boolean>;
  /** CopyData, CopyDone or CopyFail. */
  copy(frame: Frame): Promise<void>;
  /** A message of another type has come where COPY data was awaited: that fails, and all up to Sync is skipped. */
  breakCopy(type: number): Promise<void>;
  /** One of the calls above threw: the transaction must fail, and in an extended query that goes on all up to Sync is skipped. */
  fail(protocol: 'simple' | 'extended'): Promise<void>;
  /** Waits until what was asked is answered, so that something else may be said. */
  settle(): Promise<void>;
}

export interface SessionDeps {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly backend: Backend;
  /** Aborted: end when nothing is being done. */
  readonly stopping: AbortSignal;
  readonly patience: Patience;
  /** Called with each error that was ours. */
  readonly onError: (error: SluiceError) => void;
}

/** Where a conversation stands, whoever dealt with its last message. */
interface Talk {
  /** An extended query has begun that no Sync has ended: the client is not idle, and may be reading its answers. */
  midway: boolean;
  /** When something was last heard, by performance.now(). */
  heardAt: number;
}

/**
 * Answers a client until it leaves, the session is over or the gateway stops. Never throws.
 * @returns what the client must yet be told, as FATAL
 */
export async function converse(deps: SessionDeps): Promise<SluiceError | undefined> {
  const { inbox, outbox, backend, stopping } = deps;
  const talk: Talk = { midway: false, heardAt: 0 };
  const express = (frame: Frame) => {
    if (!backend.take(frame)) return false;
    if (frame.kind === 'message') talk.midway = isMidway(frame.type, talk.midway);
    talk.heardAt = performance.now();
    return true;
  };
  while (!backend.over) {
    const frame = inbox.shift();
    if (frame === undefined) {
      if (inbox.ended) break;
      if (stopping.aborted && backend.pending) {
        await backend.settled();
        continue;
      }
      if (stopping.aborted && backend.status === 'I' && !talk.midway) return shutdownError();
      // Who has been told to stop gets no new work that nobody waits for.
      const late = await nextFrame(deps, talk, stopping.aborted ? undefined : express);
      if (late !== undefined) return late;
      continue;
    }
    // What was taken is answered before anything else is said.
    if (backend.pending) await backend.settled();
    if (backend.over || (frame.kind === 'message' && frame.type === frontend.terminate)) return undefined;
    const ready = await answer(frame, deps);
    if (ready) talk.midway = false;
    else if (frame.kind === 'message' && opening.has(frame.type)) talk.midway = true;
    if (outbox.full) await outbox.drained();
  }
  if (inbox.failure !== undefined && !backend.over) await backend.settle();
  return inbox.failure;
}

/** Waits for a frame that was not taken on its way, an end or a wake. @returns what a client is told that was silent for too long */
async function nextFrame(
  { inbox, backend, patience }: SessionDeps,
  talk: Talk,
  express: ((frame: Frame) => boolean) | undefined,
): Promise<SluiceError | undefined> {
  talk.heardAt = performance.now();
  for (;;) {
    const { status } = backend;
    const limitMs = talk.midway ? 0 : patienceFor(status, patience);
    // In the middle of something there is no end to patience; whether it has come to an end is looked at when one would be over.
    const silentMs = performance.now() - talk.heardAt;
    const waitMs = limitMs === 0 ? mostPatience(patience) : Math.max(1, limitMs - silentMs);
    if (await arrivalWithin(inbox, waitMs, express)) return undefined;
    if (talk.midway || backend.pending) talk.heardAt = performance.now();
    else if (limitMs > 0 && performance.now() - talk.heardAt >= limitMs) return idleError(status);
  }
}

function isMidway(type: number, before: boolean): boolean {
  if (type === frontend.sync || type === frontend.query) return false;
  return before || opening.has(type);
}

const opening: ReadonlySet<number> = new Set([
  frontend.parse,
  frontend.bind,
  frontend.describe,
  frontend.execute,
  frontend.close,
]);

const duringCopy: ReadonlySet<number> = new Set([
  frontend.copyDone,
  frontend.copyFail,
  frontend.flush,
  frontend.sync,
  // Taken as nothing at any time.
  frontend.password,
]);

/** @returns whether the client has been told that we are ready for the next query */
async function answer(frame: Frame, deps: SessionDeps): Promise<boolean> {
  const { backend, outbox } = deps;
  const isSync = frame.kind === 'message' && frame.type === frontend.sync;
  if (backend.skipping && !isSync) return false;
  if (backend.copying && frame.kind === 'message' && !duringCopy.has(frame.type)) {
    await backend.breakCopy(frame.type);
    return false;
  }
  const simple = frame.kind === 'message' && (frame.type === frontend.query || frame.type === frontend.functionCall);
  let ready = simple;
  try {
    ready = (await dispatch(frame, backend)) ?? simple;
  } catch (thrown) {
    const error = toSluiceError(thrown);
    deps.onError(error);
    outbox.send(errorResponse(error, backend.over ? 'FATAL' : 'ERROR'));
    // A Sync that fails has ended its extended query all the same.
    ready = simple || isSync;
    await backend.fail(ready ? 'simple' : 'extended');
  }
  if (ready && !backend.over) outbox.send(readyForQuery(backend.status));
  return ready;
}

/** @returns for Sync whether ReadyForQuery follows */
async function dispatch(frame: Frame, backend: Backend): Promise<boolean | undefined> {
  if (frame.kind === 'copy') {
    await backend.copy(frame);
    return undefined;
  }
  const { type, body, raw } = frame;
  switch (type) {
    case frontend.query:
      return void (await backend.query(decodeQuery(body)));
    case frontend.functionCall:
      return void (await backend.functionCall(raw));
    case frontend.parse:
      return void (await backend.parse(decodeParse(body), raw));
    case frontend.bind:
      return void (await backend.bind(decodeBind(body), raw));
    case frontend.describe:
      return void (await backend.describe(decodeNamed(body, 'DESCRIBE'), raw));
    case frontend.execute:
      return void (await backend.execute(decodeExecute(body), raw));
    case frontend.close:
      return void (await backend.close(decodeNamed(body, 'CLOSE'), raw));
    case frontend.flush:
      return void (await backend.flush());
    case frontend.sync:
      return backend.sync();
    case frontend.copyDone:
    case frontend.copyFail:
      return void (await backend.copy(frame));
    default:
      // A password message after login: PostgreSQL complains of no other.
      return undefined;
  }
}
