// The language in its many spellings.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseStatement } from '../../../src/sql/parse.ts';
import { printStatement } from '../../../src/sql/print.ts';
import { splitBatch } from '../../../src/sql/split.ts';
import { commandTag, commandTags, type Statement, withoutPositions } from '../../../src/sql/statement.ts';

const parsed = (text: string) => withoutPositions(parseStatement(text));
const optionsOf = (list: string) => {
  const statement = parsed(`alter peer p set (${list})`);
  return statement.kind === 'alter_peer' ? statement.options : [];
};
const t = (name: string, schema = 'public') => ({ schema, name });

describe('every statement is understood', () => {
  const cases: readonly (readonly [string, Statement])[] = [
    ['drop peer p', { kind: 'drop_peer', ifExists: false, name: 'p' }],
    ['DROP PEER IF EXISTS P;', { kind: 'drop_peer', ifExists: true, name: 'p' }],
    ['validate peer "P"', { kind: 'validate_peer', name: 'P' }],
    [
      'create peer p from postgres',
      { kind: 'create_peer', ifNotExists: false, name: 'p', type: 'POSTGRES', options: [] },
    ],
    [
      'Create Peer If Not Exists p From SnowFlake With (a = 1)',
      { kind: 'create_peer', ifNotExists: true, name: 'p', type: 'SNOWFLAKE', options: [{ name: 'a', value: 1 }] },
    ],
    ['pause mirror m', { kind: 'pause_mirror', ifExists: false, name: 'm' }],
    ['resume mirror if exists m', { kind: 'resume_mirror', ifExists: true, name: 'm' }],
    ['resync mirror m', { kind: 'resync_mirror', ifExists: false, name: 'm', tables: [], options: [] }],
    [
      'resync mirror m table a, b . "C"',
      { kind: 'resync_mirror', ifExists: false, name: 'm', tables: [t('a'), t('C', 'b')], options: [] },
    ],
    ['drop mirror m', { kind: 'drop_mirror', ifExists: false, name: 'm', keepSlot: false }],
    ['drop mirror if exists m keep slot', { kind: 'drop_mirror', ifExists: true, name: 'm', keepSlot: true }],
    ['execute mirror m', { kind: 'execute_mirror', name: 'm' }],
    ['alter mirror m retry', { kind: 'alter_mirror', name: 'm', change: { kind: 'retry' } }],
    [
      'alter mirror m drop table s.order, user',
      { kind: 'alter_mirror', name: 'm', change: { kind: 'drop_tables', tables: [t('order', 's'), t('user')] } },
    ],
    [
      'alter mirror m set (truncate = off)',
      { kind: 'alter_mirror', name: 'm', change: { kind: 'set', options: [{ name: 'truncate', value: 'off' }] } },
    ],
    ['verify mirror m', { kind: 'verify_mirror', name: 'm', tables: [] }],
    ['repair mirror m table a', { kind: 'repair_mirror', name: 'm', tables: [t('a')] }],
    ['cutover mirror m', { kind: 'cutover_mirror', name: 'm', dryRun: false, options: [] }],
    [
      'cutover mirror m dry run with (a = b)',
      { kind: 'cutover_mirror', name: 'm', dryRun: true, options: [{ name: 'a', value: 'b' }] },
    ],
    ['reverse mirror m', { kind: 'reverse_mirror', name: 'm' }],
    ['complete mirror m', { kind: 'complete_mirror', name: 'm' }],
    ['show peers', { kind: 'show_peers' }],
    ['show peer p', { kind: 'show_peer', name: 'p' }],
    ['show mirrors;', { kind: 'show_mirrors' }],
    ['show mirror m', { kind: 'show_mirror', name: 'm' }],
    ['show users', { kind: 'show_users' }],
    ['execute p $$ select 1; $$', { kind: 'execute_peer', peer: 'p', query: ' select 1; ' }],
    ["execute P('it''s')", { kind: 'execute_peer', peer: 'p', query: "it's" }],
    ['execute mirror $$ x $$', { kind: 'execute_peer', peer: 'mirror', query: ' x ' }],
    ["create user u with password 'x'", { kind: 'create_user', name: 'u', password: 'x', access: 'read_write' }],
    ["create user u password 'x' read only", { kind: 'create_user', name: 'u', password: 'x', access: 'read_only' }],
    ["alter user u password 'x'", { kind: 'alter_user', name: 'u', password: 'x' }],
    ["alter user u password 'x' read write", { kind: 'alter_user', name: 'u', password: 'x', access: 'read_write' }],
    ['alter user u read only', { kind: 'alter_user', name: 'u', access: 'read_only' }],
    ['drop user if exists u', { kind: 'drop_user', ifExists: true, name: 'u' }],
  ];
  for (const [text, statement] of cases) test(text, () => expect(parsed(text)).toStrictEqual(statement));
});

describe('CREATE MIRROR', () => {
  const head = { kind: 'create_mirror', ifNotExists: false, name: 'm', source: 'a', target: 'b', options: [] };

  test('takes IF NOT EXISTS before and after the name, and a mirror may be called "if"', () => {
    const all = { ...head, scope: { kind: 'all' } };
    expect(parsed('create mirror m from a to b for all tables')).toStrictEqual(all);
    expect(parsed('create mirror if not exists m from a to b for all tables')).toMatchObject({ ifNotExists: true });
    expect(parsed('create mirror m if not exists from a to b for all tables')).toMatchObject({ ifNotExists: true });
    expect(parsed('create mirror if from a to b for all tables')).toStrictEqual({ ...all, name: 'if' });
  });

  test('takes both forms of table mappings, mixed, with the fields in any order', () => {
    const text = `create mirror m from a to b with table mapping (
      public.t:public.t, u : "S"."U",
      {from : public.v, to : public.v, exclude : [c]},
      { where: $$ x > 1 $$, exclude: [ "D", e, ], key: id, to: w, from: w },{FROM:x,TO:y}, {from: z, to: z, exclude: []})`;
    expect(parsed(text)).toStrictEqual({
      ...head,
      scope: {
        kind: 'tables',
        mappings: [
          { from: t('t'), to: t('t'), exclude: [] },
          { from: t('u'), to: t('U', 'S'), exclude: [] },
          { from: t('v'), to: t('v'), exclude: ['c'] },
          { from: t('w'), to: t('w'), key: 'id', exclude: ['D', 'e'], where: ' x > 1 ' },
          { from: t('x'), to: t('y'), exclude: [] },
          { from: t('z'), to: t('z'), exclude: [] },
        ],
      },
    });
  });

  test('takes any name that a table can have', () => {
    const name = 'x"; drop table y; --';
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const text = `create mirror m from a to b with table mapping (${quoted}.${quoted}:"select"."%$$\n", {from: "😀", to: T})`;
    expect(splitBatch(`${text}; select 1`).map((piece) => piece.owner.kind)).toEqual(['ours', 'plain']);
    expect(parsed(text)).toMatchObject({
      scope: {
        mappings: [
          { from: { schema: name, name }, to: { schema: 'select', name: '%$$\n' } },
          { from: t('😀'), to: t('t') },
        ],
      },
    });
  });

  test('takes schema mappings in both forms', () => {
    const text =
      'create mirror m from a to b with schema mapping (public:public, {to: "Y", from: x}) with (resync = true)';
    expect(parsed(text)).toStrictEqual({
      ...head,
      scope: {
        kind: 'schemas',
        pairs: [
          { from: 'public', to: 'public' },
          { from: 'x', to: 'Y' },
        ],
      },
      options: [{ name: 'resync', value: true }],
    });
  });

  test('takes a query in any kind of string, and says where it begins', () => {
    for (const query of ['$$ q; $$', '$x$ q; $x$', "' q; '"]) {
      const text = `create mirror m from a to b for ${query} with (mode = 'append')`;
      const statement = parseStatement(text);
      if (statement.kind !== 'create_mirror' || statement.scope.kind !== 'query') throw new Error('not a query mirror');
      expect(statement.scope.query).toBe(' q; ');
      expect(text.slice((statement.scope.queryPosition ?? 0) - 1)).toMatch(/^ q; /);
    }
    expect(parseStatement("create mirror m from a to b for 'it''s'")).toMatchObject({
      scope: { query: "it's", queryPosition: undefined },
    });
  });

  test('can be explained', () => {
    const text = 'create mirror m from a to b for all tables';
    expect(parsed(`explain ${text}`)).toStrictEqual({ kind: 'explain', statement: parsed(text) });
  });

  test('refuses a mapping without both ends, and a field that is given twice, at its place', () => {
    const text = (mapping: string) => `create mirror m from a to b with table mapping (${mapping})`;
    expect(() => parseStatement(text('{ from: x }'))).toThrow(
      expect.objectContaining({ message: 'a mapping needs "to"', position: text('{ from: x').length + 1 }),
    );
    expect(() => parseStatement(text('{ from: x, to: y, from: z }'))).toThrow(
      expect.objectContaining({
        message: '"from" is given twice in a mapping',
        position: text('{ from: x, to: y, ').length,
      }),
    );
  });

  test('reads a mapping of 10,000 tables with emoji in their names in a moment', () => {
    const pairs = Array.from({ length: 10_000 }, (_, i) => `{ from: "s😀"."t${i}", to: "t${i}😀", where: 'x' }`);
    const before = performance.now();
    const statement = parsed(`create mirror m from a to b with table mapping (${pairs.join(', ')})`);
    expect(performance.now() - before).toBeLessThan(4000);
    expect(statement).toMatchObject({ scope: { mappings: { length: 10_000 } } });
  });
});

describe('names and strings are those of PostgreSQL', () => {
  const nameOf = (text: string) => (parsed(`show peer ${text}`) as { readonly name: string }).name;
  const literalOf = (text: string) => optionsOf(`x = ${text}`)[0]?.value;

  test('unquoted names fold ASCII letters only, quoted names keep theirs', () => {
    expect(nameOf('ÄbC_1$')).toBe('Äbc_1$');
    expect(nameOf('"A ""b"" ; -- \n%$$😀"')).toBe('A "b" ; -- \n%$$😀');
    expect(nameOf('U&"d\\0061t\\+000061"')).toBe('data');
    expect(nameOf(`u&"!0041😀!!" /* c */ uescape '!'`)).toBe('A😀!');
    expect(nameOf('select')).toBe('select');
    expect(nameOf('"from"')).toBe('from');
  });

  test('a name of 63 bytes is kept and one of 64 is refused where it stands, never cut', () => {
    for (const name of ['a'.repeat(63), `"${'é'.repeat(31)}x"`]) expect(Buffer.byteLength(nameOf(name))).toBe(63);
    for (const name of ['a'.repeat(64), `"${'é'.repeat(32)}"`, `"${'😀'.repeat(16)}"`]) {
      expect(() => parseStatement(`show peer ${name}`)).toThrow(
        expect.objectContaining({ kind: 'name_too_long', sqlstate: '42622', position: 11 }),
      );
    }
    const text = 'alter mirror m add table {from: 😀.t, to: s.t, exclude: [ok, ';
    expect(() => parseStatement(`${text}${'é'.repeat(32)}]}`)).toThrow(
      expect.objectContaining({ kind: 'name_too_long', position: [...text].length + 1 }),
    );
  });

  test('strings of every kind mean what they mean in PostgreSQL', () => {
    expect(literalOf("'it''s a \\ back'")).toBe("it's a \\ back");
    expect(literalOf("E'\\n\\t\\\\\\'\\b\\f\\r\\v\\q\\101\\x41\\u00e9\\U0001F600'")).toBe("\n\t\\'\b\f\r\vqAAé😀");
    expect(literalOf("e'\\xc3\\xa9 \\303\\251 ''q'' \\ud83d\\ude00'")).toBe("é é 'q' 😀");
    expect(literalOf("U&'\\00e9 \\\\ \\d83d\\de00 ''q'' \\+01F600'")).toBe("é \\ 😀 'q' 😀");
    expect(literalOf("U&'d!0061t!+000061' UESCAPE '!'")).toBe('data');
    expect(literalOf("$$it's \\n$$")).toBe("it's \\n");
    expect(literalOf('$tag$ $$ $other$ $tag$')).toBe(' $$ $other$ ');
    expect(literalOf('$é1$x$é1$')).toBe('x');
    expect(literalOf("'a' -- comment\n 'b'\n\t'c'")).toBe('abc');
    expect(literalOf("E'a\\''\n'b\\n'")).toBe("a'b\n");
  });

  test('bad escapes are refused at their place', () => {
    const cases: readonly (readonly [string, string, number])[] = [
      ["E'ab\\u00'", '22025', 5],
      ["E'\\ud83dx'", '42601', 3],
      ["E'\\ude00'", '42601', 3],
      ["E'\\U00110000'", '22025', 3],
      ["E'\\xff'", '22021', 3],
      ["E'a\\000'", '22021', 3],
      ["U&'\\00'", '22025', 4],
      ["U&'\\d83d'", '42601', 4],
    ];
    for (const [literal, sqlstate, at] of cases) {
      const head = 'alter peer p set (x = ';
      expect(() => parseStatement(`${head}${literal})`), literal).toThrow(
        expect.objectContaining({ kind: 'syntax', sqlstate, position: head.length + at }),
      );
    }
    expect(() => parseStatement('show peer ""')).toThrow(
      expect.objectContaining({ message: 'zero-length delimited identifier', position: 11 }),
    );
  });

  test('values are strings, integers, booleans, words and lists', () => {
    expect(optionsOf(`a = 'x', b = 5, c = -7, d = TRUE, e = False, f = ON, g = Off, h = "Quoted"`)).toStrictEqual([
      { name: 'a', value: 'x' },
      { name: 'b', value: 5 },
      { name: 'c', value: -7 },
      { name: 'd', value: true },
      { name: 'e', value: false },
      { name: 'f', value: 'on' },
      { name: 'g', value: 'off' },
      { name: 'h', value: 'Quoted' },
    ]);
    expect(literalOf('(\'a\', "B", c, 4)')).toStrictEqual(['a', 'B', 'c', '4']);
    expect(literalOf('()')).toStrictEqual([]);
    expect(literalOf('1.50')).toBe('1.50');
    expect(literalOf('12345678901234567890')).toBe('12345678901234567890');
    expect(literalOf('007')).toBe('007');
    for (const word of ['null', 'DEFAULT']) {
      expect(() => literalOf(word)).toThrow(expect.objectContaining({ message: `syntax error at or near "${word}"` }));
    }
  });

  test('comments, also nested ones, may stand between any two tokens', () => {
    const tokens = [
      'create',
      'peer',
      'p',
      'from',
      'postgres',
      'with',
      '(',
      'a',
      '=',
      "'x'",
      ',',
      'b',
      '=',
      '1',
      ')',
      ';',
    ];
    const plain = parsed(tokens.join(' '));
    const all = ['', ...tokens, ''].join(" /* ; ' /* \" */ $$ */ -- it's\n");
    expect(parsed(all)).toStrictEqual(plain);
  });
});

describe('the grammar README', () => {
  const readme = readFileSync(new URL('../../../grammar/README.md', import.meta.url), 'utf8');
  const examples = [...readme.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, block]) => splitBatch(block ?? ''));

  test('shows examples that all parse, print and parse again', () => {
    for (const { text } of examples)
      expect(parsed(printStatement(parseStatement(text))), text).toStrictEqual(parsed(text));
  });

  test('shows an example of every statement there is', () => {
    const shown = new Set(examples.map(({ text }) => parseStatement(text).kind));
    expect([...shown].sort()).toStrictEqual(Object.keys(commandTags).sort());
  });
});

test('the command tag is the statement’s own words', () => {
  expect(commandTag(parseStatement('create mirror m from a to b for all tables'))).toBe('CREATE MIRROR');
  expect(commandTag(parseStatement('show peers'))).toBe('SHOW');
});
