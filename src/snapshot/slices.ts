// Cuts the mirrored tables into slices of some hundreds: what belongs to tables is read, planned and made slice by slice, so that
// ten thousand of them take the memory of a few. Pure but for the size, which tests set.
import type { MirroredTable } from '../mirror/work.ts';
import type { TreeOf } from '../peers/ddl-tree.ts';
import { families, pagesOf, type SizedHead } from '../peers/table-heads.ts';

export interface Slice {
  readonly trees: readonly TreeOf<SizedHead>[];
  readonly tables: readonly MirroredTable[];
}

let tablesPerSlice = 250;

/** For tests, which have few tables. @returns what it was */
export function sliceBy(tables: number): number {
  const before = tablesPerSlice;
  tablesPerSlice = tables;
  return before;
}

// Below that, the time of a table is that of its statements.
const largePages = 1_024;

/**
 * Tables that hand something down to each other are in one slice, as are a partitioned table and its partitions. Large ones come
 * first, the largest before all: at the end of a slice its workers wait for each other. Where all are small, the first slice is
 * short, so that the target soon has something to make.
 */
export function cutSlices(trees: readonly TreeOf<SizedHead>[], size = tablesPerSlice): readonly Slice[] {
  const sized = families(trees).map((list) => ({ list, pages: list.reduce((sum, tree) => sum + pagesOf(tree), 0) }));
  const large = sized.filter(({ pages }) => pages >= largePages).toSorted((a, b) => b.pages - a.pages);
  const small = sized.filter(({ pages }) => pages < largePages);
  const slices: TreeOf<SizedHead>[][] = [];
  let room = 0;
  for (const { list } of [...large, ...small]) {
    const tables = list.reduce((sum, { partitions }) => sum + 1 + partitions.length, 0);
    const last = slices.at(-1);
    if (last !== undefined && tables <= room) last.push(...list);
    else {
      slices.push([...list]);
      room = slices.length === 1 && large.length === 0 ? Math.ceil(size / 4) : size;
    }
    room -= tables;
  }
  return slices.map((list) => ({ trees: list, tables: list.map(({ mapping }) => mapping) }));
}
