// The extended query: each message to the upstream that owns what it names, or to us.
import { SluiceError } from '../base/errors.ts';
import type { CommandResult } from '../commands/result.ts';
import { changesNothing } from '../sql/statement.ts';
import * as say from '../wire/backend.ts';
import type { BindMessage, ExecuteMessage, Named, ParseMessage } from '../wire/frontend.ts';
import type { Client } from '../wire/house.ts';
import { controlKinds, leavingKinds } from './act.ts';
import { describeColumns, sendRows } from './answer.ts';
import { type Asked, asked } from './asked.ts';
import { type Classified, type Classifier, type PlainPiece, textOf } from './classify.ts';
import type { OwnStatements } from './own.ts';
import { passing } from './quiet.ts';
import type { Shift } from './route.ts';
import type { AtUpstream, Control, Portal, Prepared, Said, SessionNames } from './session-names.ts';
import type { Switchboard } from './switchboard.ts';
import type { ClientText } from './text.ts';
import { catalogName, noTransaction, place, transactionFailed } from './transaction.ts';
import type { Upstream } from './upstream.ts';

export interface ExtendedDeps {
  readonly board: Switchboard;
  readonly names: SessionNames;
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

  constructor(deps: ExtendedDeps) {
    this.#deps = deps;
  }

  async parse(message: ParseMessage, raw: Buffer): Promise<void> {
    const { name } = message;
    const { board, classifier, names } = this.#deps;
    const client = classifier.read(message.query);
    if (client === undefined || client.pieces.length > 1) {
      if (board.readOnly) throw new SluiceError('limit', 'statement is too long', { sqlstate: '54000' });
      // Too much to be read goes on as it is; of several statements the server says in its own words that they are too many.
      await this.#prepareAt(this.#whereNow(), { name, forwarded: raw });
      return;
    }
    const [piece] = client.pieces;
    const classified = piece === undefined ? undefined : await classifier.classify(piece);
    const known = name === '' ? undefined : names.statement(name);
    const target = classified?.kind === 'plain' ? this.#targetOf(classified) : undefined;
    if (classified?.kind === 'plain' && target !== undefined) {
      const { bytes, cuts, shift } = textOf(client, [classified]);
      if (known !== undefined && (known.kind !== 'upstream' || known.upstream.name !== target)) {
        await this.#refuseTaken(target, message, { bytes, shift });
        return;
      }
      const forwarded = cuts.length === 0 ? raw : say.parseMessage(name, bytes, message.types);
      await this.#prepareAt(target, { name, forwarded, shift, ...this.#factsOf(client, classified, message.types) });
      return;
    }
    if (classified?.kind === 'raw') {
      if (known !== undefined) throw await this.#alreadyExists(name, classified);
      const forwarded = say.parseMessage(name, Buffer.from(classified.query), message.types);
      await this.#prepareAt(classified.peer, { name, forwarded, shift: classified.shift });
      return;
    }
    if (classified === undefined && (board.transaction.at === 'owned' || board.home !== catalogName)) {
      await this.#prepareAt(this.#whereNow(), { name, forwarded: raw });
      return;
    }
    if (await this.#isRefused(classified)) throw transactionFailed();
    if (known !== undefined) throw await this.#alreadyExists(name, classified);
    if (!(await this.#say(say.parseComplete))) return;
    if (classified === undefined) names.parsed(name, { kind: 'empty' });
    else if (classified.kind === 'own') names.parsed(name, classified);
    else names.parsed(name, { kind: 'control', name, client, plain: classified });
  }

  #factsOf(client: ClientText, plain: PlainPiece, types: Buffer): Pick<AtUpstream, 'said' | 'anywhere'> {
    const { kind } = plain.act;
    const said = controlKinds.has(kind) || leavingKinds.has(kind) ? { client, plain } : undefined;
    // Only on the catalog a transaction is often another's than the home's.
    const homeless = this.#deps.board.home === catalogName && plain.named === undefined && !plain.relations();
    return { said, anywhere: homeless ? { bytes: textOf(client, [plain]).bytes, types } : undefined };
  }

  /** Where a statement is prepared; undefined: with us, until it is known where it runs. */
  #targetOf(plain: PlainPiece): string | undefined {
    const { board } = this.#deps;
    const { kind } = plain.act;
    const { transaction } = board;
    if (controlKinds.has(kind) && board.home === catalogName) {
      // In a failed transaction it is the owner's to refuse, in its own words.
      const refused = transaction.at === 'owned' && board.status === 'E' && !mayEndFailure(plain);
      return refused ? transaction.owner : undefined;
    }
    const target = place(plain, transaction, board.home);
    if (!controlKinds.has(kind)) return target ?? board.home;
    // A transaction of another than the home may be begun and ended within one pipeline, and the next one go elsewhere:
    // what begins and ends it is said where it is then. In a failed one BEGIN does not run.
    const alone = (kind === 'begin' && board.status !== 'E') || kind === 'end';
    return alone && target !== board.home ? undefined : target;
  }

  /** Where a message goes that names nothing. */
  #whereNow(): string {
    const { transaction, home } = this.#deps.board;
    return transaction.at === 'owned' ? transaction.owner : home;
  }

  async bind(message: BindMessage, raw: Buffer): Promise<void> {
    const { names } = this.#deps;
    const prepared = await this.#statement(message.statement);
    const { portal } = message;
    const mayEnd = prepared.kind === 'control' && mayEndFailure(prepared.plain);
    const taken = portal === '' ? undefined : names.portal(portal);
    // The server sees for itself where both are its own.
    const same = taken?.kind === 'upstream' && prepared.kind === 'upstream' && taken.upstream === prepared.upstream;
    if (taken !== undefined && !same) {
      if (!(await this.#turn())) return;
      if (!mayEnd && this.#deps.board.status === 'E') throw transactionFailed();
      throw new SluiceError('duplicate_object', `cursor "${portal}" already exists`, { sqlstate: '42P03' });
    }
    if (prepared.kind === 'upstream') {
      await this.#bindAt(prepared, message, raw);
      return;
    }
    if (message.parameters > 0) {
      throw new SluiceError(
        'protocol',
        `bind message supplies ${message.parameters} parameters, but prepared statement "${message.statement}" requires 0`,
      );
    }
    if (!mayEnd && (await this.#turn()) && this.#deps.board.status === 'E') throw transactionFailed();
    const made: Portal =
      prepared.kind === 'own' ? { ...prepared, formats: message.resultFormats, result: undefined, sent: 0 } : prepared;
    if (await this.#say(say.bindComplete)) names.bound(portal, made);
  }

  async #bindAt(prepared: AtUpstream, { portal, statement }: BindMessage, raw: Buffer): Promise<void> {
    const { board, names } = this.#deps;
    const { said, shift, anywhere } = prepared;
    // It was prepared where it would have gone then.
    if (said !== undefined && controlKinds.has(said.plain.act.kind)) {
      if (this.#targetOf(said.plain) !== prepared.upstream.name) {
        if (await this.#say(say.bindComplete)) names.bound(portal, { kind: 'control', name: statement, ...said });
        return;
      }
    }
    const { transaction } = board;
    const elsewhere = transaction.at === 'owned' && transaction.owner !== prepared.upstream.name;
    if (!elsewhere || anywhere === undefined) {
      const upstream = await board.reach(prepared.upstream.name);
      await this.#send(upstream, raw, asked('bind', { shift, undo: names.bound(portal, prepared) }));
      return;
    }
    // A statement about nobody belongs to the transaction, wherever it was prepared.
    const upstream = await board.reach(transaction.owner);
    const facts = { shift, hushed: true };
    upstream.ask(say.closeMessage('S', passing), asked('close', facts));
    upstream.ask(say.parseMessage(passing, anywhere.bytes, anywhere.types), asked('parse', facts));
    const undo = names.bound(portal, { ...prepared, upstream });
    upstream.ask(say.rebound(raw, passing), asked('bind', { shift, undo }));
    await this.#send(upstream, say.closeMessage('S', passing), asked('close', facts));
  }

  async describe(message: Named, raw: Buffer): Promise<void> {
    const { board, names } = this.#deps;
    const known = message.what === 'S' ? await this.#statement(message.name) : await this.#portal(message.name);
    if (known.kind === 'upstream') {
      const { upstream, shift } = known;
      const kind = message.what === 'S' ? 'describe_statement' : 'describe_portal';
      const { transaction } = board;
      // To look at a statement takes no part in a transaction.
      const aside = message.what === 'S' && transaction.at === 'owned' && transaction.owner !== upstream.name;
      const at = aside ? await board.join(upstream.name) : await board.reach(upstream.name);
      await this.#send(at, raw, asked(kind, { shift }));
      return;
    }
    let result: CommandResult | undefined;
    if (known.kind === 'own' && changesNothing(known.statement)) {
      // Only running it tells its columns; as it changes nothing it may run early.
      if (!(await this.#turn())) return;
      result = await this.#deps.own.run(known.statement, board.status);
    }
    const portal = message.what === 'P' ? names.portal(message.name) : undefined;
    const formats = portal?.kind === 'own' ? portal.formats : [];
    if (portal?.kind === 'own') portal.result = result;
    const columns = result?.columns === undefined ? say.noData : describeColumns(result.columns, formats);
    await this.#say(...(message.what === 'S' ? [say.noParameters, columns] : [columns]));
  }

  async execute(message: ExecuteMessage, raw: Buffer): Promise<void> {
    const portal = await this.#portal(message.portal);
    switch (portal.kind) {
      case 'upstream': {
        const { board } = this.#deps;
        const { shift, said } = portal;
        const upstream = await board.reach(portal.upstream.name);
        let tag = '';
        const succeeded = (done: string) => {
          tag = done;
          if (said !== undefined) this.#succeeded(said, upstream, tag);
        };
        // What comes behind it in the pipeline may speak of what it leaves, and may be another transaction.
        const matters = said !== undefined || board.readOnly;
        await this.#send(upstream, raw, asked('execute', { shift, completed: matters ? succeeded : undefined }));
        if (matters && (await this.#turn())) await this.#endIfReadOnly(upstream, tag);
        return;
      }
      case 'empty':
        await this.#say(say.emptyQueryResponse);
        return;
      case 'control':
        await this.#executeControl(portal, raw, message.portal);
        return;
      case 'own':
        await this.#executeOwn(portal, message.maxRows);
        return;
      default:
        portal satisfies never;
    }
  }

  async close(message: Named, raw: Buffer): Promise<void> {
    const { board, names } = this.#deps;
    const { what, name } = message;
    const known = what === 'S' ? names.statement(name) : names.portal(name);
    if (known !== undefined && known.kind !== 'upstream') {
      if (await this.#say(say.closeComplete)) names.closed(what, name);
      return;
    }
    // Closing takes no part in a transaction. What we do not know a function may have made.
    const upstream = await board.join(known?.upstream.name ?? this.#whereNow());
    await this.#send(upstream, raw, asked('close', { undo: names.closed(what, name) }));
  }

  #succeeded({ client, plain }: Said, upstream: Upstream, tag: string): void {
    this.#deps.remember(client, plain, { upstream, tag });
    // ReadyForQuery will say it; what follows in the pipeline must know it now.
    if (plain.act.kind === 'begin') this.#deps.board.begunBeforeSync(upstream, client.encode(plain.piece.text));
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

  async #executeControl({ name, client, plain }: Control, raw: Buffer, portal: string): Promise<void> {
    if (!(await this.#turn())) return;
    const { board, names, runPlain, skip, remember } = this.#deps;
    const target = place(this.#inPipeline(plain), board.transaction, board.home);
    if (target === undefined) {
      if (!(await runPlain(client, plain))) await skip();
      return;
    }
    // Said as the client said it, so that it is part of what the next Sync ends.
    const upstream = await board.reach(target);
    const { bytes, shift } = textOf(client, [plain]);
    const facts = { shift, hushed: true };
    const statement = name === '' ? '' : passing;
    if (statement !== '') upstream.ask(say.closeMessage('S', statement), asked('close', facts));
    upstream.ask(say.parseMessage(statement, bytes, Buffer.of(0, 0)), asked('parse', facts));
    upstream.ask(say.bindMessage(portal, statement), asked('bind', facts));
    if (statement !== '') upstream.ask(say.closeMessage('S', statement), asked('close', facts));
    let tag = '';
    const completed = (done: string) => {
      tag = done;
      remember(client, plain, { upstream, tag });
    };
    upstream.ask(raw, asked('execute', { shift, completed }));
    // Now it has a portal there.
    names.bound(portal, { kind: 'upstream', upstream, shift });
    // What comes behind it goes by what it has changed: names that are gone, a transaction that is over.
    if (!(await this.#turn())) return;
    const { act } = plain;
    const goesOn = act.kind === 'begin' || (act.kind === 'end' && act.chain);
    if (goesOn || (act.kind === 'savepoint_end' && act.rollback)) {
      upstream.status = 'T';
      board.transaction = { at: 'owned', owner: upstream.name };
    } else if (act.kind === 'end') {
      board.transaction = noTransaction;
      await board.syncQuietly(upstream);
    }
    await this.#endIfReadOnly(upstream, tag);
  }

  /** The next transaction of one who may only look must begin as every other: the server says by its tag that one is over. */
  async #endIfReadOnly(upstream: Upstream, tag: string): Promise<void> {
    if (this.#deps.board.readOnly && upstream.dirty && endingTags.has(tag))
      await this.#deps.board.syncQuietly(upstream);
  }

  async #prepareAt(
    target: string,
    facts: { readonly name: string; readonly forwarded: Buffer } & Pick<AtUpstream, 'shift' | 'said' | 'anywhere'>,
  ): Promise<void> {
    const { name, forwarded, ...made } = facts;
    const upstream = await this.#deps.board.reach(target);
    const undo = this.#deps.names.parsed(name, { kind: 'upstream', upstream, ...made });
    await this.#send(upstream, forwarded, asked('parse', { undo, shift: made.shift }));
  }

  async #send(upstream: Upstream, raw: Buffer, question: Asked): Promise<void> {
    upstream.ask(raw, question);
    if (upstream.backlogged) await upstream.drained();
  }

  /** Waits until all that was asked before is answered. @returns false if that has failed: this is part of what is skipped */
  async #turn(): Promise<boolean> {
    await this.#deps.board.turn();
    return !this.#deps.isSkipping();
  }

  /** Where a pipeline has begun, it has a transaction of its own: what is said of transactions is about that one. */
  #inPipeline(plain: PlainPiece): PlainPiece {
    const { active, transaction } = this.#deps.board;
    const { act } = plain;
    const { kind } = act;
    // Where it lives may have changed since it was parsed.
    if (act.kind === 'deallocate') return { ...plain, named: this.#deps.names.homeOf(act.name ?? '') };
    const about = kind === 'end' || kind === 'begin' || kind === 'savepoint' || kind === 'savepoint_end';
    if (!about || transaction.at !== 'none' || active?.dirty !== true) return plain;
    // The catalog's is never the one that was meant to begin.
    return kind === 'begin' && active.name === catalogName ? plain : { ...plain, named: active.name };
  }

  /** The name lives elsewhere; but what is wrong with the statement itself is said first. */
  async #refuseTaken(
    target: string,
    { name, types }: ParseMessage,
    { bytes, shift }: { readonly bytes: Buffer; readonly shift: Shift },
  ): Promise<void> {
    const upstream = await this.#deps.board.reach(target);
    upstream.ask(say.closeMessage('S', passing), asked('close', { hushed: true }));
    upstream.ask(say.parseMessage(passing, bytes, types), asked('parse', { shift, hushed: true }));
    upstream.ask(say.closeMessage('S', passing), asked('close', { hushed: true }));
    if (await this.#turn()) throw alreadyExists(name);
  }

  async #alreadyExists(name: string, classified: Classified | undefined): Promise<SluiceError> {
    return (await this.#isRefused(classified)) ? transactionFailed() : alreadyExists(name);
  }

  /** In a failed transaction PostgreSQL parses nothing but what may end that. */
  async #isRefused(classified: Classified | undefined): Promise<boolean> {
    const mayEnd = classified === undefined || (classified.kind === 'plain' && mayEndFailure(classified));
    return !mayEnd && (await this.#turn()) && this.#deps.board.status === 'E';
  }

  /** @returns whether it was said */
  async #say(...messages: readonly Buffer[]): Promise<boolean> {
    if (!(await this.#turn())) return false;
    for (const message of messages) this.#deps.client.outbox.send(message);
    return true;
  }

  async #statement(name: string): Promise<Prepared> {
    const { board, names } = this.#deps;
    const known = names.statement(name);
    if (known !== undefined) return known;
    // The simple query that took it may have gone elsewhere, and the catalog still have it.
    if (name === '' && names.ghost && board.home === catalogName) {
      throw new SluiceError('undefined_object', 'unnamed prepared statement does not exist', { sqlstate: '26000' });
    }
    // A function may have made one that nobody told us of; else the server says in its own words that there is none.
    return this.#unknown();
  }

  async #portal(name: string): Promise<Portal> {
    const { board, names } = this.#deps;
    const known = names.portal(name);
    if (known !== undefined) return known;
    // PostgreSQL (14 to 18) does not survive an Execute of the unnamed portal that a failed simple query has left behind.
    if (name === '' && names.ghost && board.status === 'E') {
      throw new SluiceError('undefined_object', `portal "${name}" does not exist`, { sqlstate: '34000' });
    }
    return this.#unknown();
  }

  async #unknown(): Promise<AtUpstream> {
    return { kind: 'upstream', upstream: await this.#deps.board.reach(this.#whereNow()) };
  }
}

// However it was said, and whatever we think that the portal was made of.
const endingTags: ReadonlySet<string> = new Set(['COMMIT', 'ROLLBACK', 'DISCARD ALL']);

/** COMMIT, ROLLBACK and ROLLBACK TO are heard in a failed transaction. */
function mayEndFailure({ act }: PlainPiece): boolean {
  return act.kind === 'end' || (act.kind === 'savepoint_end' && act.rollback);
}

function alreadyExists(name: string): SluiceError {
  return new SluiceError('duplicate_object', `prepared statement "${name}" already exists`, { sqlstate: '42P05' });
}
