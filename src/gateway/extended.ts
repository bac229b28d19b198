// The extended query: prepared statements and portals, each at the upstream that owns it or with us.
import { SluiceError } from '../base/errors.ts';
import type { CommandResult } from '../commands/result.ts';
import { changesNothing, type Statement } from '../sql/statement.ts';
import * as say from '../wire/backend.ts';
import type { BindMessage, ExecuteMessage, Named, ParseMessage } from '../wire/frontend.ts';
import type { Client } from '../wire/house.ts';
import { controlKinds, leavingKinds } from './act.ts';
import { describeColumns, sendRows } from './answer.ts';
import { asked, type Undo } from './asked.ts';
import { type Classifier, type PlainPiece, textOf } from './classify.ts';
import type { OwnStatements } from './own.ts';
import type { Shift } from './route.ts';
import type { Switchboard } from './switchboard.ts';
import type { ClientText } from './text.ts';
import { catalogName, place, transactionFailed } from './transaction.ts';
import type { Upstream } from './upstream.ts';

/** A prepared statement or portal that lives at a server. */
export interface AtUpstream {
  readonly kind: 'upstream';
  readonly upstream: Upstream;
  readonly shift?: Shift | undefined;
  /** The statement, if the session must know when it has succeeded: PREPARE, DECLARE, and SET and the like. */
  readonly said?: Said | undefined;
}

export interface Said {
  readonly client: ClientText;
  readonly plain: PlainPiece;
}

type Prepared =
  | { readonly kind: 'empty' }
  | { readonly kind: 'own'; readonly statement: Statement }
  /** BEGIN, COMMIT, SET and the like: no rows, no parameters, and where they go is known only when they run. */
  | ({ readonly kind: 'control' } & Said)
  | AtUpstream;

type Portal =
  | Exclude<Prepared, { readonly kind: 'own' }>
  | {
      readonly kind: 'own';
      readonly statement: Statement;
      readonly formats: readonly number[];
      result: CommandResult | undefined;
      sent: number;
    };

export interface ExtendedDeps {
  readonly board: Switchboard;
  readonly own: OwnStatements;
  readonly client: Client;
  readonly classifier: Classifier;
  /** Runs a plain statement of its own; false: it failed and the client knows. */
  readonly runPlain: (client: ClientText, plain: PlainPiece) => Promise<boolean>;
  /** Notes what a plain statement has left behind in the session. */
  readonly remember: (client: ClientText, plain: PlainPiece, done: { upstream: Upstream; tag: string }) => void;
  readonly isSkipping: () => boolean;
  /** From here to the next Sync everything is skipped. */
  readonly skip: () => Promise<void>;
}

// https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
export class ExtendedQuery {
  readonly #deps: ExtendedDeps;
  readonly #statements = new Map<string, Prepared>();
  readonly #portals = new Map<string, Portal>();
  readonly #held = new Set<string>();
  /** A simple query has had an unnamed portal of its own since one was bound. */
  #ghost = false;

  constructor(deps: ExtendedDeps) {
    this.#deps = deps;
  }

  /** The upstream where a prepared statement or cursor of that name lives. */
  homeOf(name: string): string | undefined {
    const known = this.#portals.get(name) ?? this.#statements.get(name);
    return known?.kind === 'upstream' && !known.upstream.closed ? known.upstream.name : undefined;
  }

  /** The prepared statement (S) or portal (P) of that name, if it lives at a server. */
  upstreamOf(what: Named['what'], name: string): AtUpstream | undefined {
    const known = this.#namesOf(what).get(name);
    return known?.kind === 'upstream' && !known.upstream.closed ? known : undefined;
  }

  has(what: Named['what'], name: string): boolean {
    return this.#namesOf(what).has(name);
  }

  /** Parse was sent on. */
  parsed(name: string, made: AtUpstream): Undo {
    const before = this.#statements.get(name);
    this.#statements.set(name, made);
    return (skipped) => {
      if (this.#statements.get(name) !== made) return;
      // A Parse that fails takes the unnamed statement with it; a named one stays what it was.
      if (before === undefined || (name === '' && !skipped)) this.#statements.delete(name);
      else this.#statements.set(name, before);
    };
  }

  /** Bind was sent on. */
  bound(portal: string, prepared: AtUpstream): void {
    this.#portals.set(portal, prepared);
  }

  /** Close was sent on. */
  closed(what: Named['what'], name: string): Undo {
    const names = this.#namesOf(what);
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
    if (hold) this.#held.add(name);
  }

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

  /** The unnamed one stays, as it does at a server. */
  forgetStatements(): void {
    for (const name of this.#statements.keys()) if (name !== '') this.#statements.delete(name);
  }

  /** The transaction is over, and with it all portals but cursors WITH HOLD. */
  forgetPortals(): void {
    for (const name of this.#portals.keys()) if (!this.#held.has(name)) this.#portals.delete(name);
  }

  forgetAll(): void {
    this.forgetStatements();
    this.#portals.clear();
    this.#held.clear();
  }

  async parse(message: ParseMessage, raw: Buffer): Promise<void> {
    const { name } = message;
    const { board, classifier } = this.#deps;
    const client = classifier.read(message.query);
    if (client === undefined || client.pieces.length > 1) {
      if (board.readOnly) throw new SluiceError('limit', 'statement is too long', { sqlstate: '54000' });
      // Too much to be read goes on as it is; of several statements the server says in its own words that they are too many.
      await this.#prepareAt(this.#whereNow(), { name, forwarded: raw });
      return;
    }
    const { pieces } = client;
    const known = name === '' ? undefined : this.#statements.get(name);
    const taken = known !== undefined && (known.kind !== 'upstream' || !known.upstream.closed);
    const classified = pieces[0] === undefined ? undefined : await classifier.classify(pieces[0]);
    const target = classified?.kind === 'plain' ? this.#targetOf(classified) : undefined;
    if (classified?.kind === 'plain' && target !== undefined) {
      if (taken && (known.kind !== 'upstream' || known.upstream.name !== target)) throw alreadyExists(name);
      const { bytes, cuts, shift } = textOf(client, [classified]);
      const forwarded = cuts.length === 0 ? raw : say.parseMessage(name, bytes, message.types);
      const { kind } = classified.act;
      const said = controlKinds.has(kind) || leavingKinds.has(kind) ? { client, plain: classified } : undefined;
      await this.#prepareAt(target, { name, forwarded, shift, said });
      return;
    }
    if (classified?.kind === 'raw') {
      if (taken) throw alreadyExists(name);
      const forwarded = say.parseMessage(name, Buffer.from(classified.query), message.types);
      await this.#prepareAt(classified.peer, { name, forwarded, shift: classified.shift });
      return;
    }
    if (classified === undefined && (board.transaction.at === 'owned' || board.home !== catalogName)) {
      await this.#prepareAt(this.#whereNow(), { name, forwarded: raw });
      return;
    }
    if (taken) throw alreadyExists(name);
    if (classified === undefined) this.#statements.set(name, { kind: 'empty' });
    else if (classified.kind === 'own') this.#statements.set(name, classified);
    else this.#statements.set(name, { kind: 'control', client, plain: classified });
    await this.#say(say.parseComplete);
  }

  /** Where a statement is prepared; undefined: with us, until it is known where it runs. */
  #targetOf(plain: PlainPiece): string | undefined {
    const { board } = this.#deps;
    const { kind } = plain.act;
    const target = place(plain, board.transaction, board.home);
    if (!controlKinds.has(kind)) return target ?? board.home;
    // A transaction of another than the home may be begun and ended within one pipeline, and the next one go elsewhere:
    // what begins and ends it runs on its own. In a failed one BEGIN does not run.
    const alone = (kind === 'begin' && board.status !== 'E') || kind === 'end';
    return alone && (board.home === catalogName || target !== board.home) ? undefined : target;
  }

  /** Where a message goes that names nothing. */
  #whereNow(): string {
    const { transaction, home } = this.#deps.board;
    return transaction.at === 'owned' ? transaction.owner : home;
  }

  async bind(message: BindMessage, raw: Buffer): Promise<void> {
    const prepared = await this.#statement(message.statement);
    const said = prepared.kind === 'upstream' ? prepared.said : undefined;
    if (said !== undefined && prepared.kind === 'upstream' && controlKinds.has(said.plain.act.kind)) {
      // It was prepared where it would have gone then.
      if (this.#targetOf(said.plain) !== prepared.upstream.name) {
        this.#portals.set(message.portal, { kind: 'control', ...said });
        await this.#say(say.bindComplete);
        return;
      }
    }
    if (prepared.kind === 'upstream') {
      const upstream = await this.#ask(prepared.upstream, raw, asked('bind', { shift: prepared.shift }));
      this.#portals.set(message.portal, prepared);
      await upstream.drained();
      return;
    }
    if (message.parameters > 0) {
      throw new SluiceError(
        'protocol',
        `bind message supplies ${message.parameters} parameters, but prepared statement "${message.statement}" requires 0`,
      );
    }
    // An empty statement is refused in a failed transaction here, others when they run.
    if (prepared.kind === 'empty' && this.#deps.board.status === 'E') throw transactionFailed();
    const portal: Portal =
      prepared.kind === 'own' ? { ...prepared, formats: message.resultFormats, result: undefined, sent: 0 } : prepared;
    this.#portals.set(message.portal, portal);
    await this.#say(say.bindComplete);
  }

  async describe(message: Named, raw: Buffer): Promise<void> {
    const known = message.what === 'S' ? await this.#statement(message.name) : await this.#portal(message.name);
    if (known.kind === 'upstream') {
      const kind = message.what === 'S' ? 'describe_statement' : 'describe_portal';
      await this.#ask(known.upstream, raw, asked(kind, { shift: known.shift }));
      return;
    }
    let result: CommandResult | undefined;
    if (known.kind === 'own' && changesNothing(known.statement)) {
      // Only running it tells its columns; as it changes nothing it may run early.
      if (!(await this.#turn())) return;
      result = await this.#deps.own.run(known.statement, this.#deps.board.status);
    }
    const portal = message.what === 'P' ? this.#portals.get(message.name) : undefined;
    const formats = portal?.kind === 'own' ? portal.formats : [];
    if (portal?.kind === 'own') portal.result = result;
    const columns = result?.columns === undefined ? say.noData : describeColumns(result.columns, formats);
    await this.#say(...(message.what === 'S' ? [say.noParameters, columns] : [columns]));
  }

  async execute(message: ExecuteMessage, raw: Buffer): Promise<void> {
    const portal = await this.#portal(message.portal);
    switch (portal.kind) {
      case 'upstream': {
        const { upstream, shift, said } = portal;
        const completed = said === undefined ? undefined : (tag: string) => this.#succeeded(said, upstream, tag);
        await this.#ask(upstream, raw, asked('execute', { shift, completed }));
        // What comes behind it in the pipeline may speak of what it leaves.
        if (said !== undefined) await this.#turn();
        return;
      }
      case 'empty':
        await this.#say(say.emptyQueryResponse);
        return;
      case 'control': {
        if (!(await this.#turn())) return;
        const succeeded = await this.#deps.runPlain(portal.client, portal.plain);
        if (!succeeded) await this.#deps.skip();
        return;
      }
      case 'own':
        await this.#executeOwn(portal, message.maxRows);
        return;
      default:
        portal satisfies never;
    }
  }

  async close(message: Named, raw: Buffer): Promise<void> {
    const known = this.#namesOf(message.what).get(message.name);
    if (known !== undefined && (known.kind !== 'upstream' || known.upstream.closed)) {
      this.closed(message.what, message.name);
      await this.#say(say.closeComplete);
      return;
    }
    // Closing takes no part in a transaction. What we do not know a function may have made.
    const upstream = await this.#deps.board.join(known?.upstream.name ?? this.#whereNow());
    upstream.ask(raw, asked('close', { undo: this.closed(message.what, message.name) }));
    if (upstream.backlogged) await upstream.drained();
  }

  #succeeded({ client, plain }: Said, upstream: Upstream, tag: string): void {
    this.#deps.remember(client, plain, { upstream, tag });
    // ReadyForQuery will say it; what follows in the pipeline must know it now.
    if (plain.act.kind === 'begin') this.#deps.board.transaction = { at: 'owned', owner: upstream.name };
  }

  async #executeOwn(portal: Extract<Portal, { readonly kind: 'own' }>, maxRows: number): Promise<void> {
    const { own, client } = this.#deps;
    if (!(await this.#turn())) return;
    portal.result ??= await own.run(portal.statement, this.#deps.board.status);
    const { result } = portal;
    // A statement that said it has no rows must send none.
    const all = changesNothing(portal.statement) ? (result.rows?.length ?? 0) : 0;
    const to = maxRows === 0 ? all : Math.min(all, portal.sent + maxRows);
    await sendRows(result, { from: portal.sent, to, formats: portal.formats }, client.outbox);
    portal.sent = to;
    client.outbox.send(maxRows > 0 && to < all ? say.portalSuspended : say.commandComplete(result.tag));
  }

  async #prepareAt(
    target: string,
    facts: { readonly name: string; readonly forwarded: Buffer } & Pick<AtUpstream, 'shift' | 'said'>,
  ): Promise<void> {
    const { name, forwarded, shift, said } = facts;
    const upstream = await this.#deps.board.reach(target);
    const undo = this.parsed(name, { kind: 'upstream', upstream, shift, said });
    upstream.ask(forwarded, asked('parse', { undo, shift }));
    await upstream.drained();
  }

  async #ask(owner: Upstream, raw: Buffer, question: Parameters<Upstream['ask']>[1]): Promise<Upstream> {
    const upstream = await this.#deps.board.reach(owner.name);
    upstream.ask(raw, question);
    if (upstream.backlogged) await upstream.drained();
    return upstream;
  }

  /** Waits until all that was asked before is answered. @returns false if that has failed: this is part of what is skipped */
  async #turn(): Promise<boolean> {
    await this.#deps.board.turn();
    return !this.#deps.isSkipping();
  }

  async #say(...messages: readonly Buffer[]): Promise<void> {
    if (!(await this.#turn())) return;
    for (const message of messages) this.#deps.client.outbox.send(message);
  }

  #namesOf(what: Named['what']): Map<string, Prepared | Portal> {
    return (what === 'S' ? this.#statements : this.#portals) as Map<string, Prepared | Portal>;
  }

  async #statement(name: string): Promise<Prepared> {
    const known = this.#statements.get(name);
    if (known !== undefined && (known.kind !== 'upstream' || !known.upstream.closed)) return known;
    // A function may have made one that nobody told us of; else the server says in its own words that there is none.
    return { kind: 'upstream', upstream: await this.#deps.board.reach(this.#whereNow()) };
  }

  async #portal(name: string): Promise<Portal> {
    const known = this.#portals.get(name);
    if (known !== undefined && (known.kind !== 'upstream' || !known.upstream.closed)) return known;
    // PostgreSQL (14 to 18) does not survive an Execute of the unnamed portal that a failed simple query has left behind.
    if (name === '' && this.#ghost && this.#deps.board.status === 'E') {
      throw new SluiceError('undefined_object', `portal "${name}" does not exist`, { sqlstate: '34000' });
    }
    return { kind: 'upstream', upstream: await this.#deps.board.reach(this.#whereNow()) };
  }
}

function alreadyExists(name: string): SluiceError {
  return new SluiceError('duplicate_object', `prepared statement "${name}" already exists`, { sqlstate: '42P05' });
}
