// One thing that was asked of a server, and what has come of it so far.
import type { ServerErrorFields } from '../base/errors.ts';
import { backend } from '../wire/backend.ts';
import type { Shift } from './route.ts';

export type Question =
  | 'query'
  | 'function'
  | 'parse'
  | 'bind'
  | 'describe_statement'
  | 'describe_portal'
  | 'execute'
  | 'close'
  | 'sync'
  /** Whether the server has read the Syncs before a COPY that failed as part of it. */
  | 'recount';

export interface Asked {
  readonly kind: Question;
  /** Asked by the gateway itself: the client hears nothing of the answer. */
  readonly quiet: boolean;
  /** The client has had the answer already, from us: it hears of an error only. */
  readonly hushed: boolean;
  /** Went straight on: the client hears the server's own ReadyForQuery, and nobody waits for the answer. */
  readonly straight: boolean;
  readonly shift: Shift | undefined;
  /** Takes back what was noted when it was asked, if it comes to nothing: it failed, or was skipped after a failure. */
  readonly undo: Undo | undefined;
  /** Answered, or skipped by the server after an error. */
  done: boolean;
  /** Never to be answered: a Sync that the server has read as part of a COPY. */
  dropped: boolean;
  error: ServerErrorFields | undefined;
  /** Command tags that came; of a simple query only. */
  readonly tags: string[];
  /** Called with the tag when a command is complete. */
  readonly completed: ((tag: string) => void) | undefined;
}

export type Undo = (skipped: boolean) => void;

type Facts = Partial<Pick<Asked, 'quiet' | 'hushed' | 'straight' | 'shift' | 'undo' | 'completed'>>;
const noFacts: Facts = {};
const noTags: string[] = [];

export function asked(kind: Question, facts: Facts = noFacts): Asked {
  const { quiet = false, hushed = false, straight = false, shift, undo, completed } = facts;
  const tags = kind === 'query' ? [] : noTags;
  return { kind, quiet, hushed, straight, shift, undo, completed, done: false, dropped: false, error: undefined, tags };
}

// Answers that end what was asked, by the kind of question. ErrorResponse and ReadyForQuery are seen to apart.
const endings: Readonly<Record<Question, readonly number[]>> = {
  query: [],
  function: [],
  sync: [],
  recount: [backend.closeComplete],
  parse: [backend.parseComplete],
  bind: [backend.bindComplete],
  close: [backend.closeComplete],
  describe_statement: [backend.rowDescription, backend.noData],
  describe_portal: [backend.rowDescription, backend.noData],
  execute: [backend.commandComplete, backend.emptyQuery, backend.portalSuspended],
};

/** Whether a message of that type is the last of the answer. */
export function ends(question: Asked, type: number): boolean {
  return endings[question.kind].includes(type);
}
