// Labels of enums: the stream is silent about them, so they are compared when a session begins and when the target does not know one.
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { compareToken, readCheckpoint } from '../peers/checkpoint.ts';
import { connectSides } from '../peers/connect.ts';
import { labelChange, readEnums } from '../peers/enum-labels.ts';
import { ensureKnownLabels, readKnownLabels, writeKnownLabels } from '../peers/known-labels.ts';
import {
  allRenames,
  type Drift,
  driftOf,
  isConfused,
  type LabelStep,
  nextRenames,
  type Renamed,
} from '../peers/label-drift.ts';
import { ensureSchemaChanges, writeSchemaChange } from '../peers/schema-changes.ts';
import type { SessionShelf } from '../peers/shelf.ts';
import type { Connection } from '../pg/client.ts';
import type { TableName } from '../pg/table.ts';
import { passingHint, stepsHint, unsureHint } from './label-words.ts';
import { columnsOfTypes, confusedTrouble, rememberToRead, type TableColumns } from './relabelled.ts';

/** A label that has another name on the target now. */
export interface NewName {
  readonly type: TableName;
  readonly step: Renamed;
}

/** What was done, or is to be done, where the target does not know a label. */
export type Labels =
  /** Nothing differs that can be mended. */
  | { readonly kind: 'none' }
  | { readonly kind: 'added' }
  | { readonly kind: 'renamed'; readonly labels: readonly NewName[] }
  /** A label has another name, which must wait until all rows before are applied: that row is to be met again with these applied. */
  | { readonly kind: 'careful' }
  /** A person has to do it. */
  | { readonly kind: 'told'; readonly hint: string }
  /** All labels have their names; that may be what the row lacks. */
  | { readonly kind: 'may be told'; readonly hint: string };

interface Step {
  readonly type: TableName;
  readonly step: LabelStep;
}

/** When the following begins: gives the target's enums the new labels that the source's have, and remembers which is which. */
export async function compareLabels(work: MirrorWork, shelf?: SessionShelf, signal?: AbortSignal): Promise<void> {
  await using sides = await openSides(work, signal, shelf);
  const drifts = await lookAt(sides, work);
  await make(sides, work, { drifts, steps: work.options.schema_changes === 'off' ? [] : addsOf(drifts) });
}

/**
 * Where the target does not know a value: gives its enums the labels that the source's have. More labels than rows need yet do no
 * harm; a name that changed is right only from one row on.
 * @param careful whether that row has all before it
 * @param renamed what was renamed before it was met again
 */
export async function followLabels(
  work: MirrorWork,
  { careful, renamed }: { readonly careful: boolean; readonly renamed: readonly NewName[] },
  signal?: AbortSignal,
): Promise<Labels> {
  await using sides = await openSides(work, signal);
  const drifts = await lookAt(sides, work);
  const follows = work.options.schema_changes !== 'off';
  const adds = addsOf(drifts);
  if (adds.length > 0 && !follows) return { kind: 'told', hint: stepsHint(adds) };
  if (adds.length > 0) {
    await make(sides, work, { drifts, steps: adds });
    return { kind: 'added' };
  }
  const renames = nextRenames(drifts);
  const unsure = drifts.filter((each) => each.unsure !== null);
  if (renames.length + unsure.length === 0) {
    return renamed.length === 0 ? { kind: 'none' } : { kind: 'may be told', hint: passingHint(renamed) };
  }
  if (!careful) return { kind: 'careful' };
  if (renames.length === 0) return { kind: 'told', hint: unsureHint(unsure, work.name) };
  const steps = renames.map(({ type, step }) => ({ type, step: { kind: 'rename', ...step } as const }));
  if (!follows) return { kind: 'told', hint: stepsHint(steps) };
  await make(sides, work, { drifts, steps });
  return { kind: 'renamed', labels: renames };
}

/**
 * Enums whose labels have names on the source that are those of others on the target: nobody can tell which label rows mean that were
 * written since. Where each change is told in its turn there are none.
 */
export async function confusedEnums(sides: Sides, work: MirrorWork): Promise<readonly Drift[]> {
  return work.options.schema_changes === 'full' ? [] : (await lookAt(sides, work)).filter(isConfused);
}

/**
 * Gives labels of such enums the names that they have on the source, and those that are new then; only of enums that these columns have
 * values of. The target must have all rows that were written before they got them; all columns of these types are to be read again.
 * @throws `wrong_state` with the statements, where changes are not followed
 */
export async function settleLabels(
  sides: Sides,
  work: MirrorWork,
  { mirrored, oid, columns }: TableColumns,
): Promise<void> {
  const confused: Drift[] = [];
  for (const drift of await confusedEnums(sides, work)) {
    const [uses] = await columnsOfTypes(sides.source, [drift.type.oid], new Map([[oid, mirrored]]));
    if (uses?.columns.some((column) => columns.includes(column))) confused.push(drift);
  }
  if (confused.length === 0) return;
  if (work.options.schema_changes === 'off') throw confusedTrouble(confused);
  const renames = confused.flatMap((drift) =>
    allRenames(drift).map(({ from, to }): Step => ({ type: drift.type, step: { kind: 'rename', from, to } })),
  );
  await make(sides, work, { drifts: confused, steps: renames });
  const drifts = await lookAt(sides, work);
  const adds = addsOf(drifts);
  if (adds.length > 0) await make(sides, work, { drifts, steps: adds });
}

interface Sides {
  readonly source: Connection;
  readonly target: Connection;
}

async function openSides(
  work: MirrorWork,
  signal: AbortSignal | undefined,
  shelf?: SessionShelf,
): Promise<Sides & AsyncDisposable> {
  return await connectSides(work, { application: applicationName('labels', work), shelf }, signal);
}

async function lookAt(sides: Sides, work: MirrorWork): Promise<readonly Drift[]> {
  const { scope, options } = work;
  const schemas = new Map(scope.kind === 'schemas' ? scope.pairs.map(({ from, to }) => [from, to]) : []);
  const schemaOnTarget = (schema: string) => schemas.get(schema) ?? schema;
  const tables = work.tables.map((table) => table.from);
  // Where each change is told in its turn, the target's names go by that.
  const remembers = options.schema_changes !== 'full';
  if (remembers) await ensureKnownLabels(sides.target, work.target.metadataSchema);
  const known = remembers ? await readKnownLabels(sides.target, work) : null;
  return (await readEnums(sides, tables, { schemaOnTarget, known })).map(driftOf);
}

const addsOf = (drifts: readonly Drift[]): readonly Step[] =>
  drifts.flatMap(({ type, adds }) => adds.map((step) => ({ type, step })));

// And remembers what the target has then.
async function make(
  sides: Sides,
  work: MirrorWork,
  { drifts, steps }: { readonly drifts: readonly Drift[]; readonly steps: readonly Step[] },
): Promise<void> {
  const known = new Map(
    drifts
      .map((drift) => [drift, namesAfter(drift, steps)] as const)
      .filter(([{ type, unsure }, names]) => unsure === null && !isSame(type.known, names))
      .map(([{ type }, names]) => [type.oid, names]),
  );
  if (steps.length === 0 && known.size === 0) return;
  const { target } = sides;
  const confused = steps.some(({ step }) => step.kind === 'rename') ? drifts.filter(isConfused) : [];
  await ensureSchemaChanges(target, work.target.metadataSchema);
  const lsn = (await readCheckpoint(target, work)) ?? 0n;
  // A label can be used once its transaction is over, so it has one of its own.
  await target.transaction(async () => {
    await compareToken(target, work);
    for (const { type, step } of steps) {
      const { what, statement } = labelChange(type, step);
      await target.run(statement);
      await writeSchemaChange(target, work, { table: '', what, lsn, statements: [statement.text] });
    }
    if (work.options.schema_changes !== 'full') await writeKnownLabels(target, work, known);
    if (confused.length > 0)
      await rememberToRead(
        sides,
        work,
        confused.map(({ type }) => type.oid),
      );
  });
}

function namesAfter({ type, names }: Drift, steps: readonly Step[]): ReadonlyMap<number, string> {
  const mine = steps.filter((each) => each.type === type).map(({ step }) => step);
  return new Map(
    type.source.flatMap(({ oid, label }): [number, string][] => {
      const there = names.get(oid);
      const isMade = mine.some((step) => (step.kind === 'add' ? step.label === label : step.from === there));
      const name = isMade ? label : there;
      return name === undefined ? [] : [[oid, name]];
    }),
  );
}

function isSame(a: ReadonlyMap<number, string> | null, b: ReadonlyMap<number, string>): boolean {
  return a !== null && a.size === b.size && [...b].every(([oid, name]) => a.get(oid) === name);
}
