// The statements that make tables, types and sequences, and the plan that decides which: hostile names, mappings, what is there.
import { describe, expect, test } from 'vitest';
import type { MirroredTable } from '../../../src/mirror/work.ts';
import { addPrimaryKey, createTable, partitionTarget, type TableToMake } from '../../../src/peers/ddl.ts';
import { planSchema } from '../../../src/peers/ddl-plan.ts';
import type { PlanInput, TableTree } from '../../../src/peers/ddl-tree.ts';
import { createCollation, createSequence, createType } from '../../../src/peers/ddl-types.ts';
import { addIdentityIndex } from '../../../src/peers/identity-index.ts';
import type { TypeDefinition } from '../../../src/peers/inspect-schema.ts';
import type { TargetFacts } from '../../../src/peers/inspect-target.ts';
import type { Sequence } from '../../../src/peers/sequences.ts';
import { showTable, type Table } from '../../../src/pg/table.ts';
import { aColumn, aTable } from '../snapshot/tables.ts';

const evil = 'x"; drop table y; --';
const quoted = '"x""; drop table y; --"';

function make(source: Table, more: Partial<TableToMake> = {}): readonly string[] {
  const table = {
    source,
    to: { schema: 't', name: 'to' },
    exclude: [],
    added: [],
    identity: new Map(),
    renamed: new Map(),
    ...more,
  };
  return createTable(table).map((statement) => statement.text);
}

function aSequence(more: Partial<Sequence> = {}): Sequence {
  const numbers = { start: '1', increment: '1', min: '1', max: '9223372036854775807', cache: '1' };
  return {
    oid: 9,
    schema: 's',
    name: 'q',
    type: 'bigint',
    ...numbers,
    cycle: false,
    regclass: 's.q',
    uses: [],
    ...more,
  };
}

function aType(more: Partial<TypeDefinition>): TypeDefinition {
  return {
    oid: 1,
    schema: 's',
    name: 'ty',
    kind: 'e',
    needs: [],
    extension: null,
    labels: null,
    domain: null,
    composite: null,
    range: null,
    ...more,
  };
}

describe('a table', () => {
  test('has its columns with types, collations, defaults, generation and storage', () => {
    const source = aTable({
      persistence: 'u',
      columns: [
        aColumn({ name: evil, type: 'numeric(10,2)', notNull: true, default: '1.5' }),
        aColumn({
          name: 'c',
          type: 'text',
          collation: { schema: 'pg_catalog', name: 'C' },
          storage: 'e',
          compression: 'l',
        }),
        aColumn({ name: 'g', generated: 's', default: '(c + 1)' }),
        aColumn({ name: 'v', generated: 'v', default: '(c + 2)', statisticsTarget: 7 }),
        aColumn({ name: 'gone' }),
      ],
    });
    const added = [
      { name: 'd', type: 'boolean' },
      { name: 'at', type: 'timestamp with time zone' },
    ] as const;
    expect(make(source, { exclude: ['gone'], added })).toEqual([
      `create unlogged table "t"."to" (${quoted} numeric(10,2) default 1.5 not null, ` +
        `"c" text compression lz4 collate "pg_catalog"."C", "g" integer generated always as ((c + 1)) stored, ` +
        `"v" integer generated always as ((c + 2)) virtual, "d" boolean default false not null, ` +
        `"at" timestamp with time zone default pg_catalog.now() not null)`,
      `alter table "t"."to" alter column "c" set storage external`,
      `alter table "t"."to" alter column "v" set statistics 7`,
    ]);
  });

  test('without columns is one, and a partitioned one says by what', () => {
    expect(make(aTable())).toEqual([`create table "t"."to" ()`]);
    const key = { key: 'RANGE (at)' };
    expect(make(aTable({ kind: 'p', partitioning: key, columns: [aColumn()] }))).toEqual([
      `create table "t"."to" ("c" integer) partition by RANGE (at)`,
    ]);
  });

  test('keeps the settings of its identity, and a partition has it from its parent', () => {
    const columns = [aColumn({ name: 'id', identity: 'a', notNull: true })];
    const sequence = aSequence({ start: '5', increment: '-2', min: '-9', max: '5', cache: '3', cycle: true });
    const identity = new Map([['id', { sequence, to: { schema: 't', name: evil } }]]);
    expect(make(aTable({ columns }), { identity })).toEqual([
      `create table "t"."to" ("id" integer generated always as identity (sequence name "t".${quoted} increment by -2 minvalue -9 maxvalue 5 start with 5 cache 3 cycle) not null)`,
    ]);
    const partitionOf = { parent: { schema: 's', name: 'p' }, bound: 'DEFAULT' };
    expect(make(aTable({ columns, partitionOf }), { identity })).toEqual([
      `create table "t"."to" ("id" integer not null)`,
    ]);
  });

  test('calls the renamed sequence in its default, and a text that only looks like it stays', () => {
    const renamed = new Map([[`'s.q'::regclass`, `'"t"."q$&"'::regclass`]]);
    const columns = [
      aColumn({ name: 'a', default: `nextval('s.q'::regclass)` }),
      aColumn({ name: 'b', default: `'nextval(''s.q''::regclass)'::text` }),
    ];
    expect(make(aTable({ columns }), { renamed })).toEqual([
      `create table "t"."to" ("a" integer default nextval('"t"."q$&"'::regclass), "b" integer default 'nextval(''s.q''::regclass)'::text)`,
    ]);
  });
});

test('a replica identity goes along: FULL with the table, an index under its name where that is free', () => {
  expect(make(aTable({ replicaIdentity: 'f' }))).toEqual([
    'create table "t"."to" ()',
    'alter table "t"."to" replica identity full',
  ]);
  const source = aTable({ name: evil, replicaIdentity: 'i', identityColumns: ['a', evil] });
  const index = { name: 'own', constraint: false, using: `btree (a, ${quoted})` };
  const texts = (to: string, more: Partial<typeof index> = {}, taken: readonly string[] = []) =>
    addIdentityIndex(source, { ...index, ...more }, { to: { schema: 't', name: to }, taken: new Set(taken) }).map(
      (each) => each.text,
    );
  expect(texts(evil)).toEqual([
    `create unique index "own" on "t".${quoted} using btree (a, ${quoted})`,
    `alter table "t".${quoted} replica identity using index "own"`,
  ]);
  expect(texts(evil, { constraint: true })[1]).toBe(
    `alter table "t".${quoted} add constraint "own" unique using index "own"`,
  );
  expect(texts('to')[1]).toBe('alter table "t"."to" replica identity using index "own"');
  expect(texts('to', {}, ['t.own'])[1]).toBe('alter table "t"."to" replica identity using index "identity_to"');
  expect(texts(evil, {}, ['t.own'])[0]).toContain('create unique index "identity_x""');
});

test('a primary key keeps its name unless the table was renamed, and goes without excluded columns', () => {
  const primaryKey = {
    constraint: 'pk"',
    columns: ['a'],
    include: ['b'],
    immediate: true,
    definition: 'PRIMARY KEY (a) INCLUDE (b)',
  };
  const source = aTable({ primaryKey });
  expect(addPrimaryKey(source, source, [])?.text).toBe(
    `alter table "s"."from" add constraint "pk""" PRIMARY KEY (a) INCLUDE (b)`,
  );
  expect(addPrimaryKey(source, { schema: 's', name: 'n' }, ['b'])?.text).toBe(
    `alter table "s"."n" add primary key ("a")`,
  );
  expect(addPrimaryKey(source, source, ['a'])).toBeNull();
});

test('a partition follows its root to another schema and name', () => {
  const mapping = { from: { schema: 'a', name: 'log' }, to: { schema: 'b', name: 'journal' } };
  expect(partitionTarget(mapping, { schema: 'a', name: 'log_2024' })).toEqual({ schema: 'b', name: 'journal_2024' });
  expect(partitionTarget(mapping, { schema: 'old', name: 'y2023' })).toEqual({ schema: 'old', name: 'y2023' });
});

describe('types', () => {
  const texts = (type: TypeDefinition) => createType(type)?.map((statement) => statement.text);

  test('enums, domains, composites and ranges are made with hostile names and labels', () => {
    expect(texts(aType({ name: evil, labels: ["it's", 'b\\c'] }))).toEqual([
      `create type "s".${quoted} as enum ('it''s',  E'b\\\\c')`,
    ]);
    const checks = [
      { name: evil, definition: 'CHECK ((VALUE > 0))' },
      { name: 'late', definition: 'CHECK ((VALUE < 9)) NOT VALID' },
    ];
    const domain = {
      base: 'character varying(5)',
      notNull: true,
      default: "'x'::text",
      collation: { schema: 'pg_catalog', name: 'C' },
      checks,
    };
    expect(texts(aType({ kind: 'd', domain }))).toEqual([
      `create domain "s"."ty" as character varying(5) collate "pg_catalog"."C" default 'x'::text not null`,
      `alter domain "s"."ty" add constraint ${quoted} CHECK ((VALUE > 0))`,
      `alter domain "s"."ty" add constraint "late" CHECK ((VALUE < 9)) NOT VALID`,
    ]);
    const attributes = [{ number: 1, name: evil, type: 's.other[]', collation: null }];
    expect(texts(aType({ kind: 'c', composite: { table: false, attributes } }))).toEqual([
      `create type "s"."ty" as (${quoted} s.other[])`,
    ]);
    const range = {
      subtype: 'double precision',
      opclass: { schema: 'pg_catalog', name: 'float8_ops' },
      collation: null,
      canonical: null,
      difference: 'float8mi',
      multirange: 'm',
    };
    expect(texts(aType({ kind: 'r', range }))).toEqual([
      `create type "s"."ty" as range (subtype = double precision, subtype_opclass = "pg_catalog"."float8_ops", subtype_diff = float8mi, multirange_type_name = "s"."m")`,
    ]);
    expect(createType(aType({ kind: 'b' }))).toBeNull();
  });

  test('collations and sequences keep every setting', () => {
    const icu = {
      schema: 's',
      name: 'de',
      provider: 'i',
      deterministic: false,
      oid: 1,
      collate: null,
      ctype: null,
      locale: "de-u-'",
      rules: '&a < b',
    };
    expect(createCollation(icu).text).toBe(
      `create collation "s"."de" (provider = icu, locale = 'de-u-''', deterministic = false, rules = '&a < b')`,
    );
    const libc = { ...icu, provider: 'c', deterministic: true, collate: 'C', ctype: 'C', locale: null, rules: null };
    expect(createCollation(libc).text).toBe(
      `create collation "s"."de" (provider = libc, lc_collate = 'C', lc_ctype = 'C')`,
    );
    expect(createSequence(aSequence({ type: 'smallint' }), { schema: 't', name: evil }).text).toBe(
      `create sequence "t".${quoted} as smallint increment by 1 minvalue 1 maxvalue 9223372036854775807 start with 1 cache 1`,
    );
  });
});

const nothingThere: TargetFacts = {
  version: 180_000,
  schemas: new Set(['public']),
  tables: new Map(),
  bounds: new Map(),
  types: new Map(),
  sequences: new Set(),
  collations: new Set(),
  extensions: new Map(),
  availableExtensions: new Set(),
  functions: new Set(),
  compressions: new Set(['pglz', 'lz4']),
  accessMethods: new Set(['heap']),
};

function tree(root: Table, more: Partial<MirroredTable> = {}, partitions: readonly Table[] = []): TableTree {
  return { mapping: { from: root, to: root, key: null, exclude: [], where: null, ...more }, root, partitions };
}

function plan(trees: readonly TableTree[], more: Partial<PlanInput> = {}) {
  const needs = { types: [], collations: [], functions: [] };
  const result = planSchema({
    trees,
    needs,
    sequences: [],
    target: nothingThere,
    added: [],
    provided: new Set(),
    create: true,
    replace: false,
    follows: false,
    ...more,
  });
  return {
    ...result,
    whats: result.steps.map((step) => step.what),
    texts: result.steps.flatMap((step) => step.statements.map((each) => each.text)),
  };
}

describe('the plan', () => {
  test('makes a table without what the target cannot hold of it, with a line for each', () => {
    const source = aTable({
      columns: [aColumn({ name: 'v', compression: 'l', storage: 'e' }), aColumn({ name: 'w', compression: 'p' })],
      accessMethod: 'columnar',
      tablespace: 'fast',
      options: ['fillfactor=50', 'vacuum_max_eager_freeze_failure_rate=0.1', 'toast.autovacuum_vacuum_max_threshold=9'],
    });
    const target = { ...nothingThere, version: 170_000, compressions: new Set(['pglz']) };
    const { steps, texts } = plan([tree(source)], { target });
    const lines = steps.flatMap(({ leftOut = [] }) => leftOut);
    expect(lines.map(({ kind, state, name, reason }) => `${state} ${kind} ${name}: ${reason}`)).toEqual([
      'left_out property storage parameter vacuum_max_eager_freeze_failure_rate: it needs PostgreSQL 18 on the target',
      'left_out property storage parameter toast.autovacuum_vacuum_max_threshold: it needs PostgreSQL 18 on the target',
      'left_out property compression of v: the target was built without lz4',
      'left_out property tablespace fast: tablespaces are a server’s own: it is in the default one of the target',
      'left_out property access method columnar: the target has none of that name: the table is a heap',
    ]);
    const text = texts.join('; ');
    expect(text).toContain('fillfactor');
    expect(text).toContain('compression pglz');
    expect(text).not.toMatch(/lz4|columnar|fast|eager|threshold/);
    const able = { ...nothingThere, accessMethods: new Set(['heap', 'columnar']) };
    expect(plan([tree({ ...source, tablespace: null })], { target: able }).texts.join()).toMatch(
      /compression lz4.* using "columnar"/,
    );
  });

  test('makes a partitioned table from its leaves up, and attaches in the step that makes the parent', () => {
    const of = (parent: string, bound: string) => ({ parent: { schema: 's', name: parent }, bound });
    const root = aTable({ name: 'r', kind: 'p', partitioning: { key: 'LIST (a)' } });
    const middle = aTable({ name: 'm', kind: 'p', partitioning: { key: 'LIST (b)' }, partitionOf: of('r', 'DEFAULT') });
    const leaf = aTable({ name: 'l', partitionOf: of('m', 'FOR VALUES IN (1)') });
    expect(plan([tree(root, {}, [middle, leaf])]).texts).toEqual([
      'create schema if not exists "s"',
      'create table "s"."l" ()',
      'create table "s"."m" () partition by LIST (b)',
      'alter table "s"."m" attach partition "s"."l" FOR VALUES IN (1)',
      'create table "s"."r" () partition by LIST (a)',
      'alter table "s"."r" attach partition "s"."m" DEFAULT',
    ]);
  });

  test('makes a sequence with the only table that uses it, and one that several share before them', () => {
    const use = (name: string, how: 'owned' | 'default') => ({ table: { schema: 's', name }, column: 'c', how });
    const own = aSequence({ oid: 1, name: 'own', regclass: 's.own', uses: [use('a', 'owned'), use('a', 'default')] });
    const shared = aSequence({ oid: 2, name: 'shared', uses: [use('a', 'default'), use('b', 'default')] });
    const trees = ['a', 'b'].map((name) => tree(aTable({ name, columns: [aColumn()] }), { to: { schema: 't', name } }));
    const { steps, whats } = plan(trees, { sequences: [own, shared] });
    expect(whats).toEqual(['schema t', 'sequence t.shared', 'table t.a', 'table t.b']);
    expect(steps[2]?.statements.map((each) => each.text.slice(0, 40))).toEqual([
      'create sequence "t"."own" as bigint incr',
      'create table "t"."a" ("c" integer)',
      'alter sequence "t"."own" owned by "t"."a',
    ]);
  });

  test('uses what fits, adds our columns to it, replaces what does not only when told to', () => {
    const source = aTable({ columns: [aColumn({ name: 'a' })] });
    const there = (type: string) => ({
      ...nothingThere,
      tables: new Map([[showTable(source), aTable({ columns: [aColumn({ name: 'a', type })] })]]),
    });
    const added = [{ name: 'd', type: 'boolean' } as const];
    expect(plan([tree(source)], { target: there('integer'), added }).texts).toEqual([
      'alter table "s"."from" add column "d" boolean default false not null',
    ]);
    expect(plan([tree(source)], { target: there('smallint') }).problems).toEqual([
      's.from.a is smallint on the target and integer on the source',
    ]);
    const replaced = plan([tree(source)], { target: there('smallint'), replace: true });
    expect([replaced.drop, replaced.steps, replaced.problems]).toEqual([[source], [], []]);
    expect(plan([tree(source)], { target: there('integer'), added, create: false }).problems).toEqual([
      's.from.d is missing on the target',
    ]);
    expect(plan([tree(source)], { create: false }).missing).toEqual([source]);
  });

  test('tells everything that stands in the way at once', () => {
    const source = aTable({ columns: [aColumn({ name: 'v', generated: 'v', default: '1' })] });
    const extension = { name: 'hstore', schema: 'ext' };
    const types = [aType({ oid: 5, kind: 'b', extension }), aType({ oid: 6, kind: 'b', name: 'c_type' })];
    const functions = [
      { oid: 7, signature: 'f(integer)', of: 'default', table: source.oid, column: 'v', extension: null } as const,
    ];
    const { problems } = plan([tree(source)], {
      needs: { types, collations: [], functions },
      target: { ...nothingThere, version: 140_000 },
    });
    expect(problems).toEqual([
      'type s.c_type does not exist on the target and rests on functions in C',
      'function f(integer) does not exist on the target; the default of s.from.v calls it',
      'extension hstore is not available on the target server',
      's.from.v is a virtual generated column: these need PostgreSQL 18',
    ]);
  });

  test('of five times as many tables takes some five times as long, not twenty-five', () => {
    const takes = (tables: number) => {
      const trees = Array.from({ length: tables }, (_, i) => tree(aTable({ name: `t${i}`, columns: [aColumn()] })));
      const sequences = trees.map(({ root }, i) =>
        aSequence({ oid: i + 1, name: `q${i}`, uses: [{ table: root, column: 'c', how: 'owned' }] }),
      );
      const before = process.cpuUsage();
      expect(plan(trees, { sequences }).steps).toHaveLength(tables + 1);
      return process.cpuUsage(before).user;
    };
    takes(400);
    expect(takes(10_000)).toBeLessThan(15 * takes(2_000));
  });
});
