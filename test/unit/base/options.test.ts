// Options are declared once and read strictly.
import { expect, test } from 'vitest';
import {
  type OptionDeclarations,
  optionNotices,
  readGivenOptions,
  readOptions,
  shownValue,
} from '../../../src/base/options.ts';

const declarations = {
  size: { type: 'integer', min: 1, max: 10, default: 4, doc: 'How many.' },
  on: { type: 'boolean', default: false, doc: 'Whether.' },
  mode: { type: 'choice', choices: ['append', 'upsert'], default: 'append', doc: 'Which.' },
  name: { type: 'text', maxBytes: 4, doc: 'Name.' },
  key: { type: 'text', secret: true, doc: 'Secret.' },
  list: { type: 'names', doc: 'Names.' },
  facts: { type: 'json', doc: 'Facts.' },
  old: { type: 'text', doc: 'Old.', notice: 'option "old" has no effect' },
} as const satisfies OptionDeclarations;

const read = (name: string, value: string | number | boolean | string[]) =>
  readOptions('mirror', declarations, [{ name, value, namePosition: 7, valuePosition: 14 }]);

test('defaults are filled in, given values are converted', () => {
  expect(readOptions('mirror', declarations, [])).toMatchObject({
    size: 4,
    on: false,
    mode: 'append',
    name: undefined,
  });
  expect(read('size', '5').size).toBe(5);
  expect(read('on', 'ON').on).toBe(true);
  expect(read('mode', 'UPSERT').mode).toBe('upsert');
  expect(read('list', 'a, b').list).toEqual(['a', 'b']);
});

test('an unknown option is refused where it stands, with the known ones in the hint', () => {
  expect(() => read('sice', 1)).toThrow(
    expect.objectContaining({
      sqlstate: '22023',
      position: 7,
      hint: 'Known options: size, on, mode, name, key, list, facts, old.',
    }),
  );
});

test.each([
  ['size', 11],
  ['size', 'many'],
  ['size', 1.5],
  ['on', 'perhaps'],
  ['mode', 'overwrite'],
  ['name', 'ärger'],
  ['facts', '[1]'],
  ['facts', '{'],
  ['mode', ['append']],
  ['on', ['true']],
])('an ill-typed or unbounded value is refused at its place: %s = %s', (name, value) => {
  expect(() => read(name, value)).toThrow(expect.objectContaining({ sqlstate: '22023', position: 14 }));
});

test('an option given twice is refused', () => {
  const twice = [
    { name: 'size', value: 1 },
    { name: 'size', value: 2, namePosition: 30 },
  ];
  expect(() => readOptions('mirror', declarations, twice)).toThrow(
    expect.objectContaining({ sqlstate: '42601', position: 30 }),
  );
});

test('a name that every object has is no option', () => {
  expect(() => read('constructor', 1)).toThrow(expect.objectContaining({ sqlstate: '22023' }));
});

test('ALTER … SET sees only what was given', () => {
  expect(readGivenOptions('mirror', declarations, [{ name: 'on', value: true }])).toEqual({ on: true });
});

test('secrets are never shown, and compatibility options say what becomes of them', () => {
  expect(shownValue(declarations.key, 'abc')).toBe('********');
  expect(shownValue(declarations.size, 3)).toBe('3');
  expect(optionNotices(declarations, [{ name: 'old', value: 'x' }])).toEqual(['option "old" has no effect']);
});
