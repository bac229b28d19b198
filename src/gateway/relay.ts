// A session's conversation: splits what the client says into ours and others', and sends each statement where it belongs.
import { setImmediate } from 'node:timers/promises';
import { SluiceError } from '../base/errors.ts';
import type { Statement } from '../sql/statement.ts';
import { commandComplete, emptyQueryResponse, type TransactionStatus } from '../wire/backend.ts';
import { noticeResponse } from '../wire/failure.ts';
import type { Frame } from '../wire/frames.ts';
import type { BindMessage, ExecuteMessage, Named, ParseMessage } from '../wire/frontend.ts';
import type { Client } from '../wire/house.ts';
import type { Backend } from '../wire/session.ts';
import type { Act } from './act.ts';
import { describeColumns, sendRows } from './answer.ts';
import { asked } from './asked.ts';
import { Classifier, type PlainPiece, textOf } from './classify.ts';
import { ExtendedQuery } from './extended.ts';
import type { OwnStatements } from './own.ts';
import type { PlainTexts } from './plain-texts.ts';
import { remember } from './remember.ts';
import type { Router } from './route.ts';
import { SessionNames } from './session-names.ts';
import { StraightWay } from './straight.ts';
import type { Switchboard } from './switchboard.ts';
import type { ClientText } from './text.ts';
import {
  after,
  catalogName,
  keeping,
  noTransaction,
  place,
  savepointsAfter,
  transactionFailed,
  waitingSince,
} from './transaction.ts';

export interface RelayDeps {
  readonly client: Client;
  readonly board: Switchboard;
  readonly own: OwnStatements;
  readonly router: Router;
  readonly texts: PlainTexts;
  readonly isPeer: (name: string) => boolean | Promise<boolean>;
}

export class Relay implements Backend {
  readonly #deps: RelayDeps;
  readonly #board: Switchboard;
  readonly #classifier: Classifier;
  readonly #extended: ExtendedQuery;
  readonly #names = new SessionNames();
  readonly #straight: StraightWay;
  #skipping = false;

  constructor(deps: RelayDeps) {
    this.#deps = deps;
    this.#board = deps.board;
    const { router, isPeer, board, own, client, texts } = deps;
    const { readOnly } = board;
    this.#classifier = new Classifier({
      router,
      isPeer,
      board,
      readOnly,
      homeOf: (name) => this.#names.homeOf(name),
    });
    this.#extended = new ExtendedQuery({
      board,
      names: this.#names,
      own,
      client,
      classifier: this.#classifier,
      runPlain: (text, plain) => this.#runPlain(text, plain),
      remember: (text, plain, { upstream, tag }) => {
        const inTransaction = this.#board.transaction.at === 'owned';
        const done = { client: text, upstream, group: [plain], tags: [tag], inTransaction };
        remember({ ...done, board: this.#board, names: this.#names });
      },
      isSkipping: () => this.skipping,
      skip: () => this.fail('extended'),
    });
    this.#straight = new StraightWay({
      board,
      names: this.#names,
      outbox: client.outbox,
      texts,
      isSkipping: () => this.skipping,
    });
    board.answeredStraight = (upstream) => {
      // What was bound since is part of the next transaction.
      if (board.status === 'I' && !upstream.busy) this.#names.forgetPortals(!upstream.hadFailed);
    };
  }

  take(frame: Frame): boolean {
    return this.#straight.take(frame);
  }

  get pending(): boolean {
    return this.#board.active?.answersStraight === true;
  }

  async settled(): Promise<void> {
    await this.#board.settleStraight();
  }

  get status(): TransactionStatus {
    return this.#board.status;
  }

  get skipping(): boolean {
    const { active, lostMidway } = this.#board;
    return this.#skipping || active?.failed === true || lostMidway?.failed === true;
  }

  get copying(): boolean {
    return this.#board.active?.copyIn === true;
  }

  get over(): boolean {
    return this.#board.over;
  }

  async query(bytes: Buffer): Promise<void> {
    await this.#serve(async () => {
      await this.#board.turn();
      await this.#board.endExtended();
      this.#names.forgetUnnamed();
      const client = this.#classifier.read(bytes);
      if (client === undefined) return void (await this.#tooLong(bytes));
      const { pieces } = client;
      if (pieces.length === 0) await this.#answerEmpty(bytes);
      for (let at: number | undefined = 0; at !== undefined && at < pieces.length; ) at = await this.#step(client, at);
    });
  }

  /** large objects of libpq and the like; answered where the session is at home or in a transaction. */
  async functionCall(raw: Buffer): Promise<void> {
    await this.#serve(async () => {
      if (this.#board.readOnly) {
        throw new SluiceError('forbidden', 'a READ ONLY user may not call functions outside a statement');
      }
      await this.#board.turn();
      await this.#board.endExtended();
      const { transaction, home } = this.#board;
      const upstream = await this.#board.reach(transaction.at === 'owned' ? transaction.owner : home);
      const question = upstream.ask(raw, asked('function'));
      await this.#board.settle(upstream, question);
      this.#board.note(upstream, []);
    });
  }

  async parse(message: ParseMessage, raw: Buffer): Promise<void> {
    await this.#serve(() => this.#extended.parse(message, raw));
  }

  async bind(message: BindMessage, raw: Buffer): Promise<void> {
    await this.#serve(() => this.#extended.bind(message, raw));
  }

  async describe(message: Named, raw: Buffer): Promise<void> {
    await this.#serve(() => this.#extended.describe(message, raw));
  }

  async execute(message: ExecuteMessage, raw: Buffer): Promise<void> {
    await this.#serve(() => this.#extended.execute(message, raw));
  }

  async close(message: Named, raw: Buffer): Promise<void> {
    await this.#serve(() => this.#extended.close(message, raw));
  }

  async flush(): Promise<void> {
    if (this.#board.active?.dirty) this.#board.active.flush();
  }

  async sync(): Promise<boolean> {
    const ready = await this.#serve(async () => {
      const skipped = this.#skipping;
      // The client has been told of an error already.
      if (this.skipping) this.#board.lostMidway = undefined;
      // It ends here, also where a server is lost meanwhile.
      this.#skipping = false;
      const ended = await this.#board.sync();
      if (!ended) this.#skipping = skipped;
      else {
        const failed = skipped || this.#board.active?.hadFailed === true;
        if (this.#board.status === 'I') this.#names.forgetPortals(!failed);
      }
      return ended;
    });
    return ready ?? true;
  }

  async copy(frame: Frame): Promise<void> {
    const board = this.#board;
    if (frame.kind === 'copy' && !frame.begins) board.copyTarget?.send(frame.raw);
    else {
      const upstream = board.active;
      // Data may come before we know that the server wants it.
      await board.drain();
      const wanted = upstream?.copyIn ? upstream : undefined;
      if (frame.kind === 'copy') board.copyTarget = wanted;
      // Outside a COPY the protocol takes these messages as nothing.
      wanted?.send(frame.raw);
      if (wanted !== undefined && frame.kind === 'message') wanted.copyIn = false;
    }
    await board.copyTarget?.drained();
  }

  async fail(protocol: 'simple' | 'extended'): Promise<void> {
    if (protocol === 'extended') this.#skipping = true;
    if (this.over) return;
    const board = this.#board;
    await this.#serve(() => board.poison()).catch(() => {
      // If the server is gone, so is its transaction.
      if (board.transaction.at === 'waiting') board.transaction = { at: 'failed' };
    });
  }

  async breakCopy(type: number): Promise<void> {
    await this.#serve(() => this.#board.breakCopy(type));
  }

  async settle(): Promise<void> {
    await this.#board.drain();
  }

  /** Runs one plain statement; its answers but for ReadyForQuery go to the client. @returns whether it succeeded */
  async #runPlain(client: ClientText, plain: PlainPiece): Promise<boolean> {
    const target = place(plain, this.#board.transaction, this.#board.home);
    if (target === undefined) {
      this.#answerWaiting(client, plain);
      return true;
    }
    return this.#runGroup(client, target, [plain]);
  }

  async #serve<T>(work: () => Promise<T>): Promise<T | undefined> {
    const board = this.#board;
    board.serving = true;
    try {
      const value = await work();
      if (board.over) throw new SluiceError('connection_lost', 'the connection to the server was lost');
      return value;
    } catch (error) {
      // What was asked before is answered before our error; if that has failed, this is part of what is skipped.
      await board.drain();
      if (board.active?.failed) return undefined;
      throw error;
    } finally {
      board.serving = false;
      if (!board.active?.busy) board.sendStrays();
    }
  }

  /** @returns the next statement's index, or undefined after an error that the client has been told */
  async #step(client: ClientText, at: number): Promise<number | undefined> {
    const board = this.#board;
    const first = await this.#classifier.classify(client.pieces[at]!);
    if (first.kind === 'own') {
      await this.#answerOwn(first.statement);
      return at + 1;
    }
    if (first.kind === 'raw') {
      const upstream = await board.reach(first.peer);
      const { error } = await board.query(upstream, Buffer.from(first.query), first.shift);
      return error === undefined ? at + 1 : undefined;
    }
    const group = await this.#group(client, at, first);
    if (group.target === undefined) {
      for (const plain of group.statements) this.#answerWaiting(client, plain);
    } else if (!(await this.#runGroup(client, group.target, group.statements))) return undefined;
    return at + group.statements.length;
  }

  /**
   * The longest run of statements from `at` that go to one upstream: sent as one query they are one transaction, as they
   * would be on a direct connection. Statements that wait (BEGIN, SET in it) join those that follow.
   */
  async #group(
    client: ClientText,
    at: number,
    first: PlainPiece,
  ): Promise<{ readonly target: string | undefined; readonly statements: readonly PlainPiece[] }> {
    const { home, readOnly } = this.#board;
    let { transaction } = this.#board;
    let target: string | undefined;
    let sure = 0;
    const statements: PlainPiece[] = [];
    for (let i = at; i < client.pieces.length; i += 1) {
      // Thousands of statements take a while to be read: others are served meanwhile.
      if ((i - at) % 200 === 199) await setImmediate();
      const next = i === at ? first : await this.#quietly(() => this.#classifier.classify(client.pieces[i]!));
      if (next?.kind !== 'plain') break;
      const from = transaction;
      // The first statement's trouble is told now, a later one's when its turn comes.
      const spot = () => ({ name: place(next, from, home) });
      const placed = i === at ? spot() : await this.#quietly(async () => spot());
      if (placed === undefined || (placed.name !== undefined && target !== undefined && placed.name !== target)) break;
      transaction = after(next, transaction, placed.name);
      statements.push(next);
      // What follows is another transaction, and each of those begins anew as a read-only one.
      const ends = readOnly && next.act.kind === 'end';
      if (placed.name !== undefined) target = placed.name;
      // BEGIN makes those before it in the text a part of its transaction, which is the peer's then.
      if (placed.name !== undefined || (target !== undefined && target !== catalogName)) sure = statements.length;
      if (ends) break;
    }
    return { target, statements: target === undefined ? statements : statements.slice(0, sure) };
  }

  async #quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch {
      return undefined;
    }
  }

  /** @returns whether all of them succeeded */
  async #runGroup(client: ClientText, target: string, group: readonly PlainPiece[]): Promise<boolean> {
    const board = this.#board;
    const upstream = await board.reach(target);
    const { bytes, shift } = textOf(client, group);
    const before = board.transaction;
    this.#names.forgetUnnamed(upstream);
    const { error, tags } = await board.query(upstream, bytes, shift);
    const failed = error !== undefined;
    const inTransaction = before.at === 'owned';
    remember({ client, upstream, board, names: this.#names, group, tags, failed, inTransaction });
    if (board.status === 'I') this.#names.forgetPortals(!failed);
    const [only, more] = group;
    if (!failed && !inTransaction && more === undefined && only?.act.kind === 'begin') board.begun(upstream, bytes);
    return !failed;
  }

  /** Answers for a statement that no upstream hears yet. */
  #answerWaiting(client: ClientText, plain: PlainPiece): void {
    const board = this.#board;
    const { outbox } = this.#deps.client;
    const { act } = plain;
    const { transaction, settings } = board;
    const text = client.encode(plain.piece.text);
    if (act.kind === 'begin') {
      if (transaction.at === 'waiting') {
        outbox.send(noticeResponse('there is already a transaction in progress', 'WARNING', '25001'));
        // Its options (READ ONLY …) hold all the same.
        board.transaction = keeping(transaction, text);
      } else board.transaction = waitingSince(text);
      outbox.send(commandComplete(act.tag));
    } else if (act.kind === 'end') {
      const committed = act.commit && transaction.at === 'waiting';
      settings.end(committed);
      this.#names.forgetPortals(committed);
      const begin = transaction.at === 'waiting' ? transaction.begin : Buffer.from('begin');
      board.transaction = act.chain ? waitingSince(begin) : noTransaction;
      outbox.send(commandComplete(committed ? 'COMMIT' : 'ROLLBACK'));
    } else if (transaction.at === 'waiting') {
      board.transaction = { ...keeping(transaction, text), savepoints: savepointsAfter(act, transaction.savepoints) };
      if (act.kind === 'savepoint') settings.savepoint(act.name);
      else if (act.kind === 'savepoint_end' && act.rollback) settings.rollbackTo(act.name);
      else if (act.kind === 'set' && !act.local) settings.holdIfCommitted(act.key, text);
      outbox.send(commandComplete(tagOf(act)));
    }
  }

  async #answerOwn(statement: Statement): Promise<void> {
    const { own, client } = this.#deps;
    const result = await own.run(statement, this.#board.status);
    if (result.columns !== undefined) {
      client.outbox.send(describeColumns(result.columns));
      await sendRows(result, { from: 0, to: result.rows?.length ?? 0, formats: [] }, client.outbox);
    }
    client.outbox.send(commandComplete(result.tag));
  }

  /** A session at a peer lets that answer: it takes the unnamed statement with it, as any other text does. */
  async #answerEmpty(bytes: Buffer): Promise<void> {
    const { transaction, home } = this.#board;
    if (home === catalogName || transaction.at === 'failed') {
      this.#deps.client.outbox.send(emptyQueryResponse);
      return;
    }
    const upstream = await this.#board.reach(transaction.at === 'owned' ? transaction.owner : home);
    await this.#board.query(upstream, bytes, undefined);
  }

  /** A text beyond what can be read goes on unread. */
  async #tooLong(bytes: Buffer): Promise<void> {
    const { transaction, home, readOnly } = this.#board;
    if (readOnly) throw new SluiceError('limit', 'statement is too long', { sqlstate: '54000' });
    if (transaction.at === 'failed') throw transactionFailed();
    const upstream = await this.#board.reach(transaction.at === 'owned' ? transaction.owner : home);
    await this.#board.query(upstream, bytes, undefined);
  }
}

/** The tag of a statement that waits. */
function tagOf(act: Act): string {
  switch (act.kind) {
    case 'set':
      return act.tag;
    case 'savepoint_end':
      return act.rollback ? 'ROLLBACK' : 'RELEASE';
    default:
      return 'SAVEPOINT';
  }
}
