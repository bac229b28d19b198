// Generated statements with hostile names and texts, for the tests of printing and parsing.
import fc from 'fast-check';
import type { WrittenOption } from '../../../src/base/options.ts';
import { peerTypes, type Statement } from '../../../src/sql/statement.ts';

const hostileNames = [
  'a',
  'from',
  'select',
  'User',
  'with space',
  'dots.in.it',
  'quote"s',
  "apostrophe's",
  'new\nline',
  '100%',
  '$$',
  '$q$',
  '😀',
  'ñandú',
  'if',
  'not',
  'x"; drop table y; --',
  '/* open',
  'a'.repeat(63),
  '😀'.repeat(15),
];

const withoutNul = (text: string) => !text.includes('\0') && !/\p{Surrogate}/u.test(text);

/** Any name that PostgreSQL could hold: 1 to 63 bytes, no NUL. */
export const nameArbitrary = fc.oneof(
  fc.constantFrom(...hostileNames),
  fc
    .string({ unit: 'binary', minLength: 1, maxLength: 15 })
    .filter((name) => withoutNul(name) && Buffer.byteLength(name) <= 63),
);

export const textArbitrary = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).filter(withoutNul),
  fc.constantFrom('', '$$', 'ends in $', "it's", 'a\\b', "E'x'", '$q$ and $q1$', '-- no comment', '/*', ';', '😀\r\n'),
  fc.array(fc.constantFrom('$', 'q', '1', "'", 'x', '\\'), { maxLength: 12 }).map((parts) => parts.join('')),
);

const name = nameArbitrary;
const flag = fc.boolean();
const optionArbitrary: fc.Arbitrary<WrittenOption> = fc.record({
  name,
  value: fc.oneof(
    textArbitrary,
    fc.maxSafeInteger().map((value) => (value === 0 ? 0 : value)),
    flag,
    fc.array(textArbitrary, { maxLength: 3 }),
  ),
});
const options = fc.array(optionArbitrary, { maxLength: 3 });
const someOptions = fc.array(optionArbitrary, { minLength: 1, maxLength: 3 });
const table = fc.record({ schema: name, name });
const tables = fc.array(table, { maxLength: 3 });
const mapping = fc.record(
  { from: table, to: table, key: name, exclude: fc.array(name, { maxLength: 3 }), where: textArbitrary },
  { requiredKeys: ['from', 'to', 'exclude'] },
);
const mappings = fc.array(mapping, { minLength: 1, maxLength: 3 });
const kind = <K extends string>(word: K) => fc.constant(word);

const scope = fc.oneof(
  fc.record({ kind: kind('tables'), mappings }),
  fc.record({
    kind: kind('schemas'),
    pairs: fc.array(fc.record({ from: name, to: name }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: kind('all') }),
  fc.record({ kind: kind('query'), query: textArbitrary }),
);
const createMirror = fc.record({
  kind: kind('create_mirror'),
  ifNotExists: flag,
  name,
  source: name,
  target: name,
  scope,
  options,
});
const change = fc.oneof(
  fc.record({ kind: kind('add_tables'), mappings }),
  fc.record({ kind: kind('drop_tables'), tables: fc.array(table, { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: kind('set'), options: someOptions }),
  fc.record({ kind: kind('retry') }),
);
const access = fc.constantFrom('read_only' as const, 'read_write' as const);

/** A statement of every kind there is; the type checker sees to it that none is missing. */
export const statementArbitraries = {
  create_peer: fc.record({
    kind: kind('create_peer'),
    ifNotExists: flag,
    name,
    type: fc.constantFrom(...peerTypes),
    options,
  }),
  alter_peer: fc.record({ kind: kind('alter_peer'), name, options: someOptions }),
  drop_peer: fc.record({ kind: kind('drop_peer'), ifExists: flag, name }),
  validate_peer: fc.record({ kind: kind('validate_peer'), name }),
  create_mirror: createMirror,
  pause_mirror: fc.record({ kind: kind('pause_mirror'), ifExists: flag, name }),
  resume_mirror: fc.record({ kind: kind('resume_mirror'), ifExists: flag, name }),
  resync_mirror: fc.record({ kind: kind('resync_mirror'), ifExists: flag, name, tables, options }),
  drop_mirror: fc.record({ kind: kind('drop_mirror'), ifExists: flag, name, keepSlot: flag }),
  execute_mirror: fc.record({ kind: kind('execute_mirror'), name }),
  alter_mirror: fc.record({ kind: kind('alter_mirror'), name, change }),
  verify_mirror: fc.record({ kind: kind('verify_mirror'), name, tables }),
  repair_mirror: fc.record({ kind: kind('repair_mirror'), name, tables }),
  cutover_mirror: fc.record({ kind: kind('cutover_mirror'), name, dryRun: flag, options }),
  reverse_mirror: fc.record({ kind: kind('reverse_mirror'), name }),
  complete_mirror: fc.record({ kind: kind('complete_mirror'), name }),
  show_peers: fc.record({ kind: kind('show_peers') }),
  show_peer: fc.record({ kind: kind('show_peer'), name }),
  show_mirrors: fc.record({ kind: kind('show_mirrors') }),
  show_mirror: fc.record({ kind: kind('show_mirror'), name }),
  show_users: fc.record({ kind: kind('show_users') }),
  explain: fc.record({ kind: kind('explain'), statement: createMirror }),
  execute_peer: fc.record({ kind: kind('execute_peer'), peer: name, query: textArbitrary }),
  create_user: fc.record({ kind: kind('create_user'), name, password: textArbitrary, access }),
  alter_user: fc.oneof(
    fc.record(
      { kind: kind('alter_user'), name, password: textArbitrary, access },
      { requiredKeys: ['kind', 'name', 'password'] },
    ),
    fc.record({ kind: kind('alter_user'), name, access }),
  ),
  drop_user: fc.record({ kind: kind('drop_user'), ifExists: flag, name }),
} as const satisfies { readonly [K in Statement['kind']]: fc.Arbitrary<Extract<Statement, { readonly kind: K }>> };
