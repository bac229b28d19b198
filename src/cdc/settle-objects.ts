// Brings the target's objects to what the source has: drops, new names, new definitions, new objects; each told in the journal.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import { type ObjectLine, objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { compareToken } from '../peers/checkpoint.ts';
import { dropNow, type Found, foundObjects } from '../peers/found-objects.ts';
import { type KnownObject, readKnownObjects, wantLook, writeKnownObjects } from '../peers/known-objects.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import { renameStatements } from '../peers/schema/undo.ts';
import { writeSchemaChange } from '../peers/schema-changes.ts';
import { planWhole, type SourceLook, type WholePlan } from '../peers/whole-plan.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { type Sql, trusted } from '../pg/sql.ts';
import type { CdcReport } from './report.ts';

export interface ObjectsDeps {
  readonly work: MirrorWork;
  /** Without an open transaction. */
  readonly target: Connection;
  readonly report: CdcReport;
  /** Where the source's log stood that the look is of. */
  readonly lsn: Lsn;
}

/** What the target answered; null: it is done. */
type Answer = SluiceError | null;

/**
 * Makes everything that may be made now. What the target refuses is told and stops nothing: no row needs it. May be cut off
 * anywhere and called again.
 * @throws what is no object's fault: a connection that is lost, `fenced`
 */
export async function settleObjects(deps: ObjectsDeps, look: SourceLook): Promise<void> {
  await new Settling(deps).run(look);
}

/**
 * Before the first change is applied: what the target has by now of what the source has. Without it nobody could say later what a
 * drop or a new name is of. The rest is made with the next look, which is asked for.
 */
export async function rememberFirst(deps: ObjectsDeps, look: SourceLook): Promise<void> {
  const plan = await planWhole(deps.target, deps.work, look);
  await remember(deps, { objects: standing(plan, foundObjects(plan)) }, 'more is to be made');
}

function standing(plan: WholePlan, now: ReadonlyMap<string, Found>): readonly Found[] {
  const lacking = new Set(
    plan.objects.flatMap((each) =>
      each.line.state === 'existed' || isDoneWithout(each) ? [] : [objectKey(each.line)],
    ),
  );
  return [...now.values()].filter(({ key, stands }) => stands !== false && !lacking.has(key));
}

async function remember(
  { work, target, lsn }: ObjectsDeps,
  known: { readonly objects: readonly (KnownObject | Found)[]; readonly before?: ReadonlyMap<string, KnownObject> },
  then: 'all is made' | 'more is to be made',
): Promise<void> {
  await target.transaction(async () => {
    await compareToken(target, work);
    await writeKnownObjects(target, work, { ...known, done: then === 'all is made' });
    if (then === 'more is to be made') await wantLook(target, work, lsn);
  });
}

// What is not there, or goes with something else, need not be dropped.
const undefinedStates: ReadonlySet<string> = new Set(['42704', '42P01', '42883', '3F000', '42703']);
const takenStates: ReadonlySet<string> = new Set(['42P07', '42710', '42723', '42P06']);

class Settling {
  readonly #deps: ObjectsDeps;
  #aside = 0;

  constructor(deps: ObjectsDeps) {
    this.#deps = deps;
  }

  async run(look: SourceLook): Promise<void> {
    const { work, target } = this.#deps;
    const before = await readKnownObjects(target, work);
    const isKnown = (id: string) => before.fresh || before.objects.has(id);
    let plan = await planWhole(target, work, look, isKnown);
    let now = foundObjects(plan);
    const known = before.fresh
      ? new Map(standing(plan, now).map((each) => [each.id, each]))
      : withNewIds(before.objects, { now, plan });
    const gone = [...known.values()].filter(({ id }) => !now.has(id));
    const undropped = await this.#drop(gone, plan);
    const renamed = await this.#rename(known, now);
    if (renamed || undropped.dropped) {
      plan = await planWhole(target, work, look, isKnown);
      now = foundObjects(plan);
    }
    const failed = await this.#make(plan, { before: known, now });
    // What could not be made is as if it had just come: it is tried again with the next change.
    const rest = [...now.values()].filter(({ id }) => !failed.has(id));
    await remember(this.#deps, { objects: [...rest, ...undropped.left], before: before.objects }, 'all is made');
  }

  // Again and again while one goes: what stands on another must go before it.
  async #drop(
    gone: readonly KnownObject[],
    plan: WholePlan,
  ): Promise<{ readonly left: readonly KnownObject[]; readonly dropped: boolean }> {
    let left = gone.filter(({ drop, kind }) => drop.length > 0 && kind !== 'table');
    const answers = new Map<string, SluiceError>();
    const done: KnownObject[] = [];
    for (let before = -1; left.length !== before; ) {
      before = left.length;
      const still: KnownObject[] = [];
      for (const object of left.toReversed()) {
        const statements = dropNow(object, plan);
        const what = statements.length === 0 ? null : `${wordOf(object)} dropped`;
        const answer = await this.#change(what, statements);
        if (answer === null || undefinedStates.has(answer.sqlstate)) done.push(object);
        else {
          answers.set(object.id, answer);
          still.push(object);
        }
      }
      left = still.toReversed();
    }
    for (const object of left) {
      const answer = answers.get(object.id);
      await this.#deps.report.noteOnce(
        `${wordOf(object)} is not on the source any more and cannot be dropped on the target: ${answer?.detail ?? answer?.message}. To be run there: ${object.drop.join('; ')}`,
      );
    }
    await this.#deps.report.gone(done.map(({ key }) => key));
    return { left, dropped: done.length > 0 };
  }

  async #rename(before: ReadonlyMap<string, KnownObject>, now: ReadonlyMap<string, Found>): Promise<boolean> {
    const schemas = new Map<string, string>();
    let any = false;
    const left: KnownObject[] = [];
    const all = [...now.values()].toSorted((a, b) => Number(b.kind === 'schema') - Number(a.kind === 'schema'));
    const waiting: { readonly was: KnownObject; readonly is: Found; readonly from: string }[] = [];
    for (const is of all) {
      const known = before.get(is.id);
      if (known === undefined || known.drop.length === 0 || is.kind === 'comment' || is.kind === 'default') continue;
      const was = { ...known, schema: schemas.get(known.schema) ?? known.schema };
      if (was.kind !== is.kind || (was.schema === is.schema && was.name === is.name)) continue;
      const steps = renameStatements(was, is);
      if (steps === null || steps.length === 0) continue;
      any = true;
      const answer = await this.#change(`${wordOf(known)} renamed to ${is.name}`, steps);
      if (answer === null && is.kind === 'schema') schemas.set(was.name, is.name);
      // What needed the new one at once is there already, and the rest goes after it.
      if (answer?.sqlstate === '42P06' && is.kind === 'schema') left.push(was);
      // Its name is another's that has still to be renamed.
      else if (answer !== null && takenStates.has(answer.sqlstate)) {
        const free = `sluice_renamed_${++this.#aside}`;
        const aside = renameStatements(was, { ...was, table: is.table, name: free });
        if (aside === null || (await this.#change(null, aside)) !== null) continue;
        waiting.push({ was: { ...was, name: free, table: is.table }, is, from: wordOf(known) });
      }
    }
    for (const was of left) {
      const answer = await this.#change(`${wordOf(was)} dropped, from which all has moved`, was.drop.map(trusted));
      if (answer !== null)
        await this.#deps.report.noteOnce(`${wordOf(was)} stays on the target: ${answer.detail ?? answer.message}`);
    }
    for (const { was, is, from } of waiting) {
      await this.#change(`${from} renamed to ${is.name}`, renameStatements(was, is) ?? []);
    }
    return any;
  }

  // @returns ids of what could not be made
  async #make(
    plan: WholePlan,
    of: { readonly before: ReadonlyMap<string, KnownObject>; readonly now: ReadonlyMap<string, Found> },
  ): Promise<ReadonlySet<string>> {
    const byKey = new Map([...of.now.values()].map((each) => [each.key, each]));
    const failed = new Map<string, SluiceError | null>();
    const planned = new Map(plan.objects.map((object) => [objectKey(object.line), object]));
    const lines: ObjectLine[] = [];
    let todo: { readonly object: PlannedObject; readonly found: Found | undefined; readonly steps: Steps }[] = [];
    for (const object of plan.objects) {
      const found = byKey.get(objectKey(object.line));
      const known = found === undefined ? undefined : of.before.get(found.id);
      const steps = stepsOf(object, { found, known });
      if (steps !== null) todo.push({ object, found, steps });
      else if (known === undefined && object.quiet !== true) lines.push(object.line);
      // What is in its way may go: then it is as if it had just come.
      const isLacking = isElsewhere(object) && !(known !== undefined && isDoneWithout(object));
      if (steps === null && found !== undefined && isLacking) failed.set(found.id, null);
    }
    for (let tries = 0; tries < 2 && todo.length > 0; tries++) {
      const again: typeof todo = [];
      for (const each of todo) {
        const { line } = each.object;
        const what = `${line.kind} ${shownOf(line)} ${each.steps.again ? 'changed' : 'made'}`;
        const answer = await this.#run(what, each.steps, line.table);
        if (each.found !== undefined) {
          if (answer === null) failed.delete(each.found.id);
          else failed.set(each.found.id, answer);
        }
        if (answer === null) lines.push({ ...line, state: 'created', reason: undefined, sqlstate: undefined });
        else again.push(each);
        if (answer !== null && tries === 1) lines.push(await this.#refused(line, answer));
      }
      // What another of these may need.
      todo = again;
    }
    for (const found of of.now.values()) {
      if (planned.has(found.key)) continue;
      await this.#ofColumn(found, of.before.get(found.id));
    }
    if (lines.length > 0) await this.#deps.report.objects(lines);
    return new Set(failed.keys());
  }

  async #refused(line: ObjectLine, error: SluiceError): Promise<ObjectLine> {
    const reason = error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
    await this.#deps.report.noteOnce(`cannot make ${line.kind} ${shownOf(line)} on the target: ${reason}`);
    return { ...line, state: 'failed', reason, sqlstate: error.sqlstate };
  }

  // Defaults are in no plan: the table was made with them.
  async #ofColumn(found: Found, known: KnownObject | undefined): Promise<void> {
    if (found.making.length === 0 || found.stands || known?.definition === found.definition) return;
    // What a table of the target was given otherwise from the beginning is somebody's own.
    if (found.kind === 'property' && known !== undefined) return await this.#set(found);
    if (found.kind !== 'default') return;
    const answer = await this.#change(`default of column ${found.name} set`, found.making.flat(), found.table);
    if (answer === null) return;
    await this.#deps.report.noteOnce(`cannot set the default of ${found.shown} on the target: ${answer.message}`);
  }

  async #set({ name, shown, table, making }: Found): Promise<void> {
    const answer = await this.#change(`${name} changed`, making.flat(), table);
    if (answer !== null) await this.#deps.report.noteOnce(`cannot change ${shown} on the target: ${answer.message}`);
  }

  async #run(what: string, { list, otherwise, again }: Steps, table: string): Promise<Answer> {
    // Each step is a transaction of its own; the journal is told with the last.
    let answer: Answer = null;
    for (const [i, step] of list.entries()) {
      const last = i === list.length - 1;
      answer = await this.#change(last ? what : null, step, table);
      if (answer !== null) break;
    }
    if (answer === null || otherwise === null || !again) return answer;
    return await this.#change(what, otherwise, table);
  }

  /** In one transaction, with its line for the journal. */
  async #change(what: string | null, statements: readonly Sql[], table = ''): Promise<Answer> {
    const { target, work, lsn } = this.#deps;
    for (let tries = 1; ; tries++) {
      try {
        await target.transaction(async () => {
          await compareToken(target, work);
          for (const statement of statements) await target.run(statement);
          if (what === null) return;
          const texts = statements.map(({ text }) => text);
          await writeSchemaChange(target, work, { table, what, lsn, statements: texts });
        });
        return null;
      } catch (error) {
        const known = toSluiceError(error);
        if (target.lost.aborted || known.kind !== 'upstream') throw known;
        if (known.sqlstate === '40P01' && tries < 5) continue;
        if (known.retry === 'backoff') throw known;
        return known;
      }
    }
  }
}

/**
 * What is on the same table by the same name with the same definition, and by another OID, is the same to the target: an index that
 * was built anew (REINDEX CONCURRENTLY), or dropped and made as it was. What the target lacks is not taken for it.
 */
function withNewIds(
  known: ReadonlyMap<string, KnownObject>,
  { now, plan }: { readonly now: ReadonlyMap<string, Found>; readonly plan: WholePlan },
): ReadonlyMap<string, KnownObject> {
  const lost = [...known.values()].filter(({ id, table }) => table !== '' && !now.has(id));
  if (lost.length === 0) return known;
  const there = new Set(plan.objects.flatMap(({ line }) => (line.state === 'existed' ? [objectKey(line)] : [])));
  const isNew = ({ id, key }: Found) => !known.has(id) && there.has(key);
  const fresh = new Map([...now.values()].filter(isNew).map((each) => [each.key, each]));
  const all = new Map(known);
  for (const was of lost) {
    const is = fresh.get(was.key);
    if (is === undefined || is.definition !== was.definition) continue;
    all.delete(was.id);
    all.set(is.id, { ...was, id: is.id });
  }
  return all;
}

interface Steps {
  readonly list: PlannedObject['steps'];
  /** All in one transaction, if that does not go. */
  readonly otherwise: readonly Sql[] | null;
  /** It is there and gets another definition. */
  readonly again: boolean;
}

// Those that lose nothing when they are made anew.
const replaceable: ReadonlySet<string> = new Set([
  ...['view', 'function', 'procedure', 'aggregate', 'trigger', 'rule', 'policy', 'index', 'statistics', 'cast'],
  ...[
    'check constraint',
    'foreign key',
    'unique constraint',
    'exclusion constraint',
    'comment',
    'owner',
    'event trigger',
  ],
  ...['view default', 'setting', 'materialized view'],
]);

/** What is to be run for an object; null: nothing. A person who has taken something from the target, or changed it there, is let be. */
function stepsOf(
  { line, steps }: PlannedObject,
  { found, known }: { readonly found: Found | undefined; readonly known: KnownObject | undefined },
): Steps | null {
  const changed = known !== undefined && found !== undefined && known.definition !== found.definition;
  if (line.kind === 'grant' && changed && line.state !== 'left_out' && found.making.length > 0) {
    return { list: [[...known.drop.map(trusted), ...found.making.flat()]], otherwise: null, again: true };
  }
  if (line.state === 'waiting' && steps.length > 0) {
    if (known !== undefined && !changed) return null;
    return { list: steps, otherwise: null, again: false };
  }
  const inTheWay = line.state === 'failed' || line.state === 'left_out';
  const altering = changed && inTheWay ? found.altering?.(known.type) : undefined;
  if (altering !== undefined) return { list: [altering], otherwise: null, again: true };
  if (!changed || !inTheWay || found.making.length === 0 || !replaceable.has(line.kind)) return null;
  const anew = known.drop.length === 0 ? null : [...found.drop.map(trusted), ...found.making.flat()];
  return { list: found.making, otherwise: anew, again: true };
}

// It is not on the target, or another is in its place, or it is held back.
function isElsewhere({ line }: PlannedObject): boolean {
  return (
    line.state === 'failed' || line.state === 'left_out' || (line.state === 'waiting' && line.reason !== undefined)
  );
}

// A table of the target that stood without a key was meant to.
function isDoneWithout({ line }: PlannedObject): boolean {
  return line.kind === 'primary key' && line.state === 'left_out';
}

function wordOf({ kind, shown }: Pick<KnownObject, 'kind' | 'shown'>): string {
  return `${kind} ${shown}`;
}

function shownOf({ name, table, schema }: ObjectLine): string {
  if (table !== '') return `${name} of ${table}`;
  return schema === '' ? name : `${schema}.${name}`;
}
