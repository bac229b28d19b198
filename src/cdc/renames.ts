// Columns that get each other's names. Pure.
import type { Table } from '../pg/table.ts';

/** `from`: on the target, at the time of the change. */
export interface Rename {
  readonly kind: 'rename';
  readonly from: string;
  readonly to: string;
}

/** Names that stand in each other's way are put aside first. */
export function inSteps(renames: readonly Rename[], target: Table): readonly Rename[] {
  const taken = new Set(target.columns.map((each) => each.name));
  const froms = new Set(renames.map((each) => each.from));
  const blocked = renames.filter((each) => froms.has(each.to));
  if (blocked.length === 0) return renames;
  let n = 0;
  const free = (): string => {
    do n++;
    while (taken.has(`sluice_renamed_${n}`));
    return `sluice_renamed_${n}`;
  };
  const aside = renames.filter((each) => blocked.some((one) => one.to === each.from));
  const places = new Map(aside.map((each) => [each.from, free()]));
  return [
    ...aside.map((each): Rename => ({ kind: 'rename', from: each.from, to: places.get(each.from) ?? each.from })),
    ...renames.map((each): Rename => ({ ...each, from: places.get(each.from) ?? each.from })),
  ];
}
