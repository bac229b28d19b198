// What is told of a table's parts before they are copied.
import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import type { KeptTables } from './kept.ts';
import { type Part, showPart } from './plan.ts';

/** Says of a table how it is cut, and which of its parts are there already. */
export async function tellPlan({ report }: SnapshotDeps, parts: readonly Part[], kept: KeptTables): Promise<void> {
  const [first] = parts;
  if (first === undefined) return;
  await report.planned(first.mapping, plannedParts(parts));
  const done = kept.get(showTable(first.mapping.from))?.done;
  for (const { part, rows, bytes } of done?.values() ?? [])
    await report.part(first.mapping, part, { state: 'copied', rows, bytes });
}

function plannedParts(parts: readonly Part[]) {
  return {
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    parts: parts.map((part) => ({ part: part.number, what: showPart(part), rows: part.rows, bytes: part.bytes })),
  };
}
