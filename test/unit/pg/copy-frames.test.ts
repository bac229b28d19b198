// Cutting a server's stream into CopyData and all else, with the network cutting it anywhere.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutFrames, type FrameRun, frameCursor } from '../../../src/pg/copy-frames.ts';

function message(code: string, body: string): Buffer {
  const bytes = Buffer.from(body);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length + 4);
  return Buffer.concat([Buffer.from(code), length, bytes]);
}

const stream = [
  message('H', '\x00\x00\x01\x00\x00'),
  message('d', '1\tone\n'),
  message('d', ''),
  message('d', '2\ttwo\n'),
  message('N', 'a notice with a d in it'),
  message('d', 'dddd'),
  message('c', ''),
  message('C', 'COPY 4\0'),
  message('Z', 'T'),
];
const whole = Buffer.concat(stream);
const data = Buffer.concat(stream.filter((each) => each[0] === 0x64).map((each) => each.subarray(5)));
const rest = Buffer.concat(stream.filter((each) => each[0] !== 0x64));

// What is cut is moved within its chunk.
function cut(pieces: readonly Buffer[]) {
  const chunks = pieces.map((piece) => Buffer.from(piece));
  const cursor = frameCursor();
  const runs: FrameRun[] = chunks.flatMap((chunk) => [...cutFrames(cursor, chunk)]);
  return {
    data: Buffer.concat(runs.filter((run) => run.copyData).map((run) => run.bytes)),
    rest: Buffer.concat(runs.filter((run) => !run.copyData).map((run) => run.bytes)),
    rows: runs.reduce((sum, run) => sum + (run.copyData ? run.frames : 0), 0),
    runs,
  };
}

test('a whole stream is cut only where CopyData begins or ends, and neighbours stay one slice', () => {
  const result = cut([whole]);
  expect([result.data, result.rest, result.rows]).toEqual([data, rest, 4]);
  expect(result.runs.map((run) => run.copyData)).toEqual([false, true, false, true, false]);
});

test('a stream that is cut at any byte gives the same bytes', () => {
  for (let at = 0; at <= whole.length; at++) {
    const result = cut([whole.subarray(0, at), whole.subarray(at)]);
    expect([at, result.data, result.rest, result.rows]).toEqual([at, data, rest, 4]);
  }
});

test('a stream that comes byte by byte gives the same bytes', () => {
  const result = cut([...whole].map((byte) => Buffer.from([byte])));
  expect([result.data, result.rest, result.rows]).toEqual([data, rest, 4]);
});

test('any messages, cut anywhere, give CopyData and the rest in order', () => {
  const bodies = fc.array(fc.tuple(fc.constantFrom('d', 'N', 'S', 'd'), fc.string({ maxLength: 300 })), {
    maxLength: 12,
  });
  const property = fc.property(bodies, fc.array(fc.nat(40), { maxLength: 60 }), (list, sizes) => {
    const all = list.map(([code, body]) => message(code, body));
    const bytes = Buffer.concat(all);
    const chunks: Buffer[] = [];
    let at = 0;
    for (const size of sizes) {
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    chunks.push(bytes.subarray(at));
    const result = cut(chunks);
    expect(result.data).toEqual(Buffer.concat(all.filter((each) => each[0] === 0x64).map((each) => each.subarray(5))));
    expect(result.rest).toEqual(Buffer.concat(all.filter((each) => each[0] !== 0x64)));
    expect(result.rows).toBe(list.filter(([code]) => code === 'd').length);
  });
  fc.assert(property, { numRuns: 300 });
});
