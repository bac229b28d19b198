// What goes side by side and what in turn when objects are made: so cut that no two sessions wait for each other. Pure.
import { chunksOf } from '../base/chunks.ts';
import type { ObjectStage } from '../mirror/object.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';

/** What one connection takes at a time. Several objects are one transaction, if none of them fails. */
export interface ObjectJob {
  readonly objects: readonly PlannedObject[];
  /** Steps of each that are done in it: from this one … */
  readonly from: number;
  /** … to before this one; undefined: to the end. */
  readonly to: number | undefined;
  /** Whether an object is made with it, or more steps come later. */
  last(object: PlannedObject): boolean;
}

export interface JobGroup {
  readonly jobs: readonly ObjectJob[];
  readonly sideBySide: boolean;
}

// Of indexes on one table: below that, they are made together and the table's locks are taken once.
const smallBytes = 8 * 1024 * 1024;
const together = 40;

/** The groups of a stage, one after another. */
export function stageJobs(stage: ObjectStage, objects: readonly PlannedObject[]): readonly JobGroup[] {
  if (objects.length === 0) return [];
  switch (stage) {
    // In the order in which they were planned: each may need those before it.
    case 'before':
    case 'views':
    case 'rules':
    case 'triggers':
    case 'policies':
    case 'comments':
    case 'rights':
    case 'event triggers':
    case 'owners':
      return [{ jobs: chunksOf(objects, together).map(whole), sideBySide: false }];
    case 'filling':
      return levels(objects).map(({ of }) => ({ jobs: largestFirst(of), sideBySide: true }));
    case 'needs':
      return [{ jobs: objects.map((object) => whole([object])), sideBySide: false }];
    case 'indexes':
      return indexGroups(objects);
    case 'constraints':
      return levels(objects).map(({ level, of }) => ({ jobs: byTable(of), sideBySide: level === 0 }));
    case 'statistics':
      return [{ jobs: byTable(objects), sideBySide: true }];
    case 'inheritance':
    case 'settings':
      return [{ jobs: chunksOf(objects, together).map(whole), sideBySide: false }];
    case 'foreign keys':
      return foreignKeyGroups(objects);
    default:
      return stage satisfies never;
  }
}

function whole(objects: readonly PlannedObject[]): ObjectJob {
  return { objects, from: 0, to: undefined, last: () => true };
}

function bytesOf(objects: readonly PlannedObject[]): number {
  return objects.reduce((sum, { line }) => sum + (line.bytes ?? 0), 0);
}

function tables(objects: readonly PlannedObject[]): readonly (readonly PlannedObject[])[] {
  const byName = new Map<string, PlannedObject[]>();
  for (const object of objects) {
    const list = byName.get(object.table);
    if (list === undefined) byName.set(object.table, [object]);
    else list.push(object);
  }
  return [...byName.values()];
}

// A table is in one job only, so that no two sessions lock two tables in another order. Large ones first.
function byTable(objects: readonly PlannedObject[]): readonly ObjectJob[] {
  const all = tables(objects).toSorted((a, b) => bytesOf(b) - bytesOf(a));
  const jobs: ObjectJob[] = [];
  let small: PlannedObject[] = [];
  const flush = () => {
    if (small.length > 0) jobs.push(whole(small));
    small = [];
  };
  for (const table of all) {
    if (bytesOf(table) >= smallBytes) {
      jobs.push(whole(table));
      continue;
    }
    small.push(...table);
    if (small.length >= together) flush();
  }
  flush();
  return jobs;
}

function largestFirst(objects: readonly PlannedObject[]): readonly ObjectJob[] {
  return objects.toSorted((a, b) => (b.line.bytes ?? 0) - (a.line.bytes ?? 0)).map((object) => whole([object]));
}

function levels(objects: readonly PlannedObject[]) {
  const numbers = [...new Set(objects.map((object) => object.level))].toSorted((a, b) => a - b);
  return numbers.map((level) => ({ level, of: objects.filter((object) => object.level === level) }));
}

// A build only keeps writers away, so that several of one table go side by side. A constraint on its index needs the table for
// itself: it would wait for the builds, and builds that come later for it; so it comes after them all.
function indexGroups(objects: readonly PlannedObject[]): readonly JobGroup[] {
  return levels(objects).flatMap(({ level, of }): readonly JobGroup[] => {
    if (level > 0) {
      const long = of.filter((object) => object.steps.length > 1).map((object) => whole([object]));
      const short = chunksOf(
        of.filter((object) => object.steps.length <= 1),
        together,
      ).map(whole);
      return [{ jobs: [...short, ...long], sideBySide: false }];
    }
    const large = tables(of).filter((table) => bytesOf(table) >= smallBytes);
    const alone = large
      .flat()
      .toSorted((a, b) => rank(a) - rank(b) || (b.line.bytes ?? 0) - (a.line.bytes ?? 0))
      .map((object) => whole([object]));
    const rest = new Set(large.flat());
    const small = of.filter((object) => !rest.has(object));
    return [
      { jobs: [...alone, ...byTable(small)].map(firstStep), sideBySide: true },
      { jobs: byTable(of.filter((object) => object.steps.length > 1)).map(otherSteps), sideBySide: true },
    ];
  });
}

function firstStep(job: ObjectJob): ObjectJob {
  return { ...job, to: 1, last: (object) => object.steps.length <= 1 };
}

function otherSteps(job: ObjectJob): ObjectJob {
  return { ...job, from: 1 };
}

function rank({ line }: PlannedObject): number {
  return line.kind === 'primary key' || line.kind === 'unique constraint' ? 0 : 1;
}

// Adding one locks two tables, so that goes in turn; looking at the rows goes side by side, a table's own one after another.
function foreignKeyGroups(objects: readonly PlannedObject[]): readonly JobGroup[] {
  return [
    { jobs: chunksOf(objects, together).map(whole).map(firstStep), sideBySide: false },
    { jobs: byTable(objects.filter((object) => object.steps.length > 1)).map(otherSteps), sideBySide: true },
  ];
}
