// What is printed parses back to the same; what must stay secret is not printed.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { peerOptions } from '../../../src/mirror/peer.ts';
import { nextToken } from '../../../src/sql/lexer.ts';
import { parseStatement } from '../../../src/sql/parse.ts';
import { printRedacted, printStatement } from '../../../src/sql/print.ts';
import { isOurs, splitBatch } from '../../../src/sql/split.ts';
import { type Statement, withoutPositions } from '../../../src/sql/statement.ts';
import { statementArbitraries, textArbitrary } from './statements.ts';

describe('every statement prints as text that means the same, whatever its names and texts hold', () => {
  for (const [kind, arbitrary] of Object.entries(statementArbitraries)) {
    test(kind, () => {
      fc.assert(
        fc.property(arbitrary as fc.Arbitrary<Statement>, (statement) => {
          const parsed = parseStatement(printStatement(statement));
          expect(withoutPositions(parsed)).toStrictEqual(withoutPositions(statement));
        }),
        { numRuns: 150 },
      );
    });
  }
});

test('printed statements, sent as one batch, come apart into the same statements', () => {
  const any = fc.oneof(...(Object.values(statementArbitraries) as fc.Arbitrary<Statement>[]));
  fc.assert(
    fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), (statements) => {
      const batch = statements.map((statement) => `${printStatement(statement)} ;`).join('\n');
      const pieces = splitBatch(batch);
      expect(pieces.every((piece) => isOurs(piece, { isPeer: () => true, onPeer: false }))).toBe(true);
      expect(pieces.map((piece) => withoutPositions(parseStatement(piece.text)))).toStrictEqual(
        statements.map(withoutPositions),
      );
    }),
    { numRuns: 150 },
  );
});

test('a query is printed between dollar quotes that it does not close itself', () => {
  fc.assert(
    fc.property(textArbitrary, (query) => {
      const text = printStatement({ kind: 'execute_peer', peer: 'p', query });
      const literal = nextToken(text, 'EXECUTE p '.length);
      expect(literal).toMatchObject({ kind: 'string', end: text.length });
    }),
  );
});

test('a mapping prints in its short form where that says all', () => {
  const text = 'create mirror m from a to b with table mapping ({to: y, from: "X".x}, {from: p, to: q, exclude: [r]})';
  expect(printStatement(parseStatement(text))).toBe(
    'CREATE MIRROR m FROM a TO b WITH TABLE MAPPING ("X".x:public.y, { from: public.p, to: public.q, exclude: [r] })',
  );
});

test('passwords, keys and URLs of peers and users are printed as stars', () => {
  const show = (text: string) => printRedacted(parseStatement(text), peerOptions);
  expect(
    show(
      `create peer p from postgres with (host = 'h', password = 's3cret', url = 'postgres://u:s3cret@h/d', port = 1)`,
    ),
  ).toBe("CREATE PEER p FROM POSTGRES WITH (host = 'h', password = '********', url = '********', port = 1)");
  expect(show("alter peer p set (pasword = 's3cret')")).toBe("ALTER PEER p SET (pasword = '********')");
  expect(show("create peer s from snowflake with (host = 's3cret')")).not.toContain('s3cret');
  expect(show("create user u password 's3cret' read only")).toBe("CREATE USER u PASSWORD '********' READ ONLY");
  expect(show("alter user u password 's3cret'")).toBe("ALTER USER u PASSWORD '********'");
  expect(show("create mirror m from a to b for all tables with (publication_name = 'pub')")).toContain("'pub'");
});
