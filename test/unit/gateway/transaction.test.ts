import { beforeAll, describe, expect, test } from 'vitest';
import { actOf, namesRelations } from '../../../src/gateway/act.ts';
import { encodeValue } from '../../../src/gateway/answer.ts';
import { loadParser } from '../../../src/gateway/parser.ts';
import { Settings } from '../../../src/gateway/settings.ts';
import { place, type Transaction, waitingSince } from '../../../src/gateway/transaction.ts';

beforeAll(loadParser);

const plain = (text: string, named?: string) => ({
  act: actOf(text, /^\w+/.exec(text)?.[0].toLowerCase()),
  named,
  relations: () => namesRelations(text),
});
const waiting: Transaction = waitingSince(Buffer.from('begin'));
const owned: Transaction = { at: 'owned', owner: 'source' };

describe('where a statement goes', () => {
  test.each([
    ['select 1', undefined, { at: 'none' }, ''],
    ['select 1', 'source', { at: 'none' }, 'source'],
    ['begin', undefined, { at: 'none' }, undefined],
    ['start transaction read only', undefined, { at: 'none' }, undefined],
    ['set x.y = 1', undefined, { at: 'none' }, ''],
    ['set x.y = 1', undefined, waiting, undefined],
    ['set transaction isolation level serializable', undefined, waiting, undefined],
    ['savepoint a', undefined, waiting, undefined],
    ['commit', undefined, waiting, undefined],
    ['commit', undefined, { ...waiting, said: [Buffer.from('set x = 1')] as Buffer[] }, ''],
    ['rollback', undefined, { ...waiting, said: [Buffer.from('set x = 1')] as Buffer[] }, undefined],
    ['select 1', undefined, waiting, ''],
    ['select 1', 'source', waiting, 'source'],
    ['select 1', undefined, owned, 'source'],
    ['show work_mem', undefined, owned, 'source'],
    ['commit', undefined, owned, 'source'],
    ['fetch 1 from c', undefined, owned, 'source'],
    ['select 1', 'source', owned, 'source'],
    ['rollback', undefined, { at: 'failed' }, undefined],
  ] as const)('%s, naming %s, %o', (text, named, transaction, expected) => {
    expect(place(plain(text, named), transaction, '')).toBe(expected);
  });

  test('a transaction of one upstream refuses relations of another', () => {
    expect(() => place(plain('select * from t'), owned, '')).toThrow(expect.objectContaining({ sqlstate: '0A000' }));
    expect(() => place(plain('select 1', 'target'), owned, '')).toThrow(expect.objectContaining({ sqlstate: '0A000' }));
    expect(place(plain('select * from t'), owned, 'source')).toBe('source');
  });

  test('a failed transaction takes nothing but its end', () => {
    expect(() => place(plain('select 1'), { at: 'failed' }, '')).toThrow(
      expect.objectContaining({ sqlstate: '25P02' }),
    );
  });
});

describe('settings', () => {
  const texts = (settings: Settings, heard = 0) => settings.after(heard).map(({ text }) => text.toString());

  test('the last word on each setting is replayed, in order', () => {
    const settings = new Settings();
    settings.hold('a', Buffer.from('set a = 1'));
    settings.hold('b', Buffer.from('set b = 1'));
    const heard = settings.last;
    settings.hold('a', Buffer.from('set a = 2'));
    expect(texts(settings)).toEqual(['set b = 1', 'set a = 2']);
    expect(texts(settings, heard)).toEqual(['set a = 2']);
    settings.hold('all', Buffer.from('reset all'));
    expect(texts(settings)).toEqual(['reset all']);
  });

  test('what a transaction sets holds only if it commits, and not behind a savepoint that was rolled back', () => {
    const settings = new Settings();
    settings.holdIfCommitted('a', Buffer.from('a'));
    settings.savepoint('s');
    settings.holdIfCommitted('b', Buffer.from('b'));
    settings.rollbackTo('s');
    settings.holdIfCommitted('c', Buffer.from('c'));
    settings.end(true);
    expect(texts(settings)).toEqual(['a', 'c']);
    settings.holdIfCommitted('d', Buffer.from('d'));
    settings.end(false);
    expect(texts(settings)).toEqual(['a', 'c']);
  });
});

describe('values in binary', () => {
  test.each([
    ['int4', '-2', 'fffffffe'],
    ['int8', '9007199254740993', '0020000000000001'],
    ['bool', 't', '01'],
    ['float8', '1.5', '3ff8000000000000'],
    ['text', 'é', 'c3a9'],
    ['timestamptz', '2000-01-01 00:00:01.000002+00', '00000000000f4242'],
    ['timestamptz', '1999-12-31 23:59:59.5-01', '00000000d68c02e0'],
  ] as const)('%s %s', (type, value, hex) => {
    expect(encodeValue(value, type, 1)?.toString('hex')).toBe(hex);
    expect(encodeValue(value, type, 0)?.toString()).toBe(value);
    expect(encodeValue(null, type, 1)).toBeNull();
  });
});
