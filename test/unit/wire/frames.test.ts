import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { message } from '../../../src/wire/backend.ts';
import { code, type Frame, FrameReader, frameLimits } from '../../../src/wire/frames.ts';

function readAll(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  return frames;
}

/** What a stream says, whatever pieces its COPY data comes in. */
function gist(frames: readonly Frame[]): string[] {
  const said: string[] = [];
  for (const frame of frames) {
    if (frame.kind === 'message') said.push(`${String.fromCharCode(frame.type)}:${frame.body.toString('hex')}`);
    else if (frame.begins) said.push(`copy:${frame.raw.toString('hex')}`);
    else said[said.length - 1] += frame.raw.toString('hex');
  }
  return said;
}

const stream = Buffer.concat([
  message(code('Q'), Buffer.from('select 1\0')),
  message(code('S')),
  message(code('d'), Buffer.from('some data')),
  message(code('d')),
  message(code('d'), Buffer.alloc(300, 7)),
  message(code('c')),
  message(code('P'), Buffer.from('\0select 2\0\0\0')),
  message(code('X')),
]);

function session(longest?: number): FrameReader {
  const reader = new FrameReader(longest);
  reader.phase = 'session';
  return reader;
}

describe('messages', () => {
  test('a stream reads the same wherever it is cut in two', () => {
    const whole = session();
    whole.push(stream);
    const expected = gist(readAll(whole));
    expect(expected.map((each) => each[0])).toEqual(['Q', 'S', 'c', 'c', 'c', 'c', 'P', 'X']);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const reader = session();
      reader.push(stream.subarray(0, cut));
      const frames = readAll(reader);
      reader.push(stream.subarray(cut));
      frames.push(...readAll(reader));
      expect(gist(frames)).toEqual(expected);
      expect(reader.buffered).toBe(0);
    }
  });

  test('a stream reads the same byte by byte and in any pieces', () => {
    const whole = session();
    whole.push(stream);
    const expected = gist(readAll(whole));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: stream.length }), (sizes) => {
        const reader = session();
        const frames: Frame[] = [];
        let at = 0;
        for (const size of sizes) {
          reader.push(stream.subarray(at, at + size));
          at += size;
          frames.push(...readAll(reader));
        }
        expect(gist(frames)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test('a message of 1 GB that is only announced costs no memory', () => {
    const reader = session();
    const before = process.memoryUsage().arrayBuffers;
    const head = Buffer.from([code('Q'), 0x3f, 0xff, 0xff, 0xff, 1, 2, 3]);
    reader.push(head);
    expect(reader.next()).toBeUndefined();
    expect(reader.buffered).toBe(head.length);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });

  test('a message that drips in byte by byte costs what its bytes cost', () => {
    const reader = session();
    const body = Buffer.alloc(200_000, 120);
    const whole = message(code('Q'), body);
    const { heapUsed } = process.memoryUsage();
    let early: Frame | undefined;
    for (const byte of whole.subarray(0, -1)) {
      reader.push(Buffer.of(byte));
      early ??= reader.next();
    }
    expect(early).toBeUndefined();
    expect(process.memoryUsage().heapUsed - heapUsed).toBeLessThan(20_000_000);
    reader.push(whole.subarray(-1));
    expect(gist(readAll(reader))).toEqual([`Q:${body.toString('hex')}`]);
  });

  test.each([
    ['longer than any message may be', [code('Q'), 0x40, 0, 0, 0]],
    ['shorter than its own length', [code('Q'), 0, 0, 0, 3]],
    ['a long message of a short kind', [code('D'), 0, 1, 0, 0]],
    ['an unknown type', [code('!'), 0, 0, 0, 4]],
    ['a negative length', [code('d'), 0xff, 0xff, 0xff, 0xff]],
  ])('%s is a protocol violation', (_, bytes) => {
    const reader = session();
    reader.push(Buffer.from(bytes));
    expect(() => reader.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });

  test('before the login only little is taken', () => {
    const startup = new FrameReader();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(frameLimits.startup + 1);
    startup.push(head);
    expect(() => startup.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
    const password = new FrameReader();
    password.phase = 'password';
    password.push(Buffer.from([code('p'), 0, 2, 0, 0]));
    expect(() => password.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
    const query = new FrameReader();
    query.phase = 'password';
    query.push(message(code('Q'), Buffer.from('select 1\0')));
    expect(() => query.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });

  test('a limit of its own is kept', () => {
    const reader = session(1000);
    reader.push(Buffer.from([code('Q'), 0, 0, 0x10, 0]));
    expect(() => reader.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });
});
