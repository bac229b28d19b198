// Batches come apart exactly where psql and PostgreSQL would cut them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextToken } from '../../../src/sql/lexer.ts';
import { isOurs, splitBatch, splitWithin } from '../../../src/sql/split.ts';

const texts = (batch: string) => splitBatch(batch).map((piece) => piece.text);
const trimmed = (batch: string) => texts(batch).map((text) => text.trim());
const everyPeer = { isPeer: () => true, onPeer: false };

describe('a semicolon does not end a statement inside', () => {
  const whole = [
    "select ';', 'it''s;', E'\\';', e'\\\\', U&';', B';', X';', N';'",
    'select ";", "a"";", U&";"',
    'select $$;$$, $x$ $$;$y$; $x$, $é$;$é$',
    'select 1 /* ; /* ; */ ; */ + 1 -- ;\n + 2',
    "select 'a' -- ; comment\n ';b'",
    "select E'a' \n '\\';'",
    'create rule r as on insert to t do also (insert into a values (1); insert into b values (2))',
    'create function f() returns int language sql begin atomic select 1; select case when true then 1 else 2 end; end',
    'create or replace procedure p(begin int) language sql BEGIN ATOMIC\n select case case 1 when 1 then 2 end when 2 then 3 end; insert into t values (1); END',
    'create function f() returns int begin atomic select 1 as end; select x.end, x.case from x; select (case when true then 1 end); end',
    'create function f() returns void language plpgsql as $f$ begin perform 1; end; $f$',
    "do $$ begin perform ';'; end $$",
  ];
  for (const statement of whole) {
    test(statement, () => expect(trimmed(`${statement}; select 2`)).toEqual([`${statement};`, 'select 2']));
  }

  test('what is not closed', () => {
    for (const open of [
      "select 'a;",
      'select "a;',
      'select $$a; $x$',
      'select /* ; /* */ ;',
      'select (1; select 2',
      "select E'\\'; ",
    ]) {
      expect(texts(`select 1;${open}`)).toEqual(['select 1;', open]);
    }
  });
});

describe('a semicolon does end a statement', () => {
  test('after begin, end and case outside a routine’s body', () => {
    expect(trimmed('begin; select case when true then 1 end; end; commit')).toHaveLength(4);
    expect(trimmed('begin atomic; select 1')).toHaveLength(2);
    expect(
      trimmed(
        'create function f() returns int begin atomic select 1; end; select 2; create table begin (a int); select 3',
      ),
    ).toHaveLength(4);
  });

  test('after things that only look like quotes and comments', () => {
    expect(trimmed('select 1 - -1; select 2')).toHaveLength(2);
    expect(trimmed("select 'a\\'; select 2")).toHaveLength(2);
    expect(trimmed('select a$b$c; select $1; select 1')).toHaveLength(3);
    expect(trimmed('select 4 / 2; select 2 * 3')).toHaveLength(2);
    expect(trimmed('select 1); select 2')).toHaveLength(2);
    expect(trimmed("select typeE'a\\'; select 2")).toHaveLength(2);
  });

  test('as the session’s standard_conforming_strings says', () => {
    const batch = "select 'a\\'; b'; select 2";
    expect(splitBatch(batch, { backslashEscapes: true })).toHaveLength(2);
    expect(splitBatch(batch)[0]?.text).toBe("select 'a\\';");
  });
});

test('empty statements and comments alone are left out, comments before a statement stay with it', () => {
  expect(texts('')).toEqual([]);
  expect(texts(' ; -- x\n ;; /* y */')).toEqual([]);
  expect(texts('/*+ hint */ select 1 ; -- tail')).toEqual(['/*+ hint */ select 1 ;']);
});

test('each piece says where it stands, in UTF-16 units, characters and bytes', () => {
  const batch = "select '😀é'; ; show peers; select 1";
  for (const piece of splitBatch(batch)) {
    const before = batch.slice(0, piece.start);
    expect(batch.slice(piece.start, piece.end)).toBe(piece.text);
    expect(piece.charactersBefore).toBe([...before].length);
    expect(piece.bytesBefore).toBe(Buffer.byteLength(before));
  }
});

describe('a statement is ours by its first words', () => {
  const owner = (text: string) => splitBatch(text)[0]?.owner;
  const ours = [
    'create peer p',
    'ALTER /* x */ PEER p',
    'drop peer p',
    'validate peer p',
    'create mirror m',
    'alter mirror m',
    'pause mirror m',
    'resume mirror m',
    'resync mirror m',
    'drop mirror m',
    'execute mirror m',
    'execute mirror "M"',
    'verify mirror m',
    'repair mirror m',
    'cutover mirror m',
    'reverse mirror m',
    'complete mirror m',
    'show peers',
    'show peer p',
    'SHOW MIRRORS',
    'show mirror m',
    'show users',
    'explain create mirror m',
    '-- x\n explain/**/create mirror m',
    'execute p $$ x $$',
    "execute p 'x'",
    'execute mirror $$ x $$',
  ];
  const plain = [
    'select 1',
    'create table peer (a int)',
    'create user mapping for u server s',
    'drop user mapping if exists for u server s',
    "alter user mapping for u server s options (a 'b')",
    'show all',
    'show search_path',
    'explain select 1',
    'explain analyze create mirror m',
    'execute mirror',
    'execute mirror(1)',
    'execute p',
    'execute p(1, 2)',
    "execute p('a', 'b')",
    "execute p('a' || 'b')",
    "execute p('a'::text)",
    'create "peer" p',
    '"create" peer p',
    'drop table mirror',
    'create',
    '(create peer p)',
    'execute',
  ];
  for (const text of ours) test(`${text}: ours`, () => expect(owner(text)).toEqual({ kind: 'ours' }));
  for (const text of plain) test(`${text}: plain SQL`, () => expect(owner(text)).toEqual({ kind: 'plain' }));

  test('EXECUTE name(one string) is ours if a peer has that name, else a prepared statement', () => {
    const [piece] = splitBatch(`execute "P1" ('select 1') ;`);
    expect(piece?.owner).toEqual({ kind: 'execute', peer: 'P1' });
    expect(isOurs(piece!, { isPeer: (name) => name === 'P1', onPeer: false })).toBe(true);
    expect(isOurs(piece!, { isPeer: () => false, onPeer: false })).toBe(false);
  });

  test('users are the gateway’s, or the peer’s in a session that is connected to one', () => {
    for (const text of ["create user u password 'x'", 'alter user u read only', 'drop user u']) {
      const [piece] = splitBatch(text);
      expect(piece?.owner).toEqual({ kind: 'users' });
      expect(isOurs(piece!, everyPeer)).toBe(true);
      expect(isOurs(piece!, { isPeer: () => true, onPeer: true })).toBe(false);
    }
  });

  test('the first words are told in lower case', () => {
    expect(splitBatch('/* x */ BEGIN Isolation LEVEL serializable')[0]?.firstWords).toEqual([
      'begin',
      'isolation',
      'level',
      'serializable',
    ]);
  });
});

const soup = fc
  .array(
    fc.constantFrom(
      ';',
      "'",
      '"',
      '$$',
      '$q$',
      '/*',
      '*/',
      '--',
      '\n',
      '(',
      ')',
      'begin',
      'atomic',
      'end',
      'case',
      'create',
      'function',
      ' ',
      'E',
      'U&',
      '\\',
      '😀',
      'x',
      '1',
      'as',
      '.',
      'uescape',
      'execute',
      'peer',
      '\ud83d',
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

test('no text makes the splitter throw, loop or lose a character', () => {
  fc.assert(
    fc.property(soup, (batch) => {
      const pieces = splitBatch(batch);
      const left = pieces.reduceRight((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), batch);
      // What is in no piece is white space, comments and empty statements.
      for (let at = 0; ; ) {
        const token = nextToken(left, at);
        if (token.kind === 'end') break;
        expect(left.slice(token.start, token.end)).toBe(';');
        at = token.end;
      }
    }),
    { numRuns: 2000 },
  );
});

test('the work for a batch of 10 MB is in proportion to it, however many quotes are in it', () => {
  const batch = `insert into t values ('${"it''s ".repeat(1_000_000)}'); select E'${'\\n'.repeat(2_000_000)}'; select $$${'x'.repeat(1_000_000)}$$`;
  // A quote inside a literal is no token of its own …
  expect(splitWithin(batch, { pieces: 3, tokens: 16 })).toHaveLength(3);
  // … and no character is passed over again and again.
  expect(charactersPassed(() => splitBatch(batch))).toBeLessThan(2 * batch.length);
});

/** Over how many characters searches go while that runs: the splitter finds every edge by one of these two. */
function charactersPassed(work: () => void): number {
  const { indexOf } = String.prototype;
  const { exec } = RegExp.prototype;
  let passed = 0;
  Object.defineProperty(String.prototype, 'indexOf', {
    ...{ configurable: true, writable: true },
    value(this: string, what: string, from = 0): number {
      const at = indexOf.call(this, what, from);
      passed += (at < 0 ? this.length : at) - from + 1;
      return at;
    },
  });
  Object.defineProperty(RegExp.prototype, 'exec', {
    ...{ configurable: true, writable: true },
    value(this: RegExp, text: string): RegExpExecArray | null {
      const from = this.global || this.sticky ? this.lastIndex : 0;
      const match = exec.call(this, text);
      // One that is sticky looks at its place only.
      passed += match === null ? (this.sticky ? 1 : text.length - from + 1) : match.index + match[0].length - from;
      return match;
    },
  });
  try {
    work();
  } finally {
    Object.defineProperty(String.prototype, 'indexOf', { configurable: true, writable: true, value: indexOf });
    Object.defineProperty(RegExp.prototype, 'exec', { configurable: true, writable: true, value: exec });
  }
  return passed;
}
