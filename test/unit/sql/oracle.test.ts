// PostgreSQL's own parser says whether our lexer is right: the same literals, the same names, the same cuts.
// Its WebAssembly build keeps comments as tokens, so that, unlike a server, it does not join 'a' -- x <newline> 'b' and
// refuses a comment behind UESCAPE; no text here has a comment there.
import fc from 'fast-check';
import pgQuery from 'libpg-query';
import { beforeAll, expect, test } from 'vitest';
import { nextToken } from '../../../src/sql/lexer.ts';
import { parseStatement } from '../../../src/sql/parse.ts';
import { splitBatch } from '../../../src/sql/split.ts';

beforeAll(() => pgQuery.loadModule());

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

interface Node {
  readonly [key: string]: Node;
}

/** What `(text)` is to PostgreSQL, if it is nothing but one string or one name. */
function byPostgres(text: string): { readonly value: unknown } | undefined {
  const tree = attempt(() => pgQuery.parseSync(`select (${text})`)) as unknown as
    | { readonly stmts: readonly Node[] }
    | undefined;
  const statements = tree?.stmts ?? [];
  const target = (statements[0]?.stmt?.SelectStmt?.targetList as unknown as readonly Node[] | undefined)?.[0]
    ?.ResTarget;
  if (statements.length !== 1 || target === undefined) return undefined;
  const constant = target.val?.A_Const;
  if (constant?.sval !== undefined) return { value: constant.sval.sval ?? '' };
  const fields = target.val?.ColumnRef?.fields as unknown as readonly Node[] | undefined;
  return fields?.length === 1 && fields[0]?.String !== undefined ? { value: fields[0].String.sval } : undefined;
}

function byUs(text: string): { readonly value: unknown } | undefined {
  const statement = attempt(() => parseStatement(`alter peer p set (x = ${text})`));
  return statement?.kind === 'alter_peer' ? { value: statement.options[0]?.value } : undefined;
}

const scraps = fc.array(
  fc.constantFrom(
    ...[
      "'",
      "''",
      '"',
      '""',
      '\\',
      '\\\\',
      '\n',
      '\r',
      ' ',
      '\t',
      '-- x\n',
      '/*',
      '*/',
      '--',
      '$',
      '$$',
      '$q$',
      'é',
      '😀',
    ],
    ...[
      'u00e9',
      'ud83d\\ude00',
      'U0001F600',
      'x41',
      'xc3\\xa9',
      '101',
      '303\\251',
      'n',
      '00e9',
      '+01F600',
      '0',
      'd83d',
      'q',
    ],
  ),
  { maxLength: 8 },
);

test('a string or quoted name is to us what it is to PostgreSQL, or is refused by both', () => {
  const literal = fc
    .tuple(
      fc.constantFrom("'", "E'", "e'", "U&'", "u&'", '"', 'U&"', '$$', '$q$', '$é_1$'),
      scraps,
      fc.constantFrom('', '', '', " uescape '!'", "\nUESCAPE\t'q'"),
    )
    .map(([open, body, clause]) => open + body.join('') + open.replace(/^(E|U&)/i, '') + clause)
    .filter((text) => !text.includes('--') && !/\/\*[\s\S]*uescape/i.test(text));
  let equal = 0;
  fc.assert(
    fc.property(literal, (text) => {
      const theirs = byPostgres(text);
      expect(byUs(text)).toEqual(theirs);
      if (theirs !== undefined) equal += 1;
    }),
    { numRuns: 4000 },
  );
  // Otherwise the test has compared errors only.
  expect(equal).toBeGreaterThan(500);
});

test('strings and names begin and end where PostgreSQL’s scanner sees them', () => {
  const soup = fc
    .array(
      fc.constantFrom(
        ...["'", '"', '\\', '\n', ' ', '-', '/*', '*/', '$', '$$', '$q$', ';', '(', ')', '+', '.', ','],
        ...['E', 'U&', 'x', 'B', '1', '2.5', 'abc', '_a$b', 'select'],
      ),
      { maxLength: 14 },
    )
    .map((parts) => parts.join(''));
  let compared = 0;
  fc.assert(
    fc.property(soup, (text) => {
      const scanned = attempt(() => pgQuery.scanSync(text).tokens);
      if (scanned === undefined) return;
      const theirs = scanned.map((token) => token.text).filter((word) => /^(?:[A-Za-z_'"]|\$[^0-9])/.test(word));
      const ours: string[] = [];
      for (let token = nextToken(text, 0); token.kind !== 'end'; token = nextToken(text, token.end)) {
        if (/word|quoted|string/.test(token.kind)) ours.push(text.slice(token.start, token.end));
      }
      expect(ours).toEqual(theirs);
      compared += theirs.length;
    }),
    { numRuns: 4000 },
  );
  expect(compared).toBeGreaterThan(1000);
});

test('a batch is cut where PostgreSQL cuts it', () => {
  const statements = [
    'select 1',
    "select ';', E'\\';', U&'\\00e9;', $$;$$, $x$ $$;$y$ $x$, \"a;b\"",
    "select 'é😀' \n '; b' /* ; /* ; */ ; */ -- ;\n",
    'create rule r as on insert to t do also (insert into a values (1); insert into b values (2))',
    'create function f(a int default 1) returns int language sql begin atomic select 1; select case a when 1 then 2 end; end',
    'create or replace procedure p(x int) begin atomic insert into t select case when (case when true then true end) then 1 end; insert into t values (2) ; end',
    'create function f() returns int begin atomic select 1 as end; select t.end, t.case from t; end',
    'create function f() returns int return 1',
    "do $do$ begin perform 'x;'; end; $do$",
    'begin',
    'end',
    'select 4 / 2 * 3 - -1, case when true then 1 end',
    'create table begin (atomic int, "end" int)',
    'prepare p as select $1',
    "execute p('x')",
  ];
  const batch = fc
    .array(
      fc.tuple(fc.constantFrom(...statements), fc.constantFrom(';', ' ;;', ';-- ;\n', '; /* /* ; */ é */', ' ; ; ')),
      {
        minLength: 1,
        maxLength: 8,
      },
    )
    .map((parts) => parts.flat().join(''));
  fc.assert(
    fc.property(batch, (text) => {
      const { stmts } = pgQuery.parseSync(text);
      const theirs = (stmts ?? []).map((part) => (part.stmt_location ?? 0) + (part.stmt_len ?? 0));
      const ours = splitBatch(text).map((piece) => piece.bytesBefore + Buffer.byteLength(piece.text) - 1);
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 300 },
  );
});
