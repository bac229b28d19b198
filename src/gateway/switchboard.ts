// A session's upstreams: opens each when it is first needed, sees that it has heard BEGIN and SET, and waits for its answers.
import { type ServerErrorFields, SluiceError } from '../base/errors.ts';
import type { PeerVersion } from '../catalog/names.ts';
import type { ClientConfig } from '../pg/client.ts';
import {
  executeMessage,
  parameterStatus,
  queryMessage,
  readyForQuery,
  type TransactionStatus,
} from '../wire/backend.ts';
import { errorResponse } from '../wire/failure.ts';
import type { Client } from '../wire/house.ts';
import { type Asked, asked } from './asked.ts';
import { copyNext } from './copy-in.ts';
import { changedPeers, peerGone } from './peer-changes.ts';
import { askQuietly, behindHand, ignoreRefusal } from './quiet.ts';
import type { Shift } from './route.ts';
import { isReset, type Setting, Settings } from './settings.ts';
import { startupAt } from './startup.ts';
import { Strays } from './strays.ts';
import {
  catalogName,
  noTransaction,
  refusal,
  showUpstream,
  type Transaction,
  transactionFailed,
  waitingSince,
} from './transaction.ts';
import { noPortal, Upstream, type UpstreamEvents } from './upstream.ts';

export interface SwitchboardDeps {
  readonly client: Client;
  /** Where statements go that name no peer: a peer's name, or the catalog's empty one. */
  readonly home: string;
  /** Every transaction of the session is a read-only one. */
  readonly readOnly: boolean;
  /** What a peer's name stands for, where that is known. */
  readonly versionOf: (name: string) => PeerVersion | undefined;
  /** How to reach an upstream; undefined: there is no such peer. */
  readonly placeOf: (name: string) => Promise<UpstreamPlace | undefined>;
}

/** Where an upstream is. */
export interface UpstreamPlace {
  readonly config: ClientConfig;
  /** What the peer was when this was read; the catalog has none. */
  readonly version?: PeerVersion;
}

// Facts of a server, of which a client is told its home's only.
const serverFacts: ReadonlySet<string> = new Set([
  'in_hot_standby',
  'integer_datetimes',
  'is_superuser',
  'scram_iterations',
  'server_encoding',
  'server_version',
  'session_authorization',
]);
// Said before each transaction of one who may only look, so that nothing said or called before can have made it another.
const readOnlyFence = Buffer.from('set session characteristics as transaction read only');

export class Switchboard implements UpstreamEvents {
  transaction: Transaction = noTransaction;
  readonly settings = new Settings();
  /** Where a transaction was prepared, by its name: only this session's, others say EXECUTE peer. */
  readonly prepared = new Map<string, string>();
  /** What the client has been told of settings. */
  readonly parameters = new Map<string, string>();
  /** The upstream that was asked last; the only one that may have answers on their way. */
  active: Upstream | undefined;
  /** The home upstream is gone and the client has been told. */
  over = false;
  /** A visited upstream is gone with what an extended query did there, which has not ended: the client has yet to be told. */
  lostMidway: Upstream | undefined;
  /** Something is being done for the client. */
  serving = false;
  /** Who gets the rest of a CopyData message that has begun. */
  copyTarget: Upstream | undefined;
  readonly #deps: SwitchboardDeps;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #strays = new Strays();
  #opening: AbortController | undefined;
  #abandoned = false;

  constructor(deps: SwitchboardDeps) {
    this.#deps = deps;
  }

  get home(): string {
    return this.#deps.home;
  }

  get readOnly(): boolean {
    return this.#deps.readOnly;
  }

  get status(): TransactionStatus {
    switch (this.transaction.at) {
      case 'none':
        return 'I';
      case 'waiting':
        return 'T';
      case 'failed':
        return 'E';
      case 'owned':
        return this.#upstreams.get(this.transaction.owner)?.status ?? 'E';
      default:
        return this.transaction satisfies never;
    }
  }

  /** A row is half passed: nothing else may be said to the client. */
  get insideRow(): boolean {
    return this.active?.insideRow === true;
  }

  /** standard_conforming_strings is off. */
  get backslashEscapes(): boolean {
    return this.parameters.get('standard_conforming_strings') === 'off';
  }

  /** What every server has said last of its settings. */
  get reported(): readonly ReadonlyMap<string, string>[] {
    return [this.parameters, ...[...this.#upstreams.values()].map(({ parameters }) => parameters)];
  }

  /** Whether an extended query has begun at another upstream as well. */
  isDirtyBeside(one: Upstream): boolean {
    for (const upstream of this.#upstreams.values()) if (upstream !== one && upstream.dirty) return true;
    return false;
  }

  /** Waits for every ReadyForQuery that goes on by itself. */
  async settleStraight(): Promise<void> {
    const upstream = this.active;
    while (upstream?.answersStraight) await upstream.change();
  }

  /** The upstream, opened and in turn: all that was asked of another is answered. @throws `undefined_object`, `unreachable`, … */
  async join(name: string): Promise<Upstream> {
    const known = this.#upstreams.get(name);
    if (known?.stale && known.idle) known.destroy();
    const upstream = this.#upstreams.get(name) ?? (await this.#open(name));
    if (this.active !== upstream) {
      await this.turn();
      // What is asked now belongs to an extended query that has just failed elsewhere: it is skipped.
      if (this.active?.failed) throw new SluiceError('stopped', 'skipped');
      this.active = upstream;
    }
    return upstream;
  }

  /** The upstream as for `join`, having heard the session's settings and, if a transaction waits for its owner, BEGIN. */
  async reach(name: string): Promise<Upstream> {
    await this.#moveFresh(name);
    const { transaction } = this;
    if (transaction.at === 'failed') throw transactionFailed();
    if (transaction.at === 'owned' && transaction.owner !== name) throw refusal(transaction);
    const upstream = await this.join(name);
    const unheard = this.settings.after(upstream.heard);
    if (unheard.length > 0 && upstream.status !== 'E') await this.#replay(upstream, unheard);
    // What has begun without BEGIN ends before one that has.
    if (transaction.at === 'waiting' && upstream.dirty) await this.syncQuietly(upstream);
    // Behind the settings, RESET ALL among them, and right before the transaction.
    await this.#fence(upstream);
    if (transaction.at === 'waiting') {
      this.transaction = { at: 'owned', owner: name };
      await this.#quietly(upstream, [transaction.begin, ...transaction.said]);
    }
    return upstream;
  }

  /** Says what the session has set. What one server does not know it need not forget either: a RESET that fails is no loss. */
  async #replay(upstream: Upstream, unheard: readonly Setting[]): Promise<void> {
    for (const each of unheard.filter(isReset)) await this.#quietly(upstream, [each.text]).catch(ignoreRefusal);
    const texts = unheard.filter((each) => !isReset(each)).map(({ text }) => text);
    if (texts.length > 0) await this.#quietly(upstream, texts);
    upstream.heard = this.settings.last;
  }

  /** A transaction whose owner has heard nothing but its BEGIN becomes another's, who is named first. */
  async #moveFresh(name: string): Promise<void> {
    const { transaction } = this;
    if (transaction.at !== 'owned' || transaction.fresh === undefined) return;
    const { owner, fresh } = transaction;
    this.transaction = { at: 'owned', owner };
    const upstream = this.#upstreams.get(owner);
    if (owner === name || upstream === undefined) return;
    await this.drain();
    await this.#quietly(upstream, [Buffer.from('rollback')]);
    this.transaction = waitingSince(fresh);
  }

  /** A simple query to the end of its answers, which go to the client. */
  async query(upstream: Upstream, text: Buffer, shift: Shift | undefined): Promise<Asked> {
    if (upstream.dirty) {
      await this.syncQuietly(upstream);
      await this.#fence(upstream);
    }
    const question = upstream.ask(queryMessage(text), asked('query', { shift }));
    await this.settle(upstream, question);
    this.note(upstream, question.tags);
    return question;
  }

  /** Waits until a question is answered; in a COPY of a simple query the client's data goes to the server meanwhile. */
  async settle(upstream: Upstream, question: Asked): Promise<void> {
    const { inbox } = this.#deps.client;
    while (!question.done && !question.dropped) {
      if (upstream.closed) throw this.lost(upstream);
      const takesData = upstream.copyIn && (question.kind === 'query' || question.kind === 'function');
      if (takesData && (await copyNext(upstream, inbox, this))) continue;
      await (takesData ? Promise.race([inbox.arrival(), upstream.change()]) : upstream.change());
    }
  }

  /** Waits until everything that was asked of the active upstream is answered, or a COPY begins. */
  async drain(): Promise<void> {
    const upstream = this.active;
    if (upstream?.busy && upstream.dirty) upstream.flush();
    while (upstream?.busy && !upstream.copyIn && !upstream.closed) await upstream.change();
  }

  /**
   * As drain, for something that the client wants in its turn: a COPY that waits for data fails, as it has got none.
   * @throws if answers that were due before will never come
   */
  async turn(): Promise<void> {
    await this.drain();
    if (this.active?.copyIn) await this.breakCopy();
    this.#tellLost();
  }

  #tellLost(): void {
    const upstream = this.lostMidway;
    // Behind its error everything is skipped anyway.
    if (upstream === undefined || upstream.failed) return;
    this.lostMidway = undefined;
    throw this.lost(upstream);
  }

  /** Makes the active upstream's COPY fail, in PostgreSQL's own words. */
  async breakCopy(type?: number): Promise<void> {
    const upstream = this.active;
    if (!upstream?.copyIn) return;
    upstream.breakCopy(type);
    await this.drain();
  }

  /** Ends an extended query on each upstream that took part. @returns false if a COPY goes on */
  async sync(): Promise<boolean> {
    if (this.active?.copyIn) {
      this.active.syncInCopy();
      return false;
    }
    this.#tellLost();
    let ending = [...this.#upstreams.values()].filter(({ dirty }) => dirty);
    if (ending.length > 1) {
      await this.drain();
      if (this.active?.copyIn) return false;
      // What the failed query has done at other upstreams is undone, as all of it would be on one server.
      if (this.active?.failed) await this.poison();
      ending = ending.filter(({ dirty }) => dirty);
    }
    const questions = ending.map((upstream) => ({ upstream, question: upstream.sync() }));
    for (const { upstream, question } of questions) {
      await this.settle(upstream, question);
      if (question.dropped) return false;
      this.note(upstream, question.tags);
    }
    return true;
  }

  /** Makes the transaction fail where it is, as an error of the server itself would have done. */
  async poison(): Promise<void> {
    // A transaction that waits for its owner fails at home: savepoints and the like then work as ever.
    if (this.transaction.at === 'waiting') await this.reach(this.home);
    const owner = this.transaction.at === 'owned' ? this.transaction.owner : undefined;
    for (const upstream of this.#upstreams.values()) {
      if (upstream.failed || (!upstream.dirty && (upstream.name !== owner || upstream.status !== 'T'))) continue;
      upstream.ask(executeMessage(noPortal), asked('execute', { quiet: true }));
      await this.syncQuietly(upstream);
    }
  }

  /** Takes note of the transaction's state after an answer. */
  note(upstream: Upstream, tags: readonly string[]): void {
    const owned = this.transaction.at === 'owned' && this.transaction.owner === upstream.name;
    const fresh = this.transaction.at === 'owned' && owned ? this.transaction.fresh : undefined;
    const failed = upstream.status === 'E';
    if (upstream.status !== 'I') this.transaction = { at: 'owned', owner: upstream.name, failed, fresh };
    else if (owned) {
      this.transaction = noTransaction;
      this.settings.end(tags.at(-1) !== 'ROLLBACK');
      upstream.heard = this.settings.last;
    }
  }

  /** BEGIN, and nothing beside it, was said there. @param text as the client said it */
  begun(upstream: Upstream, text: Buffer): void {
    if (upstream.status !== 'I') this.transaction = { at: 'owned', owner: upstream.name, fresh: text };
  }

  /** BEGIN was completed in a pipeline that no Sync has ended. @param text as the client said it */
  begunBeforeSync(upstream: Upstream, text: Buffer): void {
    const fresh = upstream.executes === 1 && this.transaction.at === 'none' ? text : undefined;
    this.transaction = { at: 'owned', owner: upstream.name, fresh };
  }

  get burdened(): boolean {
    return this.#strays.burdened;
  }

  /** Sends what was said out of turn. */
  sendStrays(): void {
    const { burdened } = this;
    for (const frame of this.#strays.take()) this.#deps.client.outbox.send(frame);
    if (burdened) for (const upstream of this.#upstreams.values()) upstream.release();
  }

  /** Peers were made, altered or dropped: what is open to one that is another now, or none, is not used again. */
  comparePeers(peers: ReadonlyMap<string, PeerVersion>): void {
    const { stale, homeless } = changedPeers([...this.#upstreams.values()], peers, this.home);
    if (homeless) this.#deps.client.end(peerGone(this.home));
    for (const upstream of stale) {
      upstream.stale = true;
      if (upstream.idle) upstream.destroy();
    }
  }

  /** Closes every upstream but the home: what they knew of the session is gone. */
  forgetOthers(): void {
    for (const upstream of [...this.#upstreams.values()]) {
      if (upstream.name === this.home) upstream.heard = this.settings.last;
      else upstream.destroy();
    }
  }

  /** Asks whoever is busy to stop; done when they have been asked. */
  async cancel(): Promise<void> {
    this.#opening?.abort();
    const busy = [...this.#upstreams.values()].filter((upstream) => upstream.busy);
    await Promise.all(busy.map((upstream) => upstream.cancel()));
  }

  /** Closes everything at once. A server that works for nobody is told to stop. */
  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#opening?.abort();
    for (const upstream of [...this.#upstreams.values()]) {
      if (upstream.busy) void upstream.cancel();
      upstream.destroy();
    }
  }

  lost(upstream: Upstream): SluiceError {
    const words: ServerErrorFields | undefined = upstream.lastWords;
    if (words !== undefined) return new SluiceError('upstream', words.message, { fields: words });
    return new SluiceError('connection_lost', `the connection to ${showUpstream(upstream.name)} was lost`);
  }

  parameter(upstream: Upstream, name: string, value: string): boolean {
    const told = upstream.name === this.home || !serverFacts.has(name);
    if (!told || this.parameters.get(name) === value) return false;
    this.parameters.set(name, value);
    return true;
  }

  stray(upstream: Upstream, frame: Buffer): boolean {
    const free = !this.serving && (this.active === undefined || this.active === upstream || !this.active.busy);
    if (free) return true;
    this.#strays.keep(frame);
    return false;
  }

  rested(upstream: Upstream): void {
    if (!this.serving && this.active === upstream) this.sendStrays();
  }

  ready(upstream: Upstream): void {
    this.note(upstream, []);
    this.#deps.client.outbox.send(readyForQuery(this.status));
  }

  answered(upstream: Upstream, question: Asked): void {
    this.note(upstream, question.tags);
    this.answeredStraight(upstream);
  }

  /** Told of each ReadyForQuery that goes on by itself. */
  answeredStraight: (upstream: Upstream) => void = () => {};

  closed(upstream: Upstream): void {
    if (this.#upstreams.get(upstream.name) === upstream) this.#upstreams.delete(upstream.name);
    if (this.active === upstream) this.active = undefined;
    if (this.#abandoned) return;
    if (upstream.insideRow) {
      this.over = true;
      this.#deps.client.outbox.cut();
    }
    if (this.transaction.at === 'owned' && this.transaction.owner === upstream.name)
      this.transaction = { at: 'failed' };
    // With its home a session loses its prepared statements, temporary tables, locks: it cannot go on as if nothing happened.
    if (upstream.name !== this.home) {
      if (upstream.dirty) this.lostMidway ??= upstream;
      return;
    }
    this.over = true;
    if (this.serving) return;
    this.#deps.client.outbox.send(errorResponse(this.lost(upstream), 'FATAL'));
    this.#deps.client.inbox.wake();
  }

  async #open(name: string): Promise<Upstream> {
    const opening = new AbortController();
    this.#opening = opening;
    const { client, placeOf, versionOf } = this.#deps;
    try {
      const place = await placeOf(name);
      if (place === undefined) {
        if (name === catalogName) throw new SluiceError('unreachable', 'the catalog cannot be reached');
        throw new SluiceError('undefined_object', `peer "${name}" does not exist`);
      }
      const signal = AbortSignal.any([opening.signal, client.gone]);
      const { config, version } = place;
      const session = { home: this.home, parameters: this.parameters, said: client.login.parameters };
      const startup = startupAt({ name, application: config.application_name }, session);
      const upstream = await Upstream.open({ name, config, startup, outbox: client.outbox, events: this, signal });
      upstream.version = version;
      this.#upstreams.set(name, upstream);
      // Changed while it was opened, when nobody could tell us that it is another's: for this one statement only.
      const now = versionOf(name);
      if (name !== this.home && now !== undefined && now.changed !== version?.changed) upstream.stale = true;
      if (name === this.home && this.parameters.size > 0) this.#tellChanged(upstream);
      if (upstream.closed || this.#abandoned) {
        upstream.destroy();
        throw this.lost(upstream);
      }
      return upstream;
    } finally {
      this.#opening = undefined;
    }
  }

  /** The client was told at login what another session had heard; what is different here it hears now. */
  #tellChanged(upstream: Upstream): void {
    for (const [name, value] of upstream.parameters) {
      if (name === 'session_authorization' || this.parameters.get(name) === value) continue;
      this.parameters.set(name, value);
      this.#deps.client.outbox.send(parameterStatus(name, value));
    }
  }

  /** Statements of the session's past, of which the client has been told already. */
  async #quietly(upstream: Upstream, texts: readonly Buffer[]): Promise<void> {
    if (upstream.dirty) await this.syncQuietly(upstream);
    const questions = askQuietly(upstream, texts);
    if (questions[0]?.kind === 'query') {
      await this.settle(upstream, questions[0]);
      this.note(upstream, questions[0].tags);
    } else await this.syncQuietly(upstream);
    const error = questions.find((each) => each.error !== undefined)?.error;
    if (error !== undefined) throw behindHand(error);
  }

  /** For one who may only look: the server itself refuses changes in what comes next. */
  async #fence(upstream: Upstream): Promise<void> {
    if (!this.readOnly || upstream.fenced || upstream.status !== 'I') return;
    await this.#quietly(upstream, [readOnlyFence]);
    upstream.fenced = true;
  }

  /** Ends what an extended query has begun at one upstream; the client hears nothing of it. @throws `upstream` if that fails */
  async syncQuietly(upstream: Upstream): Promise<void> {
    const question = upstream.sync(true);
    await this.settle(upstream, question);
    this.note(upstream, question.tags);
    if (question.error !== undefined) throw behindHand(question.error);
  }

  /** The same at every upstream, for a simple query: that ends what is open. */
  async endExtended(): Promise<void> {
    for (const upstream of [...this.#upstreams.values()]) if (upstream.dirty) await this.syncQuietly(upstream);
  }
}
