// What the tables of a mirror are on both sides when a session begins.

import type { MirrorWork } from '../mirror/work.ts';
import { inspectTables } from '../peers/inspect.ts';
import { meansTheSame, type Versions } from '../pg/binary-form.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type Table } from '../pg/table.ts';

export interface Sides {
  readonly source: Table | undefined;
  readonly target: Table | undefined;
}

export interface Inspection {
  /** By showTable of the source. */
  readonly sides: Map<string, Sides>;
}

/** Looks at all tables of the mirror on both sides. */
export async function inspectSides(
  work: MirrorWork,
  db: { source: Connection; target: Connection },
): Promise<Inspection> {
  const sides = new Map<string, Sides>();
  const [sources, targets] = await Promise.all([
    inspectTables(
      db.source,
      work.tables.map((table) => table.from),
      { sizes: false },
    ),
    inspectTables(
      db.target,
      work.tables.map((table) => table.to),
      { sizes: false },
    ),
  ]);
  const source = byName(sources);
  const target = byName(targets);
  for (const table of work.tables) {
    sides.set(showTable(table.from), {
      source: source.get(showTable(table.from)),
      target: target.get(showTable(table.to)),
    });
  }
  return { sides };
}

function byName(tables: readonly Table[]): ReadonlyMap<string, Table> {
  return new Map(tables.map((table) => [showTable(table), table]));
}

/** Whether the whole stream may carry binary values: each mirrored column has one binary form on both sides. */
export function mayBeBinary(work: MirrorWork, { sides }: Inspection, versions: Versions): boolean {
  return work.tables.every((mirrored) => {
    const { source, target } = sides.get(showTable(mirrored.from)) ?? {};
    if (source === undefined || target === undefined) return false;
    return source.columns.every((column) => {
      if (mirrored.exclude.includes(column.name) || column.generated !== '') return true;
      const there = target.columns.find((each) => each.name === column.name);
      const safe = column.type.binarySafe && there?.type.binarySafe === true;
      return safe && there.type.text === column.type.text && meansTheSame(column.type, versions);
    });
  });
}
