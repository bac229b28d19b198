// Makes what belongs to the tables, as planned: side by side where order permits, and what one of them fails with stops no other.
import { Digests } from '../base/digests.ts';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { type ObjectLine, type ObjectStage, objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { holdToken } from '../peers/checkpoint.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import type { Connection } from '../pg/client.ts';
import { join, type Sql } from '../pg/sql.ts';
import { watchBuilds } from './builds.ts';
import { followsAll } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';
import { type ObjectJob, stageJobs } from './object-jobs.ts';
import { type Crew, inParallel, inTurn } from './parallel.ts';

/** How the making of a mirror's objects stands. Lives as long as one call of its step. */
export class ObjectRun {
  readonly #deps: SnapshotDeps;
  readonly #crew: Crew;
  readonly #token: (target: Connection, work: MirrorWork) => Promise<void>;
  /** How those ended that are not on the target, by key. */
  readonly #unmade = new Map<string, ObjectLine>();
  /** Keys of those that stand there: of ten thousand tables nearly all, of which nothing more is to be known. */
  readonly #standing = new Digests();
  /** By the process id of the connection that is at it. */
  readonly #making = new Map<number, readonly PlannedObject[]>();
  #failures = 0;

  /** @param token compared in every transaction; `holdToken` unless changes are applied meanwhile */
  constructor(
    deps: SnapshotDeps,
    crew: Crew,
    token: (target: Connection, work: MirrorWork) => Promise<void> = holdToken,
  ) {
    this.#deps = deps;
    this.#crew = crew;
    this.#token = token;
  }

  /** Those that the target refused. */
  get failed(): readonly ObjectLine[] {
    return [...this.#unmade.values()].filter((line) => line.state === 'failed');
  }

  /** What this run has come to say of an object that is not on the target; undefined: nothing, or it is still to be made. */
  unmade(line: ObjectLine): ObjectLine | undefined {
    return this.#unmade.get(objectKey(line));
  }

  /** Whether this run could not make what has this key in the ledger, or was not to. */
  isUnmade(key: string): boolean {
    return this.#unmade.has(key);
  }

  /** Whether this run found it on the target, or made it. */
  stands(line: ObjectLine): boolean {
    return this.#standing.has(objectKey(line));
  }

  /** Says how much a person is left with, and where it stands in order. */
  async tellScript(): Promise<void> {
    const lines = [...this.#unmade.values()].filter(({ statement = '' }) => statement !== '');
    const now = lines
      .filter((line) => !this.#isToCome(line))
      .filter(({ state, asIs }) => state === 'failed' || (state === 'left_out' && asIs === true)).length;
    const then = lines.filter(({ state }) => state === 'waiting').length;
    if (now + then === 0) return;
    const counts = [...(now > 0 ? [`${now} now`] : []), ...(then > 0 ? [`${then} at the change-over`] : [])];
    await this.#deps.report.note(
      `statements are left to an administrator, ${counts.join(' and ')}: sluice.script has them in order`,
    );
  }

  /** So that they are made as if for the first time. */
  forget(objects: readonly PlannedObject[]): void {
    for (const { line } of objects) {
      this.#unmade.delete(objectKey(line));
      this.#standing.delete(objectKey(line));
    }
  }

  /** Says how everything stands before anything is made. */
  async begin(planned: readonly PlannedObject[]): Promise<void> {
    for (const { line, steps } of planned) {
      if (line.state !== 'waiting' || steps.length === 0) this.#ends(line);
    }
    // Of what is worth no line while it stands, only what keeps it from that.
    const told = planned.filter(({ line, quiet, steps }) => {
      return quiet !== true || (line.state !== 'existed' && (line.state !== 'waiting' || steps.length === 0));
    });
    await this.#deps.report.objects(told.map(({ line }) => line));
    for (const { line } of planned) if (line.state === 'failed') await this.#note(line);
  }

  /**
   * Makes the objects of these stages.
   * @param watch a connection to the target that is free meanwhile, to look at how far index builds are
   * @throws what is no object's fault: a connection that is lost, `fenced`, `stopped`
   */
  async make(
    planned: readonly PlannedObject[],
    what: { readonly stages: readonly ObjectStage[]; readonly watch: Connection },
    signal: AbortSignal,
  ): Promise<void> {
    // What waits without steps is held back.
    const waiting = planned.filter(({ line, steps }) => line.state === 'waiting' && steps.length > 0);
    const watching = watchBuilds(what.watch, this.#making, (lines) => this.#deps.report.objects(lines));
    try {
      for (const stage of what.stages) {
        const ofStage = waiting.filter(({ line }) => line.stage === stage);
        for (const { jobs, sideBySide } of stageJobs(stage, ofStage)) {
          const run = (target: Connection, job: ObjectJob) => this.#run(target, job);
          await (sideBySide ? inParallel(this.#crew, jobs, run, signal) : inTurn(this.#crew, jobs, run, signal));
        }
      }
    } finally {
      await watching.stop();
    }
  }

  // All of a job in one transaction, where it has several; if that fails, one by one, to learn which it is.
  async #run(target: Connection, job: ObjectJob): Promise<void> {
    const ready = job.objects.filter(({ line }) => !this.#unmade.has(objectKey(line)) && !this.stands(line));
    const able: PlannedObject[] = [];
    for (const object of ready) {
      const reason = this.#missing(object);
      if (reason === null) able.push(object);
      else if (object.quiet === true) this.#ends({ ...object.line, state: 'left_out' });
      else await this.#end(object, { state: 'failed', reason });
    }
    if (able.length === 0) return;
    this.#making.set(target.pid, able);
    try {
      await this.#tell(
        able.filter(({ quiet }) => quiet !== true),
        'making',
      );
      if (able.length > 1 && (await this.#together(target, able, job))) return;
      for (const object of able) await this.#alone(target, object, job);
    } catch (error) {
      // Nobody is at them any more.
      const left = able.filter(({ line, quiet }) => quiet !== true && !this.stands(line) && !this.unmade(line));
      await this.#tell(left, 'waiting').catch(() => undefined);
      throw error;
    } finally {
      this.#making.delete(target.pid);
    }
  }

  // What it stands on was refused or is left out.
  #missing(object: PlannedObject): string | null {
    for (const key of object.needs) {
      const line = this.#unmade.get(key);
      if (line?.state === 'failed' || line?.state === 'left_out') return `${line.kind} ${line.name} is not there`;
    }
    return null;
  }

  async #together(target: Connection, objects: readonly PlannedObject[], job: ObjectJob): Promise<boolean> {
    const statements = objects.flatMap((object) => stepsOf(object, job).flat());
    try {
      await this.#transaction(target, statements);
    } catch (error) {
      throwTrouble(toSluiceError(error), target);
      return false;
    }
    for (const object of objects) this.#done(object, job);
    await this.#tell(
      objects.filter((object) => job.last(object)),
      'created',
    );
    return true;
  }

  async #alone(target: Connection, object: PlannedObject, job: ObjectJob): Promise<void> {
    try {
      for (const statements of stepsOf(object, job)) await this.#patiently(target, statements);
    } catch (error) {
      const known = toSluiceError(error);
      throwTrouble(known, target);
      await this.#end(object, { state: 'failed', reason: inWords(known), sqlstate: known.sqlstate });
      return;
    }
    this.#done(object, job);
    if (job.last(object)) await this.#tell([object], 'created');
  }

  // Two that lock the same tables in another order, ours or not ours: one of them is told to try again.
  async #patiently(target: Connection, statements: readonly Sql[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#transaction(target, statements);
      } catch (error) {
        if (tries === 5 || toSluiceError(error).sqlstate !== deadlock) throw error;
      }
    }
  }

  async #transaction(target: Connection, statements: readonly Sql[]): Promise<void> {
    // Who may not grant something is only warned.
    let warned: string | undefined;
    const hear = ({ code, message }: { readonly code?: string | undefined; readonly message?: string | undefined }) => {
      if (code === '01006' || code === '01007') warned ??= message;
    };
    target.client.on('notice', hear);
    try {
      await target.transaction(async () => {
        await this.#token(target, this.#deps.work);
        await target.run(join(statements, '; '));
        if (warned !== undefined) throw new SluiceError('upstream', warned, { sqlstate: '42501' });
      });
    } finally {
      target.client.off('notice', hear);
    }
  }

  #done(object: PlannedObject, job: ObjectJob): void {
    if (job.last(object)) this.#ends({ ...object.line, state: 'created' });
  }

  // It was altered on the source since its table was copied, or what it stands on was: it is made with all that follows.
  #isToCome({ sqlstate }: ObjectLine): boolean {
    return followsAll(this.#deps.work) && notThere.has(sqlstate);
  }

  #ends(line: ObjectLine): void {
    const key = objectKey(line);
    if (line.state === 'created' || line.state === 'existed') {
      this.#unmade.delete(key);
      this.#standing.add(key);
    } else {
      this.#standing.delete(key);
      this.#unmade.set(key, line);
    }
  }

  async #tell(objects: readonly PlannedObject[], state: 'waiting' | 'making' | 'created'): Promise<void> {
    if (objects.length > 0) await this.#deps.report.objects(objects.map(({ line }) => ({ ...line, state })));
  }

  async #end(object: PlannedObject, how: Pick<ObjectLine, 'state' | 'reason' | 'sqlstate'>): Promise<void> {
    const line = { ...object.line, ...how };
    this.#ends(line);
    await this.#deps.report.objects([line]);
    await this.#note(line);
  }

  async #note(line: ObjectLine): Promise<void> {
    if (this.#isToCome(line)) return;
    this.#failures++;
    if (this.#failures > mostNotes) return;
    const of = line.table === '' ? '' : ` of ${line.table}`;
    await this.#deps.report.note(`cannot make ${line.kind} ${line.name}${of} on the target: ${line.reason}`);
    if (this.#failures === mostNotes) await this.#deps.report.note('further ones are in sluice.objects only');
  }
}

// A function, relation, other object, column or schema that is not there.
const notThere: ReadonlySet<string | undefined> = new Set(['42883', '42P01', '42704', '42703', '3F000']);
const deadlock = '40P01';
const mostNotes = 50;

function stepsOf(object: PlannedObject, job: ObjectJob): PlannedObject['steps'] {
  return object.steps.slice(job.from, job.to);
}

/** What another try of the whole step may overcome is no object's fault. */
export function throwTrouble(error: SluiceError, target: Connection): void {
  if (target.lost.aborted || error.kind !== 'upstream') throw error;
  if (error.retry === 'backoff' && error.sqlstate !== deadlock) throw error;
}

export function inWords(error: SluiceError): string {
  return error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
}
