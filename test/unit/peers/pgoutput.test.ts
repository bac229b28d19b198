// pgoutput's messages, read from bytes.
import { describe, expect, test } from 'vitest';
import { type Message, readMessage, rowEnd } from '../../../src/peers/pgoutput.ts';
import { startStatement, statusUpdate } from '../../../src/peers/stream.ts';
import { FrameGatherer } from '../../../src/peers/stream-frames.ts';
import * as make from '../cdc/messages.ts';

// A message reads the same wherever it stands in a buffer.
function read(message: Buffer): Message {
  const padded = Buffer.concat([Buffer.alloc(3, 0xff), message, Buffer.alloc(2, 0xff)]);
  return readMessage(padded, 3, 3 + message.length);
}

test('begin and commit carry positions and times', () => {
  expect(read(make.begin(0x1_0000_0002n, 4_000_000_000 | 0))).toEqual({
    kind: 'begin',
    finalLsn: 0x1_0000_0002n,
    committedAt: new Date('2000-01-01T00:00:00Z'),
    xid: 4_000_000_000,
  });
  expect(read(make.commit(5n, 9n))).toEqual({
    kind: 'commit',
    commitLsn: 5n,
    endLsn: 9n,
    committedAt: new Date('2000-01-01T00:00:01Z'),
  });
});

test('a relation names its columns, keys and types', () => {
  expect(
    read(
      make.relation(
        16_400,
        'Ünï',
        [
          { name: 'id', key: true, type: 23 },
          { name: 'x y', key: false },
        ],
        'f',
      ),
    ),
  ).toEqual({
    kind: 'relation',
    oid: 16_400,
    schema: 'public',
    name: 'Ünï',
    identity: 'f',
    columns: [
      { name: 'id', key: true, type: 23, typmod: -1 },
      { name: 'x y', key: false, type: 25, typmod: -1 },
    ],
  });
});

test('changes tell where their rows begin', () => {
  const changed = make.update(9, ['new', null, make.unchanged], { kind: 'K', cells: ['old', null, null] });
  const message = readMessage(changed, 0, changed.length);
  if (message.kind !== 'update') throw new Error('not an update');
  expect(message.relation).toBe(9);
  expect(changed[message.old - 1]).toBe('K'.charCodeAt(0));
  expect(changed[message.row - 1]).toBe('N'.charCodeAt(0));
  expect(rowEnd(changed, message.row)).toBe(changed.length);
  expect(read(make.update(9, ['a']))).toMatchObject({ kind: 'update', old: -1 });
  expect(read(make.insert(3, ['a', Buffer.from([1, 2])]))).toMatchObject({ kind: 'insert', relation: 3 });
  expect(read(make.remove(3, 'O', ['a', null]))).toMatchObject({ kind: 'delete', relation: 3 });
});

test('truncate, origin, type and logical messages are read', () => {
  expect(read(make.truncate([1, 2], 3))).toEqual({
    kind: 'truncate',
    relations: [1, 2],
    cascade: true,
    restartIdentity: true,
  });
  expect(read(make.origin(8n, 'other'))).toEqual({ kind: 'origin', lsn: 8n, name: 'other' });
  expect(read(make.typeName(70_000, 'shop', 'mood'))).toEqual({
    kind: 'type',
    oid: 70_000,
    schema: 'shop',
    name: 'mood',
  });
  expect(read(make.logical('pre', 'content'))).toMatchObject({
    kind: 'message',
    prefix: 'pre',
    content: Buffer.from('content'),
  });
});

test('a message of an unknown kind, or one that is cut short, is an error', () => {
  expect(() => read(Buffer.from('Zx'))).toThrow(/unknown message/);
  const whole = make.begin(1n);
  expect(() => readMessage(whole.subarray(0, 9), 0, 9)).toThrow(/cut short/);
  const relation = make.relation(1, 'name', []);
  expect(() => readMessage(relation.subarray(0, 12), 0, 12)).toThrow(/no end/);
});

describe('a stream of frames', () => {
  const messages = [make.begin(1n), make.insert(1, ['x'.repeat(40)]), make.commit(1n, 2n)].map(make.frame);
  const notice = Buffer.concat([Buffer.from('N'), Buffer.from([0, 0, 0, 6]), Buffer.from('x\0')]);
  const bytes = Buffer.concat([messages[0]!, messages[1]!, notice, messages[2]!, make.keepalive(3n)]);
  const copyData = Buffer.concat([...messages, make.keepalive(3n)]);

  test('may be cut at every byte', () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      for (const step of [bytes.length, 1, 7]) {
        const gatherer = new FrameGatherer();
        const parts = [bytes.subarray(0, cut)];
        for (let at = cut; at < bytes.length; at += step) parts.push(bytes.subarray(at, at + step));
        const data: Buffer[] = [];
        const rest: Buffer[] = [];
        for (const part of parts) {
          const frames = gatherer.add(Buffer.from(part));
          data.push(...frames.data);
          rest.push(...frames.rest);
        }
        expect(Buffer.concat(data)).toEqual(copyData);
        expect(rest).toEqual([notice]);
      }
    }
  });

  test('that announces an impossible length is refused', () => {
    expect(() => new FrameGatherer().add(Buffer.from([0x64, 0xff, 0xff, 0xff, 0xff]))).toThrow(/announced/);
    expect(() => new FrameGatherer().add(Buffer.from([0x64, 0, 0, 0, 0, 0]))).toThrow(/announced/);
  });
});

// https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html
test('blocks of open transactions, their commits and rollbacks are read', () => {
  const read = (message: Buffer) => readMessage(message, 0, message.length);
  expect(read(make.streamStart(0xffff_fff0 | 0, true))).toEqual({ kind: 'streamStart', xid: 0xffff_fff0, first: true });
  expect(read(make.streamStart(7, false))).toEqual({ kind: 'streamStart', xid: 7, first: false });
  expect(read(make.streamStop())).toEqual({ kind: 'streamStop' });
  expect(read(make.streamCommit(7, 0x1_0000_0010n, 0x1_0000_0040n))).toEqual({
    kind: 'streamCommit',
    ...{ xid: 7, commitLsn: 0x1_0000_0010n, endLsn: 0x1_0000_0040n, committedAt: 1_000_000n },
  });
  expect(read(make.streamAbort(7, 9))).toEqual({ kind: 'streamAbort', xid: 7, subxid: 9 });
  for (const message of [make.streamStart(7), make.streamCommit(7, 1n, 2n), make.streamAbort(7, 9)])
    expect(() => readMessage(message.subarray(0, 4), 0, 4)).toThrow(/cut short/);
});

test('a status update says exactly what is durable', () => {
  const update = statusUpdate({ received: 0x2_0000_0010n, durable: 0x1_ffff_ffffn, ask: true });
  expect(update.readUInt32BE(1)).toBe(update.length - 1);
  expect(update.readBigUInt64BE(6)).toBe(0x2_0000_0010n);
  expect(update.readBigUInt64BE(14)).toBe(0x1_ffff_ffffn);
  expect(update.readBigUInt64BE(22)).toBe(0x1_ffff_ffffn);
  expect(update[38]).toBe(1);
});

test('hostile names of publications stay names', () => {
  const options = { slot: 's', publication: `we"i'rd\\`, from: 0x1_0000_00ffn, binary: true, streamed: false };
  expect(startStatement(options)).toBe(
    `START_REPLICATION SLOT "s" LOGICAL 1/FF (proto_version '1', publication_names '"we""i''rd\\"', binary 'true', messages 'true')`,
  );
  expect(startStatement({ ...options, binary: false })).toMatch(/"', messages 'true'\)$/);
  expect(startStatement({ ...options, streamed: true })).toContain(
    `(proto_version '2', streaming 'on', publication_names`,
  );
});
