// A server's own words as trouble of a mirror.
import { expect, test } from 'vitest';
import { SluiceError, saidBy, toSluiceError } from '../../../src/base/errors.ts';
import { serverName } from '../../../src/peers/connect.ts';
import { withSide } from '../../../src/runner/said.ts';
import { peerOf } from '../../support/peer.ts';

const plain = { sslMode: 'disable' } as const;
const peer = (port: number) =>
  peerOf({ host: 'db.example', port, user: 'me', password: 'pw', database: 'shop' } as never, plain);
const work = { source: peer(1), target: peer(2) };

function said(side: 'source' | 'target', fields: Readonly<Record<string, string>>): SluiceError {
  const error = Object.assign(new Error(fields.message), { code: 'XX000', ...fields });
  return withSide(saidBy(toSluiceError(error), serverName(work[side])), work);
}

test('a row that no partition takes names the side, the table and what to make', () => {
  const message = 'no partition of relation "parts" found for row';
  const detail = 'Partition key of the failing row contains (r) = (45).';
  expect(said('target', { code: '23514', message, detail, schema: 'shop', table: 'parts' })).toMatchObject({
    kind: 'upstream',
    sqlstate: '23514',
    retry: 'person',
    message: `the target (${serverName(work.target)}) says: ${message}`,
    detail: `${detail} Table: shop.parts.`,
    hint: 'On the target make a partition of shop.parts that takes the row, as the other side has it; then RESUME MIRROR.',
  });
});

test('what passes by itself says so, what does not says where to mend it, and a server’s own hint comes first', () => {
  expect(said('source', { code: '57P01', message: 'terminating connection' }).hint).toMatch(/session on the source/);
  expect(said('source', { code: '53100', message: 'disk full' }).hint).toMatch(/^It is tried again by itself/);
  expect(said('target', { code: '42501', message: 'no' }).hint).toBe('Mend it on the target, then RESUME MIRROR.');
  expect(said('target', { code: '42501', message: 'no', hint: 'Ask.' }).hint).toBe('Ask.');
});

test('what was said in words of ours stays as it is', () => {
  const ours = new SluiceError('wrong_state', 'the key is gone', { hint: 'Make it.' });
  expect(withSide(ours, work)).toBe(ours);
});
