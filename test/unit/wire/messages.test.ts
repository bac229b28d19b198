import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../../src/base/errors.ts';
import {
  backend,
  dataRow,
  message,
  parameterStatus,
  readyForQuery,
  rowDescription,
} from '../../../src/wire/backend.ts';
import { errorResponse } from '../../../src/wire/failure.ts';
import { decodeFields, encodeFields, serverFields } from '../../../src/wire/fields.ts';
import {
  decodeBind,
  decodeExecute,
  decodeNamed,
  decodeParse,
  decodeQuery,
  decodeStartup,
} from '../../../src/wire/frontend.ts';
import { ReplyReader } from '../../../src/wire/replies.ts';

const bind = Buffer.from([
  ...Buffer.from('portal\0statement\0'),
  ...[0, 1, 0, 1], // one format: binary
  ...[0, 2, 0, 0, 0, 2, 9, 9, 0xff, 0xff, 0xff, 0xff], // two values: two bytes, NULL
  ...[0, 1, 0, 1], // results in binary
]);

describe('what a client says', () => {
  test('Bind gives its names, parameters and formats', () => {
    expect(decodeBind(bind)).toEqual({ portal: 'portal', statement: 'statement', parameters: 2, resultFormats: [1] });
  });

  test('every body that is cut short is refused, never misread', () => {
    const bodies: readonly [(bytes: Buffer) => unknown, Buffer][] = [
      [decodeBind, bind],
      [decodeParse, Buffer.from('name\0select 1\0\0\x01\0\0\0\x17', 'latin1')],
      [decodeQuery, Buffer.from('select 1\0')],
      [decodeNamed, Buffer.from('Sname\0')],
      [decodeExecute, Buffer.from('portal\0\0\0\0\x05', 'latin1')],
      [decodeStartup, Buffer.from('\0\x03\0\0user\0me\0\0', 'latin1')],
    ];
    for (const [decode, body] of bodies) {
      decode(body);
      for (let end = 0; end < body.length; end += 1) {
        expect(() => decode(body.subarray(0, end))).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
      }
    }
  });

  test('bytes of any kind are read or refused, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeBind, decodeParse, decodeQuery, decodeNamed, decodeExecute, decodeStartup]) {
          try {
            decode(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(SluiceError);
          }
        }
      }),
    );
  });
});

describe('errors', () => {
  test('our own carry severity, SQLSTATE, detail, hint and position', () => {
    const error = new SluiceError('invalid_option', 'no', { detail: 'd', hint: 'h', position: 12 });
    const fields = decodeFields(errorResponse(error).subarray(5));
    expect(Object.fromEntries(fields)).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: '22023',
      M: 'no',
      D: 'd',
      H: 'h',
      P: '12',
    });
  });

  test("a server's keep all their fields but the position, which counts in another text", () => {
    const all = 'CMDHpqWstcdnFLR'
      .split('')
      .map((letter) => [letter, letter === 'C' ? '23505' : `<${letter}>`] as const);
    const sent = new Map([['S', 'ERROR'], ['V', 'ERROR'], ...all]);
    const fields = serverFields(decodeFields(encodeFields('error', new Map([...sent, ['P', '7']])).subarray(5)));
    const passed = decodeFields(errorResponse(new SluiceError('upstream', fields.message, { fields })).subarray(5));
    expect(Object.fromEntries(passed)).toEqual(Object.fromEntries(sent));
  });
});

describe("a server's answers", () => {
  const answers = Buffer.concat([
    rowDescription([{ name: 'a', typeOid: 25, typeSize: -1, format: 0 }]),
    dataRow([Buffer.from('first')]),
    dataRow([Buffer.alloc(100, 120), null]),
    parameterStatus('TimeZone', 'UTC'),
    dataRow([null]),
    message(backend.commandComplete, Buffer.from('SELECT 3\0')),
    readyForQuery('I'),
    message(backend.copyData, Buffer.from('data')),
  ]);
  const expected = Buffer.concat([
    answers.subarray(0, answers.indexOf('TimeZone') - 5),
    Buffer.from('replaced'),
    dataRow([null]),
    message(backend.commandComplete, Buffer.from('SELECT 3\0')),
    message(backend.copyData, Buffer.from('data')),
  ]);

  function relay(chunks: readonly Buffer[]): { readonly passed: Buffer; readonly types: string } {
    const reader = new ReplyReader();
    const passed: Buffer[] = [];
    let types = '';
    for (const chunk of chunks) {
      // Memory that is used again for the next read.
      const lent = Buffer.from(chunk);
      reader.push(lent, {
        quiet: false,
        rows: () => {},
        pass: (bytes) => passed.push(Buffer.from(bytes)),
        message: (bytes, start) => {
          const type = bytes[start]!;
          types += String.fromCharCode(type);
          if (type === backend.parameterStatus) return Buffer.from('replaced');
          return type !== backend.readyForQuery;
        },
      });
      lent.fill(0xff);
    }
    expect(reader.insideRow).toBe(false);
    return { passed: Buffer.concat(passed), types };
  }

  test('rows pass untouched and the rest is decided on, wherever the stream is cut', () => {
    for (let cut = 0; cut <= answers.length; cut += 1) {
      const { passed, types } = relay([answers.subarray(0, cut), answers.subarray(cut)]);
      expect(types).toBe('TSCZ');
      expect(passed).toEqual(expected);
    }
    const single = relay(Array.from(answers, (byte) => Buffer.of(byte)));
    expect(single.passed).toEqual(expected);
  });

  test('an answer that nobody is to hear is swallowed with its rows, wherever the stream is cut', () => {
    const silent = Buffer.concat([
      dataRow([Buffer.from('unheard')]),
      message(backend.commandComplete, Buffer.from('SELECT 1\0')),
      readyForQuery('I'),
    ]);
    const stream = Buffer.concat([
      dataRow([Buffer.from('heard')]),
      readyForQuery('T'),
      silent,
      dataRow([Buffer.from('too')]),
      readyForQuery('T'),
    ]);
    const loud = Buffer.concat([
      dataRow([Buffer.from('heard')]),
      readyForQuery('T'),
      dataRow([Buffer.from('too')]),
      readyForQuery('T'),
    ]);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const reader = new ReplyReader();
      const passed: Buffer[] = [];
      let answers = 0;
      const sink = {
        get quiet() {
          return answers === 1;
        },
        rows: () => {},
        pass: (bytes: Buffer) => passed.push(bytes),
        message: (bytes: Buffer, start: number) => {
          const { quiet } = sink;
          if (bytes[start] === backend.readyForQuery) answers += 1;
          return !quiet;
        },
      };
      reader.push(stream.subarray(0, cut), sink);
      reader.push(stream.subarray(cut), sink);
      expect(Buffer.concat(passed)).toEqual(loud);
    }
  });

  test('a run of rows is one slice', () => {
    const rows = Buffer.concat(Array.from({ length: 1000 }, (_, i) => dataRow([Buffer.from(String(i))])));
    const passed: Buffer[] = [];
    new ReplyReader().push(rows, {
      quiet: false,
      rows: () => {},
      pass: (bytes) => passed.push(bytes),
      message: () => true,
    });
    expect(passed).toHaveLength(1);
  });
});
