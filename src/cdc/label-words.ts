// What a person is told where labels of enums differ: statements that run as they stand, for each thing that may have happened. Pure.
import { copyAgain } from '../mirror/remedy.ts';
import type { Drift, LabelStep } from '../peers/label-drift.ts';
import { shownName } from '../peers/schema/shown-name.ts';
import { quoteLiteral } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import type { NewName } from './labels.ts';
import { decapitalized, runOnTarget } from './mend.ts';

const shown = (label: string) => quoteLiteral(label).trim();

/** `ALTER TYPE` that makes a step. */
export function alterType(type: TableName, step: LabelStep): string {
  const alter = `ALTER TYPE ${shownName(type.schema, type.name)}`;
  if (step.kind === 'rename') return `${alter} RENAME VALUE ${shown(step.from)} TO ${shown(step.to)}`;
  const { label, place } = step;
  const at = place === null ? '' : ` ${place.side.toUpperCase()} ${shown(place.of)}`;
  return `${alter} ADD VALUE ${shown(label)}${at}`;
}

/** Where it is known what happened. */
export function stepsHint(steps: readonly { readonly type: TableName; readonly step: LabelStep }[]): string {
  return runOnTarget(steps.map(({ type, step }) => alterType(type, step)));
}

/** The most ways that a person is given to choose from. */
const mostWays = 20;

/** Where it is not: what each label of the source may be. */
export function unsureHint(drifts: readonly Drift[], mirror: string): string {
  const ways = drifts.flatMap(({ type, unsure, names }) => {
    const { labels = [], may = [] } = unsure ?? {};
    return labels.flatMap((label) => [
      ...may.map((from) =>
        way(`${shown(label)} is what ${shown(from)} was`, type, { kind: 'rename', from, to: label }),
      ),
      way(`${shown(label)} is new`, type, { kind: 'add', label, place: placeOf(type, { label, names }) }),
    ]);
  });
  const types = drifts.map(({ type }) => showTable(type)).join(', ');
  const some = ways.slice(0, mostWays).join(' ');
  return `Labels of ${types} have other names than on the source, and nobody can tell which is which. Of the label that the message names: ${some} If nobody knows: ${copyAgain(mirror)}`;
}

function way(where: string, type: TableName, step: LabelStep): string {
  return `where ${where}: ${decapitalized(runOnTarget([alterType(type, step)]))}`;
}

// After the nearest before it that the target has.
function placeOf(
  { source, target }: Drift['type'],
  { label, names }: { readonly label: string; readonly names: Drift['names'] },
): Extract<LabelStep, { kind: 'add' }>['place'] {
  const before = source.slice(
    0,
    source.findIndex((each) => each.label === label),
  );
  const of = before.map(({ oid }) => names.get(oid)).findLast((name) => name !== undefined);
  if (of !== undefined) return { side: 'after', of };
  const [first] = target;
  return first === undefined ? null : { side: 'before', of: first };
}

/** Where labels have their names and a row still has one that nobody knows: a name that was given and taken back. */
export function passingHint(renamed: readonly NewName[]): string {
  const ways = renamed.map(({ type, step: { to } }) =>
    way(`it is what ${shown(to)} of ${showTable(type)} was for a while`, type, { kind: 'rename', from: to, to: '…' }),
  );
  return `If the value that the message names is a label under a name that it has no more: with that name in place of …, ${ways.join(' ')}`;
}
