// Errors: kinds decide SQLSTATE, HTTP status and retry; codes decide kinds.
import { expect, test } from 'vitest';
import { errorKinds, SluiceError, toSluiceError } from '../../../src/base/errors.ts';

test('every kind has a real five-character SQLSTATE', () => {
  for (const [kind, facts] of Object.entries(errorKinds)) expect(facts.sqlstate, kind).toMatch(/^[0-9A-Z]{5}$/);
});

test("a server's answer keeps all its fields, and its SQLSTATE decides whether to try again", () => {
  const answer = Object.assign(new Error('deadlock detected'), {
    code: '40P01',
    detail: 'd',
    hint: 'h',
    where: 'w',
    table: 't',
  });
  const error = toSluiceError(answer);
  expect(error).toMatchObject({ kind: 'upstream', sqlstate: '40P01', detail: 'd', hint: 'h', retry: 'backoff' });
  expect(error.fields).toMatchObject({ where: 'w', table: 't' });
  expect(toSluiceError(Object.assign(new Error('x'), { code: '23505' })).retry).toBe('person');
});

test('a refused login is never retried by itself', () => {
  const error = toSluiceError(Object.assign(new Error('password authentication failed'), { code: '28P01' }));
  expect(error).toMatchObject({ kind: 'login_refused', retry: 'person' });
});

test('a socket that fails is unreachable or lost, by its code', () => {
  expect(toSluiceError(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })).kind).toBe('unreachable');
  expect(toSluiceError(Object.assign(new Error('no'), { code: 'ECONNRESET' })).kind).toBe('connection_lost');
});

test('an error of ours passes through unchanged, anything unknown is internal', () => {
  const ours = new SluiceError('fenced', 'x');
  expect(toSluiceError(ours)).toBe(ours);
  expect(toSluiceError('text').kind).toBe('internal');
});
