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
import { arrivalWithin, idleError, type Patience, patienceFor } from './patience.ts';

/**
 * What answers a client. Each call may send to the client whatever belongs to its message, but for ReadyForQuery, and may
 * throw: the session sends the error. https://www.postgresql.org/docs/18/protocol-flow.html
 */
export interface Backend {
  /** For ReadyForQuery. */
  readonly status: TransactionStatus;
  /** An extended query has failed: everything up to the next Sync is skipped. */
  readonly skipping: boolean;
  /** The session cannot go on; the client has been told. */
  readonly over: boolean;
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
  /** One of the calls above threw: the transaction must fail, and in an extended query all up to Sync is skipped. */
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

/**
 * Answers a client until it leaves, the session is over or the gateway stops. Never throws.
 * @returns what the client must yet be told, as FATAL
 */
export async function converse(deps: SessionDeps): Promise<SluiceError | undefined> {
  const { inbox, outbox, backend, stopping, patience } = deps;
  // An extended query has begun that no Sync has ended: the client is not idle, and may be reading its answers.
  let midway = false;
  while (!backend.over) {
    const frame = inbox.shift();
    if (frame === undefined) {
      if (inbox.ended) break;
      const { status } = backend;
      if (stopping.aborted && status === 'I' && !midway) return shutdownError();
      const came = await arrivalWithin(inbox, midway ? 0 : patienceFor(status, patience));
      if (!came) return idleError(status);
      continue;
    }
    if (frame.kind === 'message' && frame.type === frontend.terminate) return undefined;
    const ready = await answer(frame, deps);
    if (ready) midway = false;
    else if (frame.kind === 'message' && opening.has(frame.type)) midway = true;
    if (outbox.full) await outbox.drained();
  }
  if (inbox.failure !== undefined && !backend.over) await backend.settle();
  return inbox.failure;
}

const opening: ReadonlySet<number> = new Set([
  frontend.parse,
  frontend.bind,
  frontend.describe,
  frontend.execute,
  frontend.close,
]);

/** @returns whether the client has been told that we are ready for the next query */
async function answer(frame: Frame, deps: SessionDeps): Promise<boolean> {
  const { backend, outbox } = deps;
  const isSync = frame.kind === 'message' && frame.type === frontend.sync;
  if (backend.skipping && !isSync) return false;
  const simple = frame.kind === 'message' && (frame.type === frontend.query || frame.type === frontend.functionCall);
  let ready = simple;
  try {
    ready = (await dispatch(frame, backend)) ?? simple;
  } catch (thrown) {
    const error = toSluiceError(thrown);
    deps.onError(error);
    outbox.send(errorResponse(error, backend.over ? 'FATAL' : 'ERROR'));
    await backend.fail(simple ? 'simple' : 'extended');
    // A Sync that fails has ended its extended query all the same.
    ready = simple || isSync;
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
      return void (await backend.describe(decodeNamed(body), raw));
    case frontend.execute:
      return void (await backend.execute(decodeExecute(body), raw));
    case frontend.close:
      return void (await backend.close(decodeNamed(body), raw));
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
