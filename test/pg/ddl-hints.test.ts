// A person does what a hint says, to the letter: the statements run as they stand, and both sides have the same rows afterwards.
import { expect, test } from 'vitest';
import { type SluiceError, toSluiceError } from '../../src/base/errors.ts';
import { columnsOf } from '../support/ddl.ts';
import { type Following, following, type Running } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Hinted {
  readonly tables: string;
  /** Runs on the target only. */
  readonly target?: string;
  /** Each a transaction on the source. */
  readonly change: readonly string[];
  /** While the mirror stands still; else while it runs. */
  readonly stopped?: true;
  readonly options?: Readonly<Record<string, string | boolean>>;
}

const plain = 'create table x (id int primary key, a int, b int); insert into x values (1, 1, -1)';
const off = { schema_changes: 'off' };
const mostHints = 4;

// The rows in the columns that the source has.
async function rowsOf(db: TestDatabase, source: TestDatabase): Promise<readonly string[]> {
  const columns = await source.exec<{ name: string }>(
    "select quote_ident(attname) as name from pg_attribute where attrelid = 'x'::regclass and attnum > 0 and not attisdropped order by attname",
  );
  const list = columns.map(({ name }) => name).join(', ');
  const rows = await db.exec<{ row: string }>(
    `select r::text as row from (select ${list} from x) r order by r::text collate "C"`,
  );
  return rows.map(({ row }) => row);
}

function statementsOf({ hint }: SluiceError): readonly string[] {
  const [, list = ''] = /on the target run (.*?;) then RESUME MIRROR/i.exec(hint ?? '') ?? [];
  return list === '' ? [] : list.split(/(?<=;) /);
}

let marks = 0;

/** Until it stops; null: all came through. */
async function stopOf({ source, target }: Following, running: Running): Promise<SluiceError | null> {
  let ended: SluiceError | undefined;
  running.done.catch((error: unknown) => {
    ended = toSluiceError(error);
  });
  const n = --marks;
  await source.exec(`insert into mark (n) values (${n})`);
  await until('the mark on the target, or the end', async () => {
    return ended !== undefined || (await target.exec(`select 1 as there from mark where n = ${n}`)).length > 0;
  });
  if (ended !== undefined) return ended;
  await running.stop();
  return null;
}

interface Told {
  /** In the order in which they came. */
  readonly errors: readonly SluiceError[];
  /** Whether it came through in the end. */
  readonly through: boolean;
  readonly sides: { readonly source: readonly string[]; readonly target: readonly string[] };
  readonly columns: readonly string[];
}

async function follow(of: Hinted, { doing = (statement: string) => statement } = {}): Promise<Told> {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: of.tables, mirrored: ['x'], options: of.options ?? off });
  if (of.target !== undefined) await target.exec(of.target);
  let running = f.start();
  await f.settle();
  if (of.stopped) await running.stop();
  for (const change of of.change) await source.exec(change);
  if (of.stopped) running = f.start();
  const errors: SluiceError[] = [];
  let through = false;
  for (;;) {
    const error = await stopOf(f, running);
    through = error === null;
    if (error === null) break;
    errors.push(error);
    const statements = statementsOf(error);
    if (statements.length === 0 || errors.length === mostHints) break;
    for (const statement of statements) await target.exec(doing(statement));
    running = f.start();
  }
  const sides = { source: await rowsOf(source, source), target: through ? await rowsOf(target, source) : [] };
  return { errors, through, sides, columns: await columnsOf(target, 'x') };
}

const mood = "create type mood as enum ('glad', 'sad')";
const moody = `${mood}; create table x (id int primary key, m mood); insert into x values (1, 'sad')`;

const againWords = /Only a new copy helps: DROP MIRROR "f_[0-9a-f]{8}"; then CREATE MIRROR/;

const mended: Record<string, Hinted> = {
  'a label that got another name': {
    tables: moody,
    change: ["alter type mood rename value 'sad' to 'b''l\\ue'", "insert into x values (2, 'b''l\\ue')"],
  },
  'a new label of an enum in an array of a domain': {
    tables: `${mood}; create domain moods as mood[]; create table x (id int primary key, m moods)`,
    change: ["alter type mood add value 'so so' after 'glad'", "insert into x values (2, '{so so,NULL}')"],
  },
  'labels that got names of each other': {
    tables: moody,
    stopped: true,
    change: [
      "alter type mood rename value 'sad' to 'blue'; insert into x values (2, 'blue')",
      "alter type mood rename value 'glad' to 'sad'; insert into x values (3, 'sad')",
    ],
  },
  'a column dropped and added again': {
    tables: plain,
    change: ['alter table x drop b, add b int', 'insert into x values (2, 2, 2)'],
  },
  'a column dropped and added again with values for older rows and NOT NULL': {
    tables: plain,
    change: [
      'alter table x drop b; alter table x add b int default 5 not null; alter table x alter b drop default; insert into x values (3, 8, 9)',
    ],
  },
  'two columns that swapped names, with a row before': {
    tables: plain,
    change: [
      'insert into x values (2, 3, 4); alter table x rename a to z; alter table x rename b to a; alter table x rename z to b; insert into x (id, a, b) values (3, 8, 9)',
    ],
  },
  'three columns that went round': {
    tables: 'create table x (id int primary key, a int, b int, "order" int); insert into x values (1, 2, 3, 4)',
    change: [
      'alter table x rename a to z; alter table x rename "order" to a; alter table x rename b to "order"; alter table x rename z to b; insert into x (id, a, b, "order") values (3, 8, 9, 10)',
    ],
  },
  'a column that got the name of one that was dropped': {
    tables: plain,
    change: ['alter table x drop b; alter table x rename a to b; insert into x values (2, 7)'],
  },
  'a column renamed to a name that is the target’s own': {
    tables: plain,
    target: 'alter table x add e int',
    change: ['alter table x rename b to e; insert into x values (3, 8, 5)'],
  },
  'a column that is NOT NULL without a default': {
    tables: plain,
    change: [
      'alter table x add e int; update x set e = 5; alter table x alter e set not null; insert into x values (3, 8, 9, 7)',
    ],
  },
  'a column whose default came later than the rows, and two more': {
    tables: plain,
    change: [
      'alter table x add e int, add f text, add "user" int default 4 not null; alter table x alter e set default 7, alter "user" set default 8; insert into x (id, f) values (3, \'f\')',
    ],
  },
  'a column that takes its values from a sequence': {
    tables: 'create table x (id int primary key, a int)',
    change: ['alter table x add e serial, add "it\'s" serial; insert into x values (2, 8), (3, 8)'],
  },
  'a column that the source does not compute any more': {
    tables:
      'create table x (id int primary key, a int, b int generated always as (a + 1) stored); insert into x values (1, 1)',
    change: ['alter table x alter b drop expression; insert into x values (3, 8, 7)'],
  },
  'a new column where the target computes one with that name from others': {
    tables: plain,
    target: 'alter table x add e int generated always as (a + 1) virtual',
    change: ['alter table x add e int; insert into x values (3, 8, 9, 5)'],
  },
  'a column that is called otherwise by now': {
    tables: plain,
    stopped: true,
    change: [
      "alter table x add d text; insert into x values (3, 8, 9, 'd')",
      "alter table x rename d to e; insert into x values (4, 8, 9, 'e')",
    ],
  },
  'a column that is gone by now': {
    tables: plain,
    stopped: true,
    change: [
      "alter table x add d text; insert into x values (3, 8, 9, 'd')",
      'alter table x drop d; insert into x values (4, 8, 9)',
    ],
  },
  'a column that is gone by now, and another that has its name': {
    tables: plain,
    stopped: true,
    change: [
      "alter table x add d text; insert into x values (3, 8, 9, 'd')",
      'alter table x drop d; alter table x add d int default 6 not null; insert into x values (4, 8, 9, 7)',
    ],
  },
  'a new column where the target has one of its own with that name': {
    tables: plain,
    target: 'alter table x add e bytea',
    change: ['alter table x add e int default 3; insert into x values (3, 8, 9, 5)'],
  },
  'a column that has another type by now': {
    tables: plain,
    stopped: true,
    change: [
      "alter table x add d int4range; insert into x values (3, 8, 9, '[1,2)')",
      "alter table x alter d type text; insert into x values (4, 8, 9, 'e')",
    ],
  },
  'a column that has got another type twice': {
    tables: plain,
    stopped: true,
    change: [
      'alter table x alter b type bigint; insert into x values (3, 8, 9)',
      "alter table x alter b type text; insert into x values (4, 8, 'e')",
    ],
  },
  'columns of an enum, of its array, and of a domain': {
    tables: plain,
    change: [
      `${mood}; create domain "Pos" as int default 4 constraint "is positive" check (value > 0); alter table x add m mood default 'sad' not null, add l mood[], add "order" "Pos" default 7; insert into x values (3, 8, 9, 'glad', '{sad}', 5)`,
    ],
  },
  'a column of a composite over a domain over an enum, in a schema that the target lacks': {
    tables: plain,
    change: [
      "create schema app; create type app.mood as enum ('glad', 'sad'); create domain app.d as app.mood not null; create type app.c as (n int, d app.d); alter table x add c app.c; insert into x values (3, 8, 9, row(1, 'sad'))",
    ],
  },
  'a column of a range, and one of its multirange': {
    tables: plain,
    change: [
      "create type span as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = spans); alter table x add r span, add m spans; insert into x values (3, 8, 9, '[1,2)', '{[1,2)}')",
    ],
  },
  'a column with a collation of its own': {
    tables: plain,
    change: [
      `create collation plainly (provider = libc, locale = 'C'); alter table x add t text collate plainly; insert into x values (3, 8, 9, 't')`,
    ],
  },
  'a column dropped and added again as a domain': {
    tables: plain,
    change: ['create domain pos as int; alter table x drop b, add b pos; insert into x values (2, 2, 2)'],
  },
  'a column that has become a domain': {
    tables: plain,
    change: [
      'create domain pos as int check (value <> 0); alter table x alter b type pos; insert into x values (2, 2, 2)',
    ],
  },
  'a dropped column that the target cannot do without, with a row before': {
    tables: 'create table x (id int primary key, a int not null, b int); insert into x values (1, 1, 1)',
    change: ['insert into x values (2, 2, 2); alter table x drop a; insert into x values (3, 3)'],
  },
};

test.each(Object.entries(mended))('%s: the hint mends it', async (_name, of) => {
  const { errors, through, sides } = await follow(of);
  expect(errors.map(({ message, hint }) => `${message}: ${hint}`)).not.toEqual([]);
  expect(through).toBe(true);
  expect(sides.target).toEqual(sides.source);
});

test.each([
  [
    'at once, where a row of the old column comes first in the session',
    'insert into x values (2, 2, 2); alter table x drop a; alter table x add a int; insert into x values (3, 3, 3)',
    1,
  ],
  [
    'at once, where that is an older one',
    'insert into x values (2, 2, 2); alter table x drop b; alter table x rename a to b; insert into x values (3, 3)',
    1,
  ],
  [
    'when it stops again, where the type is another one',
    "insert into x values (2, 2, 2); alter table x drop a; alter table x add a text; insert into x values (3, 3, '3')",
    2,
  ],
])(
  'a column dropped behind rows of the same transaction, and its name given to another: only a new copy helps, %s',
  async (_name, change, most) => {
    const { errors, through } = await follow({ tables: plain, change: [change], stopped: true });
    expect(through).toBe(false);
    expect(errors.length).toBeLessThanOrEqual(most);
    for (const { hint } of errors) expect(hint).toMatch(againWords);
    expect(errors.flatMap((error, i) => (i + 1 === errors.length ? statementsOf(error) : []))).toEqual([]);
  },
);

test('where nobody can tell whether a row is from before its column was made anew, the hint says when a new copy is needed', async () => {
  const change = ['insert into x values (2, 2, 2); alter table x drop b, add b int; insert into x values (3, 3, 3)'];
  const { errors } = await follow({ tables: plain, change });
  expect(errors[0]?.hint).toMatch(
    /^If nothing wrote to public\.x after the last change that is applied and before that one: on the target run ALTER TABLE public\.x DROP COLUMN b, ADD COLUMN b integer; then RESUME MIRROR\. Otherwise.*Only a new copy helps/,
  );
});

test('NOT NULL that the target cannot say yet is told', async () => {
  const { errors, columns } = await follow(mended['a column that is NOT NULL without a default'] as Hinted);
  expect(errors[0]?.hint).toMatch(/RESUME MIRROR\. e is NOT NULL on the source: say so when the rows have come\.$/);
  expect(columns).toContainEqual(expect.stringMatching(/^e integer f/));
});

test('values that the source computed for a new column are told', async () => {
  const change = ['alter table x add e int not null default (random() * 1000)::int; insert into x values (3, 8, 9, 1)'];
  const { errors, through } = await follow({ tables: plain, change });
  expect(through).toBe(true);
  expect(errors[0]?.hint).toMatch(/Where the source computed e for rows that were there, .* set them, too\.$/);
});

test.each([
  ['a table', 'create table x (id int primary key, a int not null); insert into x values (1, 1)'],
  [
    'a partitioned table',
    'create table x (id int primary key, a int not null) partition by range (id); create table x_1 partition of x for values from (0) to (100); insert into x values (1, 1)',
  ],
])('a row without a value that the target asks for: the hint lets it in, %s', async (_name, tables) => {
  const change = ['alter table x alter a drop not null; insert into x values (2, null)'];
  const { errors, sides } = await follow({ tables, change });
  expect(errors.map(({ hint }) => hint)).toEqual([
    expect.stringContaining('ALTER TABLE public.x ALTER COLUMN a DROP NOT NULL; then RESUME MIRROR.'),
  ]);
  expect(sides.target).toEqual(sides.source);
});

test('a change of type needs the expression of the source, as the hint says', async () => {
  const change = ['alter table x alter b type bigint using b * 10; insert into x values (3, 8, 9)'];
  const doing = (statement: string) => statement.replace(/;$/, ' using b * 10;');
  const { errors, sides } = await follow({ tables: plain, change }, { doing });
  expect(errors.map(({ hint }) => hint)).toEqual([
    expect.stringMatching(
      /^If the source changed it without USING: on the target run ALTER TABLE public\.x ALTER COLUMN b TYPE bigint; then RESUME MIRROR\. With USING, the same expression has to be in that statement, .*Only a new copy helps/,
    ),
  ]);
  expect(sides.target).toEqual(sides.source);
});

test('a default that has no cast to the new type of its column makes way for the source’s', async () => {
  const tables = 'create table x (id int primary key, b int default 0); insert into x values (1, 1), (2, 0)';
  const change = [
    'alter table x alter b drop default; alter table x alter b type boolean using b <> 0; alter table x alter b set default true; insert into x (id) values (3)',
  ];
  const doing = (statement: string) => statement.replace(/ TYPE boolean;$/, ' TYPE boolean USING b <> 0;');
  const { errors, sides, columns } = await follow({ tables, change }, { doing });
  expect(errors).toHaveLength(1);
  expect(sides.target).toEqual(sides.source);
  expect(columns).toContainEqual(expect.stringMatching(/^b boolean f .*true/));
});

const columns = { schema_changes: 'columns' };

test.each([
  ['a renamed one', 'alter table x rename b to e; insert into x values (3, 8, 5)', 'int'],
  ['a new one of another type', 'alter table x add e int default 3; insert into x values (3, 8, 9, 5)', 'text'],
])(
  'where columns follow, and the target has a column of its own with the name of %s, the hint puts that aside',
  async (_name, change, type) => {
    const target = `alter table x add e ${type}; update x set e = '7'`;
    const told = await follow({ tables: plain, target, change: [change], options: columns });
    expect(told.errors.map(({ hint }) => hint)).toEqual([
      "e of public.x is the target's own and in the way: rename it, as here, or drop it. On the target run ALTER TABLE public.x RENAME COLUMN e TO e_own; then RESUME MIRROR.",
    ]);
    expect(told.sides.target).toEqual(told.sides.source);
    expect(told.columns).toContainEqual(expect.stringMatching(/^e_own /));
  },
);

const marked = { soft_delete: true, soft_delete_col_name: 'gone' };
const withMark = 'alter table x add gone boolean default false; alter table mark add gone boolean default false';
const keyless =
  'create table x (id int, a int, b int); alter table x replica identity full; insert into x values (1, 1, 7)';

test('where rows are kept as deleted, the hint names the column and the statement of a change of type', async () => {
  const change = ["alter table x alter b type text using 'b' || b; insert into x values (3, 8, 'x')"];
  const doing = (statement: string) => statement.replace(/;$/, " using 'b' || b;");
  const told = await follow({ tables: keyless, target: withMark, change, options: marked }, { doing });
  expect(told.errors).toMatchObject([
    {
      detail: expect.stringMatching(/^column b changed to text: /),
      hint: expect.stringMatching(
        /^On the target give b of public\.x the values that the source has: what it computed them with \(USING, DEFAULT\) has to be in the statement, too\. On the target run ALTER TABLE public\.x ALTER COLUMN b TYPE text; then RESUME MIRROR\. If it stops here again: Only a new copy helps: DROP MIRROR "f_/,
      ),
    },
  ]);
  expect(told.sides.target).toEqual(told.sides.source);
});

test('where rows are kept as deleted and nobody can tell which column they have, only a new copy helps, and the hint says so', async () => {
  const change = ['insert into x values (2, 2, 2); alter table x drop b, add b int; insert into x values (3, 3, 3)'];
  const told = await follow({ tables: plain, target: withMark, change, options: marked });
  expect(told.errors).toMatchObject([
    {
      detail: expect.stringMatching(/^column b dropped and added again, or new: /),
      hint: expect.stringMatching(/^Only a new copy helps: DROP MIRROR "f_/),
    },
  ]);
});

test('where rows are kept as deleted, the hint makes the new type of a column first', async () => {
  const change = [
    "create domain word as text; alter table x alter b type word using 'b' || b; insert into x values (3, 8, 'x')",
  ];
  const doing = (statement: string) =>
    statement.replace(/ TYPE .*word;$/, (type) => type.replace(/;$/, " using 'b' || b;"));
  const told = await follow({ tables: keyless, target: withMark, change, options: marked }, { doing });
  expect(told.errors).toHaveLength(1);
  expect(told.sides.target).toEqual(told.sides.source);
});

const ownG = 'alter table x add g int';
const computedG = 'alter table x add g int generated always as (a * 2) stored';

test.each([
  ['columns', 'has a plain column of that name', plain, ownG, computedG],
  ['off', 'has a plain column of that name', plain, ownG, computedG],
  [
    'off',
    'has a plain column of that name and lacks its type',
    plain,
    ownG,
    'create domain pos as int; alter table x add g pos generated always as (a * 2) stored',
  ],
  [
    'off',
    'computes the one of that name otherwise',
    `${plain}; ${computedG}`,
    '',
    `alter table x drop g; ${computedG.replace('2', '5')}`,
  ],
] as const)(
  'with schema_changes = %s a new generated column is told of once, with what to run, where the target %s',
  async (schema_changes, _there, tables, own, change) => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['x'], options: { schema_changes } });
    if (own !== '') await target.exec(own);
    for (let session = 0; session < 3; session++) {
      if (session === 1) await source.exec(change);
      const running = f.start();
      await source.exec(`insert into x values (${session + 2}, 3, 3)`);
      await f.settle();
      await running.stop();
    }
    const notes = f.notes.filter((note) => note.includes('generated column'));
    expect(notes).toEqual([
      expect.stringMatching(/ of (its own with )?that name.*; to have its values, on the target run/),
    ]);
    await target.exec(/on the target run (.*;)$/.exec(notes[0] ?? '')?.[1] ?? '');
    expect(await rowsOf(target, source)).toEqual(await rowsOf(source, source));
  },
);
