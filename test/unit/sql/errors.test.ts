// Errors stand at the character where psql must draw its caret.
import { describe, expect, test } from 'vitest';
import type { SluiceError } from '../../../src/base/errors.ts';
import { readOptions } from '../../../src/base/options.ts';
import { readMirrorOptions } from '../../../src/mirror/options.ts';
import { peerOptions } from '../../../src/mirror/peer.ts';
import { parseStatement } from '../../../src/sql/parse.ts';
import { parsePiece, splitBatch } from '../../../src/sql/split.ts';

function errorOf(read: () => unknown): SluiceError {
  try {
    read();
  } catch (error) {
    return error as SluiceError;
  }
  throw new Error('no error');
}

/** `‸` marks the character where the error must stand. */
function expectAt(marked: string, message: string, hint?: string): void {
  const error = errorOf(() => parseStatement(marked.replace('‸', '')));
  expect(error).toMatchObject({ kind: 'syntax', sqlstate: '42601', message });
  expect(error.position).toBe([...marked].indexOf('‸') + 1);
  if (hint !== undefined) expect(error.hint).toBe(hint);
}

describe('a syntax error names what stands there and what was expected', () => {
  const cases: readonly (readonly [string, string, string?])[] = [
    ['CREATE ‸PEEER p', 'syntax error at or near "PEEER"', 'Expected PEER, MIRROR or USER.'],
    ['CREATE PEER ‸FROM POSTGRES', 'syntax error at or near "FROM"', 'Expected IF or name.'],
    ['create peer p from ‸oracle with (a = 1)', 'syntax error at or near "oracle"', 'Expected peer type (POSTGRES).'],
    ['create peer p from postgres ‸(a = 1)', 'syntax error at or near "("'],
    ['create peer p from postgres with (‸)', 'syntax error at or near ")"', 'Expected name.'],
    ["create peer p from postgres with (a = 'x' ‸b)", 'syntax error at or near "b"', 'Expected "," or ")".'],
    ["create peer p from postgres with (a = 'x', ‸)", 'syntax error at or near ")"', 'Expected name.'],
    ['create mirror m from a to b‸;', 'syntax error at or near ";"', 'Expected WITH or FOR.'],
    ['pause mirror m ‸n', 'syntax error at or near "n"', 'Expected ";" or end of input.'],
    ['pause mirror m; ‸resume mirror m', 'syntax error at or near "resume"', 'Expected end of input.'],
    ['drop mirror m keep‸', 'syntax error at end of input', 'Expected SLOT.'],
    ['alter mirror m ‸sett (a = 1)', 'syntax error at or near "sett"', 'Expected ADD, DROP, SET or RETRY.'],
    ['create user u password ‸x', 'syntax error at or near "x"', 'Expected string.'],
  ];
  for (const [marked, message, hint] of cases) {
    test(marked, () => expectAt(marked, message, hint));
  }

  test('a name of too many parts is refused at the dot', () => {
    expectAt('show mirror a‸.b', 'syntax error at or near "."');
    expectAt('create mirror m from a to b with table mapping (a.b‸.c:d)', 'syntax error at or near "."');
  });
});

describe('positions count characters, as psql does', () => {
  test('behind emoji, accents, tabs, line breaks and comments', () => {
    expectAt('create peer "😀😀" from postgres with (é = \'ü😀\',\n\t‸= 1)', 'syntax error at or near "="');
    expectAt('/* 😀 /* é */ */ pause\r\nmirror ‸😀 😀'.replace('‸😀 😀', '😀 ‸😀'), 'syntax error at or near "😀"');
  });

  test('from the beginning of the whole batch', () => {
    const batch = "select '😀'; create peer p from postgres with (a = 'é'); -- ñ\n create peer q frm postgres";
    const piece = splitBatch(batch)[2]!;
    const error = errorOf(() => parsePiece(piece));
    expect(error.message).toBe('syntax error at or near "frm"');
    expect([...batch].slice(error.position! - 1).join('')).toBe('frm postgres');
  });

  test('at the end of the input', () => {
    expectAt('show peer‸', 'syntax error at end of input', 'Expected name.');
  });
});

describe('what is not closed is named', () => {
  const cases: readonly (readonly [string, string])[] = [
    ["execute p ‸'abc", `unterminated quoted string at or near "'abc"`],
    ['execute p ‸$x$abc$$', 'unterminated dollar-quoted string at or near "$x$abc$$"'],
    ['show peer ‸"abc', 'unterminated quoted identifier at or near ""abc"'],
    ['show peer ‸/* a /* b */', 'unterminated /* comment at or near "/* a /* b */"'],
    ['show peer p ‸/* a', 'unterminated /* comment at or near "/* a"'],
  ];
  for (const [marked, message] of cases) test(marked, () => expectAt(marked, message));
});

describe('secrets are not repeated', () => {
  test('by a syntax error beside a password', () => {
    for (const text of [
      "create peer p from postgres with (password 's3cret')",
      "create peer p from postgres with (password = 's3cret)",
      "/* x */ ALTER USER u 's3cret'",
      "create user u password 'x' 's3cret'",
    ]) {
      const error = errorOf(() => parseStatement(text));
      expect(error.message).toMatch(/"\*{8}"$/);
      expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('s3cret');
    }
  });

  test('by an ill-typed option', () => {
    const statement = parseStatement("create peer p from postgres with (client_tls = 's3cret')");
    const error = errorOf(
      () => statement.kind === 'create_peer' && readOptions('peer', peerOptions, statement.options),
    );
    expect(error.message).toBe('invalid value for option "client_tls": ********');
  });
});

describe('a bad option is refused where it stands', () => {
  const read = (text: string) => {
    const statement = parseStatement(text);
    if (statement.kind !== 'create_mirror') throw new Error('not a mirror');
    return readMirrorOptions(statement.options);
  };
  const at = (options: string) => {
    const marked = `create mirror "😀" from a to b for all tables with (${options})`;
    const error = errorOf(() => read(marked.replace('‸', '')));
    expect(error.kind).toBe('invalid_option');
    expect(error.position).toBe([...marked].indexOf('‸') + 1);
    return error;
  };

  test('an unknown one, with the known ones in the hint', () => {
    const error = at("soft_delete_col_name = 'ü😀', ‸snapshot_num_row = 5");
    expect(error).toMatchObject({ sqlstate: '22023', message: 'unknown mirror option "snapshot_num_row"' });
    expect(error.hint).toContain('snapshot_num_rows_per_partition');
  });

  test('an ill-typed value, a decimal, one out of bounds and one given twice', () => {
    at("truncate = ‸'perhaps'");
    at('max_batch_size = ‸1.5');
    at('max_batch_size = ‸1.0');
    at('max_batch_size = ‸0');
    at('max_batch_size = ‸99999999999999999999');
    at("schema = ‸'some'");
    at("schema = ‸('full', 'none')");
    at('truncate = on, ‸truncate = off');
    at(`publication_name = ‸'${'é'.repeat(32)}'`);
  });

  test('options that contradict each other', () => {
    at('initial_copy_only = true, do_initial_copy = ‸false');
    at("replication_slot_name = ‸'s'");
    at("do_initial_copy = false, replication_slot_name = ‸'S-1'");
  });
});

test('a statement of more than 8 million characters is refused, one just below is read at once', () => {
  const statement = (length: number) => `execute p $$${'x'.repeat(length)}$$`;
  expect(parseStatement(statement(7_900_000))).toMatchObject({ kind: 'execute_peer' });
  expect(errorOf(() => parseStatement(statement(8_000_000)))).toMatchObject({ kind: 'limit', sqlstate: '54000' });
});
