// Whatever bytes come: readers of frames, messages, answers and SQL never throw anything but our own error, never hang, never slow down.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { actOf } from '../../src/gateway/act.ts';
import { dottedNames } from '../../src/gateway/names.ts';
import { loadParser } from '../../src/gateway/parser.ts';
import { Router, shiftOf, withoutCuts } from '../../src/gateway/route.ts';
import { readText } from '../../src/gateway/text.ts';
import { nextToken } from '../../src/sql/lexer.ts';
import { isOurs, parsePiece, splitBatch, splitWithin } from '../../src/sql/split.ts';
import { message } from '../../src/wire/backend.ts';
import { decodeFields } from '../../src/wire/fields.ts';
import { FrameReader, frontend, MessageFrame, type Phase } from '../../src/wire/frames.ts';
import {
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
  decodeSaslInitial,
  decodeStartup,
} from '../../src/wire/frontend.ts';
import { advance, beginHandshake, type HandshakeState } from '../../src/wire/handshake.ts';
import { Inbox } from '../../src/wire/inbox.ts';
import { ReplyReader } from '../../src/wire/replies.ts';
import { createVerifier, type ScramVerifier } from '../../src/wire/scram.ts';
import { Random } from '../support/random.ts';
import { someFrame, someMechanism, someMessage, someOpening, someProof, someText } from './speech.ts';

const seconds = Number(process.env.SLUICE_FUZZ_SECONDS ?? 0);
const seed = Number(process.env.SLUICE_FUZZ_SEED ?? 7);
// With the time that is given grows how often.
const runs = (count: number) => Math.max(count, Math.round((count * seconds) / 10));
const check = <T>(arbitrary: fc.Arbitrary<T>, count: number, property: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, property), { numRuns: runs(count), seed });
const bytes = (most: number) => fc.uint8Array({ maxLength: most }).map((array) => Buffer.from(array));

/** Its own error or none. */
function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SluiceError && error.kind !== 'internal') return undefined;
    throw error;
  }
}

beforeAll(loadParser);

describe('messages', () => {
  test('any bytes, cut anywhere, are frames or a protocol error, and no byte is lost', () => {
    const phase = fc.constantFrom<Phase>('startup', 'password', 'session');
    const stream = fc.oneof(
      bytes(300),
      fc.integer().map((n) => Buffer.concat(new Random(n).times(5, () => someFrame(new Random(n))))),
    );
    check(
      fc.tuple(phase, stream, fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 })),
      2_000,
      ([at, whole, sizes]) => {
        const reader = new FrameReader();
        reader.phase = at;
        const out: Buffer[] = [];
        quietly(() => {
          let from = 0;
          for (const size of [...sizes, whole.length]) {
            reader.push(whole.subarray(from, from + size));
            from = Math.min(whole.length, from + size);
            for (let frame = reader.next(); frame !== undefined; frame = reader.next()) out.push(frame.raw);
          }
          expect(Buffer.concat(out).equals(whole.subarray(0, whole.length - reader.buffered))).toBe(true);
        });
      },
    );
  });

  test('any body is read or refused', () => {
    const decoders = [
      decodeBind,
      decodeExecute,
      decodeNamed,
      decodeParse,
      decodeQuery,
      decodeSaslInitial,
      decodeStartup,
    ];
    const body = fc.oneof(
      bytes(200),
      fc.integer().map((n) => someMessage(new Random(n)).subarray(5)),
    );
    check(body, 2_000, (each) => {
      for (const decode of decoders) quietly(() => decode(each));
      decodeFields(each);
    });
  });

  test('no login is won by anything but the password', async () => {
    const verifier: ScramVerifier = await createVerifier('the right one');
    const policy = { tlsOffered: true, tlsRequired: false, channelBinding: Buffer.alloc(32), verifier: () => verifier };
    check(fc.integer(), 1_500, (n) => {
      const random = new Random(n);
      let state: HandshakeState = beginHandshake(random.chance(0.2));
      let challenge = '';
      for (let i = 0; i < 6; i += 1) {
        const packet =
          state.at === 'start'
            ? someOpening(random).subarray(4)
            : random.chance(0.5)
              ? someMechanism(random).subarray(5)
              : someProof(random, challenge).subarray(5);
        const step = quietly(() =>
          advance(state, { type: state.at === 'start' ? 0 : frontend.password, body: packet }, policy),
        );
        if (step === undefined) break;
        expect(step.action).not.toBe('welcome');
        if (step.action !== 'go_on' && step.action !== 'tls') break;
        challenge = Buffer.concat(step.replies).toString('latin1');
        state = step.state;
      }
    });
  });

  test("any bytes of a server's, cut anywhere, are passed on in order or refused", () => {
    const answers = fc.oneof(
      bytes(300),
      fc
        .array(fc.tuple(fc.constantFrom(...'TDCZENSAd1'), bytes(40)), { maxLength: 12 })
        .map((parts) => Buffer.concat(parts.map(([type, body]) => message(type.charCodeAt(0), body)))),
    );
    check(fc.tuple(answers, fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 })), 1_500, ([whole, sizes]) => {
      const reader = new ReplyReader();
      const passed: Buffer[] = [];
      quietly(() => {
        let from = 0;
        for (const size of [...sizes, whole.length]) {
          reader.push(whole.subarray(from, from + size), {
            quiet: false,
            rows: () => {},
            pass: (part) => passed.push(Buffer.from(part)),
            message: () => true,
          });
          from = Math.min(whole.length, from + size);
        }
      });
      const all = Buffer.concat(passed);
      expect(all.equals(whole.subarray(0, all.length))).toBe(true);
    });
  });

  test('frames of five bytes count for what keeping them costs', () => {
    const inbox = new Inbox();
    const raw = message(frontend.sync);
    const frame = new MessageFrame(frontend.sync, raw, 5);
    for (let i = 0; i < 10_000; i += 1) inbox.push(frame);
    // The bytes that it says it holds are what makes us stop reading.
    expect(inbox.bytes).toBeGreaterThan(10_000 * 100);
    while (inbox.shift() !== undefined);
    expect(inbox.bytes).toBe(0);
  });
});

describe('SQL', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.integer().map((n) => someText(new Random(n)).subarray(0, 5_000).toString('latin1')),
    fc
      .array(
        fc.constantFrom(
          "'",
          '"',
          '$$',
          '$a$',
          '/*',
          '*/',
          '--',
          '\n',
          '\\',
          'E',
          'U&',
          '(',
          ')',
          ';',
          '.',
          'peer',
          'a',
          ' ',
          '1',
          'begin',
          'atomic',
          'end',
          'case',
          'create',
          'function',
          'mirror',
          'execute',
          'é',
          '😀',
          '\0',
        ),
        { maxLength: 60 },
      )
      .map((parts) => parts.join('')),
  );

  test('any text is cut into pieces that are the text', () => {
    check(text, 600, (each) => {
      for (const backslashEscapes of [false, true]) {
        for (
          let at = 0, token = nextToken(each, 0, { backslashEscapes });
          token.kind !== 'end';
          token = nextToken(each, at, { backslashEscapes })
        ) {
          expect(token.end).toBeGreaterThan(at);
          at = token.end;
        }
        const pieces = splitBatch(each, { backslashEscapes });
        for (const piece of pieces) {
          expect(each.slice(piece.start, piece.end)).toBe(piece.text);
          if (isOurs(piece, { isPeer: () => true, onPeer: false })) quietly(() => parsePiece(piece));
          actOf(piece.text, piece.firstWords[0]);
        }
      }
    });
  });

  test('any text is routed or refused, and what is cut out of it is names', () => {
    const router = new Router();
    check(text, 600, (each) => {
      const route = quietly(() => router.route(each, (name) => name === 'peer' || name === 'a'));
      if (route === undefined) return;
      const left = withoutCuts(each, route.cuts);
      expect(each.length - left.length).toBe(route.cuts.reduce((sum, { start, end }) => sum + end - start, 0));
      const shift = shiftOf(each, 0, route.cuts);
      expect(shift(1)).toBeGreaterThanOrEqual(1);
    });
  });

  // What takes the square of its length takes minutes here.
  const units = [
    '(',
    "'",
    '"',
    '.',
    '$',
    '\\',
    ';',
    'x;',
    'a.b.c,',
    'a.b.c ',
    '--\n',
    '/*',
    '/* */',
    '$a$',
    "''",
    "' '\n",
    "e'\\",
    "U&'a' ",
    '1.',
    'begin;',
    'savepoint a;',
    'execute a;',
    "execute p('a');",
    'case ',
    '😀.b.c,',
    '[',
    '-',
    '\n',
    '"a".',
    'not ',
  ];
  test.each(units)('%j over and over is read in the time that its length calls for', (unit) => {
    const whole = `select ${unit.repeat(250_000 / unit.length)}`;
    const began = performance.now();
    readText(Buffer.from(whole), false);
    const names = dottedNames(whole);
    const router = new Router();
    const route = quietly(() => router.route(whole, (name) => name === 'a'));
    if (route !== undefined) shiftOf(whole, 0, route.cuts)(whole.length);
    expect(names.length).toBeLessThan(1_000_000);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('more statements or tokens than can be kept are given up, not kept', () => {
    const began = performance.now();
    const before = process.memoryUsage().heapUsed;
    expect(readText(Buffer.alloc(20_000_000, 'x;'), false)).toBeUndefined();
    expect(readText(Buffer.alloc(20_000_000, '('), false)).toBeUndefined();
    // A literal is one token, however long.
    expect(readText(Buffer.from(`insert into t values ('${'y'.repeat(20_000_000)}')`), false)?.pieces).toHaveLength(1);
    expect(splitWithin('a;b;c', { pieces: 2, tokens: 100 })).toBeUndefined();
    expect(splitWithin('a;b', { pieces: 2, tokens: 100 })).toHaveLength(2);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(400_000_000);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});
