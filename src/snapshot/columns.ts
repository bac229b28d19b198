// Which columns of a table are copied and in which format. Pure.

import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { holdsNames } from '../peers/inspect-types.ts';
import { meansTheSame, type Versions } from '../pg/binary-form.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import { holds } from '../pg/wider.ts';

export interface CopiedColumns {
  readonly names: readonly string[];
  /** Whether one of them is computed on the source, so that only a query reads it. */
  readonly computed: boolean;
  /** Those that are read without the blanks that fill them up, if the format is binary. */
  readonly padded: readonly string[];
  readonly format: 'binary' | 'text';
  /** Enum types among them, as SQL writes them. */
  readonly enums: readonly string[];
  /** Those whose values are names of objects (regclass …). */
  readonly naming: readonly string[];
}

/**
 * The columns that the source has, the mapping does not exclude and the target does not compute. Binary where every type is
 * the same on both sides and its binary form as well.
 * @throws `wrong_state` if the two tables do not go together any more; all differences in its detail
 */
export function copiedColumns(
  mapping: MirroredTable,
  source: { readonly table: Table; readonly version: number },
  target: { readonly table: Table; readonly version: number },
): CopiedColumns {
  const there = new Map(target.table.columns.map((column) => [column.name, column]));
  const names: string[] = [];
  const differences: string[] = [];
  let computed = false;
  let binary = true;
  const enums = new Set<string>();
  const naming: string[] = [];
  for (const column of source.table.columns) {
    if (mapping.exclude.includes(column.name)) continue;
    const same = there.get(column.name);
    const where = `${showTable(target.table)}.${column.name}`;
    if (same === undefined) {
      if (column.generated === '') differences.push(`${where} is missing on the target`);
    } else if (same.generated === '') {
      if (!holds(same.type.text, column.type.text)) {
        differences.push(`${where} is ${same.type.text} on the target and ${column.type.text} on the source`);
      }
      names.push(column.name);
      if (holdsNames(same.type)) naming.push(column.name);
      if (column.type.kind === 'e' || column.type.element?.kind === 'e')
        enums.add(column.type.text.replace(/\[\]$/, ''));
      computed ||= column.generated !== '';
      binary &&= sameBinaryForm(column, same, [source.version, target.version]);
    } else if (column.generated === '') differences.push(`${where} is generated on the target`);
  }
  if (differences.length > 0) {
    throw new SluiceError('wrong_state', `table ${showTable(mapping.from)} has changed: ${differences[0]}`, {
      detail: differences.join('\n'),
      hint: 'Make the target table like the source table, or drop it, and RESUME MIRROR.',
    });
  }
  return { names, computed, padded: [], format: binary ? 'binary' : 'text', enums: [...enums], naming };
}

function sameBinaryForm(source: Column, target: Column, versions: Versions): boolean {
  if (!source.type.binarySafe || !target.type.binarySafe || source.type.text !== target.type.text) return false;
  return meansTheSame(source.type, versions);
}
