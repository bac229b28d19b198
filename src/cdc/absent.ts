// Errors about tables that are not there, or not under their name.
import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { showName } from '../peers/apply-table.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';

/** A table that one side lacks. */
export function missingTable(
  mirrored: MirroredTable,
  sides: { readonly source: Table | undefined; readonly target: Table | undefined } | undefined,
): SluiceError {
  const [side, name] = sides?.source === undefined ? ['source', mirrored.from] : ['target', mirrored.to];
  return new SluiceError('undefined_table', `table ${showTable(name)} does not exist on the ${side}`, {
    hint: 'Create it and RESUME MIRROR, or take the table out of the mirror.',
  });
}

/** The table that was mirrored is not the one of that name any more. `now`: what it is called, null if it is gone or unknown. */
export function moved(mirrored: MirroredTable, now: TableName | null): SluiceError {
  const from = showTable(mirrored.from);
  if (now === null) {
    return new SluiceError('wrong_state', `source table ${from} was dropped, or made anew under the same name`, {
      detail: 'The table that was copied is gone; its rows on the target are as they were.',
      hint: copyAgain(),
    });
  }
  const moves = [
    now.schema === mirrored.from.schema
      ? ''
      : `ALTER TABLE ${showTable(now)} SET SCHEMA ${showName(mirrored.from.schema)};`,
    now.name === mirrored.from.name
      ? ''
      : `ALTER TABLE ${showTable({ ...now, schema: mirrored.from.schema })} RENAME TO ${showName(mirrored.from.name)};`,
  ];
  return new SluiceError('wrong_state', `source table ${from} is called ${showTable(now)} now`, {
    hint: `On the source name it back: ${moves.filter((move) => move !== '').join(' ')} then RESUME MIRROR. Or drop the mirror and create it with the new name.`,
  });
}
