// Tables made up for pure tests.
import type { Column, Leaf, Table } from '../../../src/pg/table.ts';

export function aColumn(
  more: Partial<Omit<Column, 'type'>> & {
    readonly type?: string;
    readonly oid?: number;
    readonly binarySafe?: boolean;
  } = {},
): Column {
  const { type = 'integer', oid = 23, binarySafe = true, ...rest } = more;
  return {
    name: 'c',
    attnum: 1,
    type: { oid, text: type, kind: 'b', builtin: oid < 10_000, element: null, binarySafe },
    notNull: false,
    notNullName: null,
    default: null,
    identity: '',
    generated: '',
    collation: null,
    storage: '',
    compression: '',
    statisticsTarget: -1,
    options: [],
    local: true,
    notNullLocal: null,
    notNullNoInherit: false,
    ...rest,
  };
}

export function aLeaf(more: Partial<Leaf> = {}): Leaf {
  return { oid: 1, schema: 's', name: 'from', kind: 'r', byPages: true, pages: 0, rows: 0, bytes: 0, ...more };
}

let oids = 20_000;

export function aTable(more: Partial<Table> = {}): Table {
  return {
    oid: oids++,
    schema: 's',
    name: 'from',
    kind: 'r',
    persistence: 'p',
    columns: [],
    primaryKey: null,
    replicaIdentity: 'd',
    identityColumns: null,
    partitioning: null,
    partitionOf: null,
    inherits: [],
    options: [],
    ofType: null,
    accessMethod: null,
    tablespace: null,
    leaves: [aLeaf()],
    ...more,
  };
}
