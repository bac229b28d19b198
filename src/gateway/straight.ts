// The straight way: what is by far the most frequent in a session goes on to its home as it came, in the turn in which it came.
import { type Frame, frontend, type MessageFrame } from '../wire/frames.ts';
import type { Outbox } from '../wire/inbox.ts';
import { asked } from './asked.ts';

import type { PlainTexts } from './plain-texts.ts';
import type { SessionNames } from './session-names.ts';
import type { Switchboard } from './switchboard.ts';
import { catalogName } from './transaction.ts';
import type { Upstream } from './upstream.ts';

/**
 * The session's home, if what names nobody else may go there now without a thought: it was asked last, so that answers keep
 * their order; it has heard BEGIN and SET; it skips nothing, takes no COPY data and reads as fast as it is told.
 */
export function homeAhead<Home extends HomeFacts>(session: SessionFacts<Home>): Home | undefined {
  const { active, home, transaction, settings } = session;
  if (active === undefined || active.name !== home || active.closed) return undefined;
  if (active.failed || active.copyIn || active.backlogged || active.heard < settings.last) return undefined;
  if (transaction.at === 'none') return active;
  // One that has just begun is no longer anybody's to have once its owner has heard more.
  const here = transaction.at === 'owned' && transaction.owner === home && transaction.fresh === undefined;
  return here ? active : undefined;
}

export type HomeFacts = Pick<Upstream, 'name' | 'closed' | 'failed' | 'copyIn' | 'backlogged' | 'heard'>;
export interface SessionFacts<Home> extends Pick<Switchboard, 'home' | 'transaction'> {
  readonly active: Home | undefined;
  readonly settings: { readonly last: number };
}

export interface StraightDeps {
  readonly board: Switchboard;
  readonly names: SessionNames;
  readonly outbox: Outbox;
  readonly texts: PlainTexts;
  /** Whether everything up to the next Sync is skipped. */
  readonly isSkipping: () => boolean;
}

export class StraightWay {
  readonly #deps: StraightDeps;

  constructor(deps: StraightDeps) {
    this.#deps = deps;
  }

  /** Sends a message on, if it may go straight. False: nothing was done. */
  take(frame: Frame): boolean {
    const { board, outbox, isSkipping } = this.#deps;
    if (frame.kind !== 'message' || board.readOnly || isSkipping() || outbox.full) return false;
    const home = homeAhead(board);
    if (home === undefined) return false;
    switch (frame.type) {
      case frontend.query:
        return this.#query(home, frame.raw);
      case frontend.parse:
        return this.#parse(home, frame.raw);
      case frontend.bind:
        return this.#bind(home, frame.raw);
      case frontend.describe:
      case frontend.close:
        return this.#named(home, frame);
      case frontend.execute:
        return this.#execute(home, frame.raw);
      case frontend.flush:
        if (home.dirty) home.send(frame.raw);
        return home.dirty;
      case frontend.sync:
        // One that ends nothing, or something elsewhere as well, needs a thought.
        if (!home.dirty || board.isDirtyBeside(home)) return false;
        home.ask(frame.raw, asked('sync', { straight: true }));
        return true;
      default:
        return false;
    }
  }

  #query(home: Upstream, raw: Buffer): boolean {
    const end = raw.length - 1;
    if (home.dirty || raw[end] !== 0 || !this.#isPlain(raw, 5, end)) return false;
    this.#deps.names.forgetUnnamed();
    home.ask(raw, asked('query', { straight: true }));
    return true;
  }

  #parse(home: Upstream, raw: Buffer): boolean {
    // On the catalog it may yet have to be said elsewhere.
    if (home.name === catalogName) return false;
    const nameEnd = raw.indexOf(0, 5);
    const end = nameEnd < 0 ? -1 : raw.indexOf(0, nameEnd + 1);
    if (end < 0 || !this.#isPlain(raw, nameEnd + 1, end)) return false;
    const { names } = this.#deps;
    const name = textAt(raw, 5, nameEnd);
    const known = names.upstreamOf('S', name);
    // One that lives elsewhere, or with us, is refused or replaced there.
    if (known === undefined ? names.has('S', name) : known.upstream !== home) return false;
    const undo = names.parsed(name, { kind: 'upstream', upstream: home });
    home.ask(raw, asked('parse', { straight: true, undo }));
    return true;
  }

  #bind(home: Upstream, raw: Buffer): boolean {
    const portalEnd = raw.indexOf(0, 5);
    const end = portalEnd < 0 ? -1 : raw.indexOf(0, portalEnd + 1);
    if (end < 0) return false;
    const { names } = this.#deps;
    const prepared = names.upstreamOf('S', textAt(raw, portalEnd + 1, end));
    if (prepared?.upstream !== home || prepared.said !== undefined) return false;
    const portal = textAt(raw, 5, portalEnd);
    // One that lives elsewhere, or with us, is in the way.
    const taken = portal === '' ? undefined : names.portal(portal);
    if (taken !== undefined && (taken.kind !== 'upstream' || taken.upstream !== home)) return false;
    home.ask(raw, asked('bind', { straight: true, shift: prepared.shift, undo: names.bound(portal, prepared) }));
    return true;
  }

  #named(home: Upstream, { type, raw }: MessageFrame): boolean {
    const what = raw[5] === letterS ? 'S' : raw[5] === letterP ? 'P' : undefined;
    const end = raw.length - 1;
    if (what === undefined || raw.indexOf(0, 6) !== end) return false;
    const { names } = this.#deps;
    const name = textAt(raw, 6, end);
    const known = names.upstreamOf(what, name);
    if (known?.upstream !== home) return false;
    if (type === frontend.close) {
      home.ask(raw, asked('close', { straight: true, undo: names.closed(what, name) }));
      return true;
    }
    const question = what === 'S' ? 'describe_statement' : 'describe_portal';
    home.ask(raw, asked(question, { straight: true, shift: known.shift }));
    return true;
  }

  #execute(home: Upstream, raw: Buffer): boolean {
    const end = raw.indexOf(0, 5);
    if (end < 0 || end + 5 !== raw.length) return false;
    const portal = this.#deps.names.upstreamOf('P', textAt(raw, 5, end));
    if (portal?.upstream !== home || portal.said !== undefined) return false;
    home.ask(raw, asked('execute', { straight: true, shift: portal.shift }));
    return true;
  }

  #isPlain(raw: Buffer, start: number, end: number): boolean {
    const { board, texts } = this.#deps;
    return texts.isPlain(raw, { start, end, backslashEscapes: board.backslashEscapes });
  }
}

const letterS = 0x53;
const letterP = 0x50;

// Most names are empty: the unnamed statement and portal.
function textAt(bytes: Buffer, start: number, end: number): string {
  return start === end ? '' : bytes.toString('utf8', start, end);
}
