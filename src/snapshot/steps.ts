// Makes what stands before the rows, tables and all that they need in one order; what they do not need may fail.
import { chunksOf } from '../base/chunks.ts';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { type ObjectLine, type ObjectName, objectKey } from '../mirror/object.ts';
import { holdToken } from '../peers/checkpoint.ts';
import type { SchemaStep } from '../peers/ddl-tree.ts';
import { inOrder } from '../peers/schema/order.ts';
import type { DatabasePlan } from '../peers/schema/read-plan.ts';
import type { Connection } from '../pg/client.ts';
import { join, type Sql } from '../pg/sql.ts';
import type { SnapshotDeps } from './deps.ts';
import { inWords, throwTrouble } from './objects.ts';
import { Crew, inParallel } from './parallel.ts';
import { during } from './trees.ts';

/** Something to make: of the mirror's tables, which must succeed, or an object of the database, which may fail. */
interface Item {
  readonly what: string;
  readonly id: string;
  readonly lines: readonly ObjectLine[];
  readonly steps: () => readonly (readonly Sql[])[];
  /** Ledger keys of what must stand before; only of objects that may fail. */
  readonly needs: readonly string[];
  readonly mayFail: boolean;
  /** What is made without, and why. */
  readonly leftOut: readonly ObjectLine[];
  /** Ids that come before, whatever the server says of them. */
  readonly after: readonly string[];
}

const stepsPerTransaction = 50;

/**
 * Makes tables and objects of the database in an order in which each stands on what it needs.
 * @returns ledger keys of what was not made
 * @throws what a table's step fails with
 */
export async function makeBefore(
  deps: SnapshotDeps,
  target: Connection,
  { steps, database }: { readonly steps: readonly SchemaStep[]; readonly database: DatabasePlan },
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const early = database.objects.filter(({ line }) => line.stage === 'before');
  await deps.report.objects(early.map(({ line }) => line));
  const failed = new Map<string, ObjectLine>();
  const troubles = new Map<Item, SluiceError>();
  const make = (items: readonly Item[]) => makeSome(deps, target, { items, failed, troubles });
  await using crew = new Crew(deps.work, deps.report.note, { purpose: 'prepare', lent: target });
  for (const { items, alone } of groupsOf(ordered(steps, database), database)) {
    const chunks = chunksOf(items, stepsPerTransaction);
    for (const chunk of alone && chunks.length > 1 ? await makeBeside(deps, crew, { chunks, signal }) : chunks) {
      throwIfStopped(signal);
      await make(chunk);
    }
  }
  await makeLacking(troubles, make, signal);
  throwAll([...troubles.values()]);
  return new Set(failed.keys());
}

// undefined_table, undefined_object, undefined_function
const lacks: ReadonlySet<string | undefined> = new Set(['42P01', '42704', '42883']);

/**
 * Of some expressions no server notes what they need (`array[]::t[]`): tables that lack something are tried again when all others
 * stand, for as long as that makes one of them.
 */
async function makeLacking(
  troubles: Map<Item, SluiceError>,
  make: (items: readonly Item[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const lacking = () => [...troubles].filter(([, { sqlstate }]) => lacks.has(sqlstate)).map(([item]) => item);
  let left = lacking();
  for (let before = left.length + 1; left.length > 0 && left.length < before; left = lacking()) {
    before = left.length;
    for (const item of left) {
      throwIfStopped(signal);
      troubles.delete(item);
      await make([item]);
    }
  }
}

/**
 * Makes chunks over several sessions.
 * @returns chunks that failed, to be made in turn: two sessions may have drawn one name (of an array's type) for tables of their own
 */
async function makeBeside(
  deps: SnapshotDeps,
  crew: Crew,
  { chunks, signal }: { readonly chunks: readonly (readonly Item[])[]; readonly signal: AbortSignal },
): Promise<readonly (readonly Item[])[]> {
  const again = new Set<readonly Item[]>();
  const make = async (target: Connection, items: readonly Item[]) => {
    try {
      await apply(deps, target, statementsOf(items));
    } catch (error) {
      const known = toSluiceError(error);
      if (target.lost.aborted || known.kind !== 'upstream') throw during('cannot make tables on the target', error);
      again.add(items);
      return;
    }
    await deps.report.objects(items.flatMap(madeLines));
  };
  await inParallel(crew, chunks, make, signal);
  return chunks.filter((chunk) => again.has(chunk));
}

// A person sees at once all that there is to mend.
function throwAll(troubles: readonly SluiceError[]): void {
  const [first, ...more] = troubles;
  if (first === undefined) return;
  if (more.length === 0) throw first;
  const { kind, message, detail, hint, sqlstate, fields } = first;
  throw new SluiceError(kind, message, {
    ...{ hint, sqlstate, fields, cause: first },
    detail: [detail, ...more.map((each) => each.message)].filter((line) => line !== undefined).join('\n'),
  });
}

/**
 * Cuts what is in order where something may have to wait for what is before it. In a group that is `alone` are tables that need
 * nothing of it and have neither parents nor children, so that no two sessions that make them lock the same.
 */
function groupsOf(
  items: readonly Item[],
  { needsOf }: Pick<DatabasePlan, 'needsOf'>,
): readonly { readonly items: readonly Item[]; readonly alone: boolean }[] {
  const family = new Set(items.flatMap(({ id, after }) => (after.length === 0 ? [] : [id, ...after])));
  const groups: { items: Item[]; alone: boolean }[] = [];
  const ids = new Set<string>();
  for (const item of items) {
    const alone = !item.mayFail && item.id.startsWith('pg_class:') && !family.has(item.id);
    const last = groups.at(-1);
    const needs = alone && [...needsOf(item.id)].some((id) => ids.has(id));
    if (last?.alone === alone && !needs) last.items.push(item);
    else {
      groups.push({ items: [item], alone });
      ids.clear();
    }
    ids.add(item.id);
  }
  return groups;
}

const none: readonly never[] = [];

// Schemas come before all, then steps without an id; the others keep their order as far as their needs permit.
function ordered(steps: readonly SchemaStep[], database: DatabasePlan): readonly Item[] {
  const objects = database.objects
    .filter(({ line, steps: made }) => line.stage === 'before' && line.state === 'waiting' && made.length > 0)
    .map(({ id, line, steps: made, needs }): Item => {
      return {
        what: `${line.kind} ${line.name}`,
        id,
        lines: [line],
        steps: () => made,
        needs,
        mayFail: true,
        leftOut: [],
        after: [],
      };
    });
  const tables = steps.map((step, i): Item => {
    const { what, id, objects: made = [], leftOut = none, after = none } = step;
    const lines = made.map((object) => createdLine(object));
    const all = () => [step.statements];
    return { what, id: id ?? `step:${i}`, lines, steps: all, needs: none, mayFail: false, leftOut, after };
  });
  const isFirst = ({ id }: Item) => id.startsWith('step:') || id.startsWith('pg_namespace:');
  const first = [...objects, ...tables].filter(isFirst);
  const rest = [...objects, ...tables].filter((item) => !isFirst(item));
  const byId = new Map(rest.map((item) => [item.id, item]));
  const turns = inOrder(
    rest.map(({ id }) => id),
    (id) => {
      const after = byId.get(id)?.after ?? [];
      return after.length === 0 ? database.needsOf(id) : new Set([...database.needsOf(id), ...after]);
    },
    () => false,
  );
  return [...first, ...turns.flatMap(({ id }) => byId.get(id) ?? [])];
}

function createdLine(object: ObjectName): ObjectLine {
  return { ...object, stage: 'before', state: 'created' };
}

interface Some {
  readonly items: readonly Item[];
  /** By ledger key. */
  readonly failed: Map<string, ObjectLine>;
  /** What keeps tables from being made; all else is tried first, so that a person sees at once all that there is to mend. */
  readonly troubles: Map<Item, SluiceError>;
}

async function makeSome(deps: SnapshotDeps, target: Connection, { items, failed, troubles }: Some): Promise<void> {
  const { report } = deps;
  const lines: ObjectLine[] = [];
  try {
    await apply(deps, target, statementsOf(items));
    lines.push(...items.flatMap(madeLines));
  } catch (error) {
    const [only] = items;
    if (target.lost.aborted) throw during(`cannot make ${only?.what} on the target`, error);
    // Once more one by one, to say which it is.
    for (const item of items) {
      const ended = await makeOne(deps, target, { item, failed, troubles });
      for (const line of ended) if (line.state === 'failed') failed.set(objectKey(line), line);
      lines.push(...ended);
    }
  }
  await report.objects(lines);
  for (const { kind, name, reason, state } of lines) {
    if (state === 'failed') await report.note(`cannot make ${kind} ${name} on the target: ${reason}`);
  }
}

function statementsOf(items: readonly Item[]): readonly Sql[] {
  return items.flatMap((item) => item.steps().flat());
}

async function apply({ work }: SnapshotDeps, target: Connection, statements: readonly Sql[]): Promise<void> {
  await target.transaction(async () => {
    await holdToken(target, work);
    await target.run(join(statements, '; '));
  });
}

async function makeOne(
  deps: SnapshotDeps,
  target: Connection,
  { item, failed, troubles }: Omit<Some, 'items'> & { readonly item: Item },
): Promise<readonly ObjectLine[]> {
  const missing = item.needs.map((key) => failed.get(key)).find((line) => line !== undefined);
  if (missing !== undefined) return item.lines.map((line) => gone(line, missing));
  try {
    for (const step of item.steps()) await apply(deps, target, step);
    return madeLines(item);
  } catch (error) {
    const known = toSluiceError(error);
    const trouble = during(
      `cannot make ${item.what} on the target`,
      error,
      lacks.has(known.sqlstate) ? lackingHint : undefined,
    );
    if (!item.mayFail && (target.lost.aborted || known.kind !== 'upstream')) throw trouble;
    throwTrouble(known, target);
    if (!item.mayFail) {
      troubles.set(item, trouble);
      return [];
    }
    return item.lines.map((line) => refusedLine(line, known));
  }
}

const lackingHint =
  'It names something that is not there: SHOW MIRROR tells what was not made, and why. If nothing is told (a default may name an index, or two tables each other, of which no dependency tells), make the table on the target without that default, with its partitions if it has some; one that fits is used, and the default can be set when the copy is done. Then RESUME MIRROR.';

function madeLines({ lines, leftOut }: Item): readonly ObjectLine[] {
  return [...lines.map(made), ...leftOut];
}

function made(line: ObjectLine): ObjectLine {
  return { ...line, state: 'created' };
}

function gone(line: ObjectLine, missing: ObjectLine): ObjectLine {
  return { ...line, state: 'failed', reason: `${missing.kind} ${missing.name} is not there` };
}

function refusedLine(line: ObjectLine, error: SluiceError): ObjectLine {
  return { ...line, state: 'failed', reason: inWords(error), sqlstate: error.sqlstate };
}
