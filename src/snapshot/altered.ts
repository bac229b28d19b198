// Tables that were altered on the source since they were copied: what of them can be made before the changes of the stream have come. Pure.
import { membersOf, type TableTree } from '../peers/ddl-tree.ts';
import type { TableObjects } from '../peers/objects-read.ts';
import type { Shape } from '../peers/shape.ts';
import { quoteName } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';

/** How a table of the slice is made that may have been altered. */
export interface Split {
  readonly same: readonly TableTree[];
  /** With keys under the names that columns had when they were copied; without a key that cannot be said so. */
  readonly altered: readonly TableTree[];
  /** Of the source, tables of `altered` and their partitions, by showTable. */
  readonly names: ReadonlySet<string>;
}

/**
 * @param altered by showTable of the source's names
 * @param shapes what the tables were when they were copied, by the same
 * @param there tables of the target
 */
export function splitAltered(
  trees: readonly TableTree[],
  of: {
    readonly altered: ReadonlySet<string>;
    readonly shapes: ReadonlyMap<string, Shape>;
    readonly there: readonly Table[];
  },
): Split {
  const isAltered = ({ mapping }: TableTree) => of.altered.has(showTable(mapping.from));
  const altered = trees.filter(isAltered);
  const byName = new Map(of.there.map((table) => [showTable(table), table]));
  return {
    same: trees.filter((tree) => !isAltered(tree)),
    altered: altered.map((tree) => {
      const shape = of.shapes.get(showTable(tree.mapping.from));
      const to = byName.get(showTable(tree.mapping.to));
      const nameOf = namesThen(tree.root, shape, to);
      return {
        ...tree,
        root: withKey(tree.root, nameOf),
        partitions: tree.partitions.map((each) => withKey(each, nameOf)),
      };
    }),
    names: new Set(altered.flatMap(membersOf).map(({ source }) => showTable(source))),
  };
}

/** Without the indexes of replica identities, which are made when the mirror follows. */
export function withoutIdentities(objects: TableObjects): TableObjects {
  const indexes = objects.indexes.filter(({ identity, constraint }) => !identity || constraint?.type === 'p');
  return { ...objects, indexes };
}

type Names = (column: string) => string | undefined;

function namesThen(root: Table, shape: Shape | undefined, to: Table | undefined): Names {
  return (column) => {
    const attnum = root.columns.find(({ name }) => name === column)?.attnum;
    const then = shape?.columns.find((each) => each.attnum === attnum);
    return to?.columns.find((each) => each.attnum === then?.target)?.name;
  };
}

function withKey(table: Table, nameOf: Names): Table {
  const { primaryKey: key } = table;
  const columns = key?.columns.map(nameOf) ?? [];
  const include = key?.include.map(nameOf) ?? [];
  const bare = { ...table, identityColumns: null };
  if (key === null || [...columns, ...include].includes(undefined)) return { ...bare, primaryKey: null };
  const list = (names: readonly (string | undefined)[]) => names.map((each) => quoteName(each ?? '')).join(', ');
  const deferring = / DEFERRABLE.*$/.exec(key.definition)?.[0] ?? '';
  const more = include.length === 0 ? '' : ` INCLUDE (${list(include)})`;
  const known = (names: readonly (string | undefined)[]) => names.flatMap((each) => each ?? []);
  const definition = `PRIMARY KEY (${list(columns)})${more}${deferring}`;
  return { ...bare, primaryKey: { ...key, columns: known(columns), include: known(include), definition } };
}
