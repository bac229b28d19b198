// The names of a session: its prepared statements, portals and cursors, and where each of them lives.
import type { CommandResult } from '../commands/result.ts';
import type { Statement } from '../sql/statement.ts';
import type { Named } from '../wire/frontend.ts';
import type { Undo } from './asked.ts';
import type { PlainPiece } from './classify.ts';
import type { Shift } from './route.ts';
import type { ClientText } from './text.ts';
import type { Upstream } from './upstream.ts';

/** A plain statement in the text that it came in. */
export interface Said {
  readonly client: ClientText;
  readonly plain: PlainPiece;
}

/** A prepared statement or portal that lives at a server. */
export interface AtUpstream {
  readonly kind: 'upstream';
  readonly upstream: Upstream;
  readonly shift?: Shift | undefined;
  /** The statement, if the session must know when it has succeeded: PREPARE, DECLARE, and SET and the like. */
  readonly said?: Said | undefined;
  /** A statement that is about nobody: what to say at another upstream that has a transaction. */
  readonly anywhere?: { readonly bytes: Buffer; readonly types: Buffer } | undefined;
}

/** BEGIN, COMMIT, SET and the like: no rows, no parameters, and where they go is known only when they run. */
export type Control = { readonly kind: 'control'; readonly name: string } & Said;

export type Prepared =
  | { readonly kind: 'empty' }
  | { readonly kind: 'own'; readonly statement: Statement }
  | Control
  | AtUpstream;

export type Portal =
  | Exclude<Prepared, { readonly kind: 'own' }>
  | {
      readonly kind: 'own';
      readonly statement: Statement;
      readonly formats: readonly number[];
      result: CommandResult | undefined;
      sent: number;
    };

export class SessionNames {
  readonly #statements = new Map<string, Prepared>();
  readonly #portals = new Map<string, Portal>();
  /** Cursors WITH HOLD, and whether the transaction that declared them has been committed. */
  readonly #held = new Map<string, { readonly kept: boolean }>();
  #ghost = false;

  /** A simple query has had an unnamed portal of its own since one was bound. */
  get ghost(): boolean {
    return this.#ghost;
  }

  /** The upstream where a prepared statement or cursor of that name lives. */
  homeOf(name: string): string | undefined {
    const known = this.#portals.get(name) ?? this.#statements.get(name);
    return known?.kind === 'upstream' && !known.upstream.closed ? known.upstream.name : undefined;
  }

  /** The prepared statement (S) or portal (P) of that name, if it lives at a server. */
  upstreamOf(what: Named['what'], name: string): AtUpstream | undefined {
    const known = what === 'S' ? this.#statements.get(name) : this.#portals.get(name);
    return known?.kind === 'upstream' && !known.upstream.closed ? known : undefined;
  }

  has(what: Named['what'], name: string): boolean {
    return what === 'S' ? this.#statements.has(name) : this.#portals.has(name);
  }

  /** Undefined also for one whose server is gone. */
  statement(name: string): Prepared | undefined {
    return open(this.#statements.get(name));
  }

  /** Undefined also for one whose server is gone. */
  portal(name: string): Portal | undefined {
    return open(this.#portals.get(name));
  }

  /** Parse was sent on, or answered by us. */
  parsed(name: string, made: Prepared): Undo {
    const before = this.#statements.get(name);
    this.#statements.set(name, made);
    return (skipped) => {
      if (this.#statements.get(name) !== made) return;
      // A Parse that fails takes the unnamed statement with it; a named one stays what it was.
      if (before === undefined || (name === '' && !skipped)) this.#statements.delete(name);
      else this.#statements.set(name, before);
    };
  }

  /** Bind was sent on, or answered by us. */
  bound(name: string, made: Portal): Undo {
    const before = this.#portals.get(name);
    this.#portals.set(name, made);
    return () => {
      if (this.#portals.get(name) !== made) return;
      if (before === undefined) this.#portals.delete(name);
      else this.#portals.set(name, before);
    };
  }

  /** Close was sent on, or answered by us. */
  closed(what: Named['what'], name: string): Undo {
    const names = (what === 'S' ? this.#statements : this.#portals) as Map<string, Prepared | Portal>;
    const before = names.get(name);
    names.delete(name);
    return () => {
      if (before !== undefined && !names.has(name)) names.set(name, before);
    };
  }

  /** PREPARE has made it. */
  prepared(name: string, upstream: Upstream): void {
    this.#statements.set(name, { kind: 'upstream', upstream });
  }

  /** DECLARE has made it. */
  declared(name: string, upstream: Upstream, hold: boolean): void {
    this.#portals.set(name, { kind: 'upstream', upstream });
    if (hold) this.#held.set(name, { kept: false });
    else this.#held.delete(name);
  }

  /** CLOSE. Undefined: all cursors. */
  cursorClosed(name: string | undefined): void {
    for (const each of name === undefined ? [...this.#portals.keys()] : [name]) {
      this.#portals.delete(each);
      this.#held.delete(each);
    }
  }

  /** DEALLOCATE. */
  forget(name: string): void {
    this.#statements.delete(name);
  }

  /** A simple query takes the unnamed statement and portal with it: at that upstream, or (none given) wherever they are. */
  forgetUnnamed(at?: Upstream): void {
    this.#ghost = true;
    for (const names of [this.#statements, this.#portals]) {
      const known = names.get('');
      if (at === undefined || (known?.kind === 'upstream' && known.upstream === at)) names.delete('');
    }
  }

  /** DEALLOCATE ALL. The unnamed one stays, as it does at a server. */
  forgetStatements(): void {
    for (const name of this.#statements.keys()) if (name !== '') this.#statements.delete(name);
  }

  /** The transaction is over, and with it all portals but cursors WITH HOLD of one that was committed. */
  forgetPortals(committed: boolean): void {
    for (const name of this.#portals.keys()) {
      const held = this.#held.get(name);
      if (held === undefined || !(held.kept || committed)) this.cursorClosed(name);
      else this.#held.set(name, { kept: true });
    }
  }

  forgetAll(): void {
    this.forgetStatements();
    this.#portals.clear();
    this.#held.clear();
  }
}

function open<K extends Prepared | Portal>(known: K | undefined): K | undefined {
  return known?.kind === 'upstream' && known.upstream.closed ? undefined : known;
}
