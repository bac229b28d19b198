// What a person is told where the target cannot be made to fit by itself. Pure.
import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import { showName } from '../peers/apply-table.ts';
import { showTable } from '../pg/table.ts';
import type { ColumnChange } from './changes.ts';
import { changeColumns, type MadeFirst, runOnTarget } from './mend.ts';
import type { TablePlan } from './reshape.ts';

/** Where no place of the log can be fixed to read the table again. */
export function oneServer(plan: TablePlan, mirror: string, makes: MadeFirst): SluiceError {
  const from = showTable(plan.mirrored.from);
  return new SluiceError('wrong_state', `${from} must be read whole again, and source and target are on one server`, {
    detail: `${asked(plan)}: what its rows hold now is not in the log, and no place of the log can be fixed while the target has an open transaction.`,
    hint: mendHint(plan, mirror, makes),
  });
}

/** Where reading it again would need changes that do not follow. */
export function notFollowed(
  { mirrored: { from, to } }: TablePlan,
  changes: readonly ColumnChange[],
  makes: MadeFirst,
): SluiceError {
  const statements = changeColumns(to, changes, makes);
  return new SluiceError('wrong_state', `${showTable(from)} must be read whole again, and has other columns now`, {
    detail: `${changes.map(describe).join(', ')}: with schema_changes = off that does not follow.`,
    hint:
      statements.length > 0
        ? runOnTarget(statements)
        : `On the target change ${showTable(to)} in the same way; then RESUME MIRROR.`,
  });
}

/** The rows that are marked are on the target only: it cannot be read again. */
export function softDeleted(plan: TablePlan, mirror: string, makes: MadeFirst): SluiceError {
  const from = showTable(plan.mirrored.from);
  return new SluiceError('wrong_state', `new values of ${from} are not in the log of the source`, {
    detail: `${asked(plan)}: its rows would have to be read again, and with soft_delete the target has more rows than the source.`,
    hint: mendHint(plan, mirror, makes),
  });
}

function asked(plan: TablePlan): string {
  const { changes } = plan;
  const list = changes.map(describe).filter((each) => each !== '');
  const fetched = changes.flatMap((each) => (each.kind === 'fetch' ? [each.name] : []));
  if (list.length > 0) return list.join(', ');
  if (fetched.length > 0) return `values of ${fetched.join(', ')} computed anew`;
  const renewed = renewedColumns(plan);
  if (renewed.length === 0 && isAskedWhole(plan))
    return 'rows of a partition that came by ATTACH PARTITION, or were written anew';
  return renewed.length === 0 ? 'values computed anew' : `column ${renewed.join(', ')} dropped and added again, or new`;
}

// Without any change of its columns: it is asked for again each time.
function isAskedWhole({ unclear, changes }: TablePlan): boolean {
  return unclear && changes.length === 0;
}

// Those of the source that the target does not know, where nobody can tell which columns the rows have.
function renewedColumns({ source, stored }: TablePlan): readonly string[] {
  const columns = source.columns.filter((each) => each.generated === '' && !stored.excluded?.includes(each.attnum));
  return columns.filter((each) => !stored.columns.some((one) => one.attnum === each.attnum)).map(({ name }) => name);
}

// What was told once may be seen to by hand; what the source's catalog leaves open is asked again each time.
function mendHint(plan: TablePlan, mirror: string, makes: MadeFirst): string {
  const { mirrored, changes, unclear } = plan;
  if (isAskedWhole(plan) || (unclear && renewedColumns(plan).length > 0)) return copyAgain(mirror);
  const statements = changeColumns(mirrored.to, changes, makes);
  const valued = new Set(changes.flatMap((each) => (isValued(each) ? [showName(each.name)] : [])));
  const list = valued.size === 0 ? '' : `${[...valued].join(', ')} of `;
  const give = `On the target give ${list}${showTable(mirrored.to)} the values that the source has`;
  const again = `If it stops here again: ${copyAgain(mirror)}`;
  if (statements.length === 0) return `${give}; then RESUME MIRROR. ${again}`;
  return `${give}: what it computed them with (USING, DEFAULT) has to be in the statement, too. ${runOnTarget(statements)} ${again}`;
}

const isValued = (change: ColumnChange): change is Extract<ColumnChange, { kind: 'retype' | 'add' | 'fetch' }> =>
  change.kind === 'retype' || change.kind === 'add' || change.kind === 'fetch';

/** A change in words; empty: there is nothing to tell. */
export function describe(change: ColumnChange): string {
  switch (change.kind) {
    case 'drop':
      return `column ${change.name} dropped`;
    case 'rename':
      return `column ${change.from} renamed to ${change.to}`;
    case 'retype':
      return `column ${change.name} changed to ${change.type.text}`;
    case 'add':
      return `column ${change.name} ${change.type.text} added`;
    case 'compute':
      return `generated column ${change.source.name} added`;
    case 'keep computed':
      return `column ${change.name} not generated any more`;
    case 'let be null':
      return `column ${change.name} without NOT NULL`;
    case 'may not be null':
      return `column ${change.name} NOT NULL`;
    case 'fetch':
      return '';
    default:
      return change satisfies never;
  }
}
