// What goes side by side when objects are made: no order of locks in which two sessions could wait for each other.
import { expect, test } from 'vitest';
import type { ObjectLine } from '../../../src/mirror/object.ts';
import type { PlannedObject } from '../../../src/peers/objects-planned.ts';
import { sql } from '../../../src/pg/sql.ts';
import { stageJobs } from '../../../src/snapshot/object-jobs.ts';

const megabyte = 1024 * 1024;

function planned(name: string, table: string, more: Partial<PlannedObject & Pick<ObjectLine, 'kind' | 'bytes'>> = {}) {
  const { kind = 'index', bytes = 1, level = 0, steps = [[sql`x`]] } = more;
  const line: ObjectLine = { kind, schema: 's', name, table, stage: 'indexes', state: 'waiting', bytes };
  return { line, table, steps, needs: [], level };
}

const show = (groups: ReturnType<typeof stageJobs>) =>
  groups.map(({ jobs, sideBySide }) => ({
    sideBySide,
    jobs: jobs.map(({ objects, from, to }) => `${objects.map(({ line }) => line.name)} ${from}-${to ?? ''}`),
  }));

test('large indexes go one by one, unique ones and then the largest first; small ones of a table go together; constraints come after the builds', () => {
  const groups = stageJobs('indexes', [
    planned('a1', 'a', { bytes: 20 * megabyte }),
    planned('b1', 'b'),
    planned('a2', 'a', { bytes: 90 * megabyte }),
    planned('c1', 'c'),
    planned('a3', 'a', { kind: 'unique constraint', steps: [[sql`build`], [sql`constrain`]] }),
    planned('b2', 'b'),
  ]);
  expect(show(groups)).toEqual([
    { sideBySide: true, jobs: ['a3 0-1', 'a2 0-1', 'a1 0-1', 'b1,b2,c1 0-1'] },
    { sideBySide: true, jobs: ['a3 1-'] },
  ]);
});

test('an index that takes those of partitions as its own comes after them, the lowest first, in turn', () => {
  const groups = stageJobs('indexes', [
    planned('top', 't', { level: 2 }),
    planned('leaf', 'l'),
    planned('middle', 'm', { level: 1 }),
  ]);
  expect(show(groups)).toEqual([
    { sideBySide: true, jobs: ['leaf 0-1'] },
    { sideBySide: true, jobs: [] },
    { sideBySide: false, jobs: ['middle 0-'] },
    { sideBySide: false, jobs: ['top 0-'] },
  ]);
});

test('a table is in one job only, however many there are', () => {
  const objects = Array.from({ length: 300 }, (_, i) => planned(`i${i}`, `t${i % 70}`));
  const [group] = stageJobs('constraints', objects);
  const jobs = group?.jobs ?? [];
  expect(jobs.length).toBeGreaterThan(5);
  const seen = jobs.flatMap((job) => [...new Set(job.objects.map(({ table }) => table))]);
  expect(seen.length).toBe(new Set(seen).size);
  expect(jobs.flatMap((job) => job.objects)).toHaveLength(300);
});

test('foreign keys are added in turn, as each locks two tables, and then looked at side by side', () => {
  const both = { kind: 'foreign key', steps: [[sql`add`], [sql`look`]] } as const;
  const groups = stageJobs('foreign keys', [planned('f', 'a', both), planned('g', 'b', { kind: 'foreign key' })]);
  expect(show(groups)).toEqual([
    { sideBySide: false, jobs: ['f,g 0-1'] },
    { sideBySide: true, jobs: ['f 1-'] },
  ]);
  const [adding] = groups[0]?.jobs ?? [];
  expect(adding?.objects.map((object) => adding.last(object))).toEqual([false, true]);
});
