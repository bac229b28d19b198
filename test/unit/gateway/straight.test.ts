import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { actOf } from '../../../src/gateway/act.ts';
import { loadParser } from '../../../src/gateway/parser.ts';
import { isPlainAtAGlance, PlainTexts } from '../../../src/gateway/plain-texts.ts';
import { Router } from '../../../src/gateway/route.ts';
import { homeAhead } from '../../../src/gateway/straight.ts';
import { noTransaction, type Transaction, waitingSince } from '../../../src/gateway/transaction.ts';
import { splitBatch } from '../../../src/sql/split.ts';

beforeAll(loadParser);

describe('the way to the home is straight', () => {
  const home = { name: 'h', closed: false, failed: false, copyIn: false, backlogged: false, heard: 3 };
  const session = { active: home, home: 'h', transaction: noTransaction as Transaction, settings: { last: 3 } };

  test('when it was asked last and has heard all', () => {
    expect(homeAhead(session)).toBe(home);
    expect(homeAhead({ ...session, transaction: { at: 'owned', owner: 'h' } })).toBe(home);
  });

  const begin = Buffer.from('begin');
  const cases: readonly [string, Partial<typeof session>][] = [
    ['nobody has been asked anything', { active: undefined as never }],
    ['another was asked last', { active: { ...home, name: 'other' } }],
    ['it is gone', { active: { ...home, closed: true } }],
    ['it skips everything up to Sync', { active: { ...home, failed: true } }],
    ['it takes COPY data', { active: { ...home, copyIn: true } }],
    ['it does not read', { active: { ...home, backlogged: true } }],
    ['it has yet to hear a SET', { active: { ...home, heard: 2 } }],
    ['it has yet to hear BEGIN', { transaction: waitingSince(begin) }],
    ['the transaction has failed', { transaction: { at: 'failed' } }],
    ["the transaction is another's", { transaction: { at: 'owned', owner: 'other' } }],
  ];
  test.each(cases)('but not when %s', (_, change) => {
    expect(homeAhead({ ...session, ...change })).toBeUndefined();
  });
});

const isGlancePlain = (text: string) => {
  const bytes = Buffer.from(`ab${text}cd`);
  return isPlainAtAGlance(bytes, 2, bytes.length - 2);
};

describe('a text', () => {
  test.each([
    'select 1',
    'SELECT abalance FROM pgbench_accounts WHERE aid = 12;',
    'with a as (select 1) select * from a',
    'insert into t values (1.5)',
    "update t set a = 'é'",
    'values(1)',
  ])('%s is plain at a glance', (text) => expect(isGlancePlain(text)).toBe(true));

  test.each([
    '',
    'select',
    ' select 1',
    'selection 1',
    'select$ 1',
    'selectü 1',
    'select 1; select 2',
    'select 1; ',
    'select a.b.c from d',
    "select ';'",
    'select 1\0',
    'begin',
    'copy t from stdin',
    'show peers',
    'execute a',
    'explain create mirror',
    'set a = 1',
  ])('%s is not', (text) => expect(isGlancePlain(text)).toBe(false));

  test('that is plain at a glance is one statement, nobody is named in it and nothing changes with it', () => {
    const word = fc.constantFrom(
      ...[
        'select',
        'with',
        'insert',
        'update',
        'SELECT',
        'begin',
        'copy',
        'peer',
        'a',
        '"b"',
        "'c",
        "'",
        '$$',
        'é',
        '/*',
        '*/',
      ],
      ...[';', '.', ' ', '\n', '--', '1', '.5', 'show', 'mirrors', 'execute', 'commit', 'atomic', 'end', '(', ')', ','],
    );
    fc.assert(
      fc.property(
        fc.constantFrom('select', 'With', 'values', 'merge'),
        fc.array(word, { maxLength: 12 }),
        (first, rest) => {
          const text = [first, ...rest].join(' ');
          if (!isGlancePlain(text)) return;
          const pieces = splitBatch(text);
          expect(pieces.map(({ owner }) => owner.kind)).toEqual(['plain']);
          expect(new Router().read(text).candidates).toEqual([]);
          expect(actOf(text, pieces[0]!.firstWords[0])).toEqual({ kind: 'other' });
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('texts that need a second look', () => {
  const asked: string[] = [];
  const texts = new PlainTexts(new Router(), (name) => {
    asked.push(name);
    return name === 'later' ? Promise.reject(new Error('the catalog is away')) : name === 'peer';
  });
  const isPlain = (text: string, backslashEscapes = false) => {
    const bytes = Buffer.from(`x${text}yz`);
    const place = { start: 1, end: bytes.length - 2, backslashEscapes };
    const [first, second] = [texts.isPlain(bytes, place), texts.isPlain(bytes, place)];
    expect(second).toBe(first);
    return first;
  };

  test.each([
    ['/* a comment; */ select 1;', true],
    ["select 'a;b.c.d'", true],
    ['select "a"."b", a.c from "a"', true],
    ['select s.t.c from s.t', true],
    ['create table t (a int); ', true],
    ['explain select 1', true],
    ['show work_mem', true],
    ['select * from peer.public.t where peer.public.t.a = 1', false],
    ['select 1; select 2', false],
    ['', false],
    ['begin', false],
    ['/* x */ commit', false],
    ['set a = 1', false],
    ['prepare a as select 1', false],
    ['execute a', false],
    ['declare c cursor for select 1', false],
    ['copy t from stdin', false],
    ['show peers', false],
    ['show mirrors', false],
    ['create user a', false],
    ["execute peer('select 1')", false],
  ])('%s: %s', (text, expected) => expect(isPlain(text)).toBe(expected));

  test('a name that may be a peer is asked about each time, and who has to look it up is not waited for', () => {
    asked.length = 0;
    expect(isPlain('select later.public.t.a from later.public.t')).toBe(false);
    expect(isPlain('select nobody.public.t.a, b.c.d from nobody.public.t')).toBe(true);
    expect(asked).toEqual(['later', 'later', 'nobody', 'b', 'nobody', 'b']);
  });

  test('where backslashes escape, nothing is remembered', () => {
    expect(isPlain("/* */ select 'a\\'; begin --'", true)).toBe(false);
  });

  test('a long text is left to those who run it', () => {
    expect(isPlain(`/* */ select '${'x'.repeat(5_000)}'`)).toBe(false);
  });

  test('only so many are remembered', () => {
    for (let i = 0; i < 3_000; i += 1) expect(isPlain(`/* ${i} */ select 1`)).toBe(true);
    expect(isPlain('/* 2999 */ select 1')).toBe(true);
  });
});
