// What a fuzzer says: messages that are right, nearly right and not right at all.
import { message } from '../../src/wire/backend.ts';
import { code, frontend } from '../../src/wire/frames.ts';
import type { Random } from '../support/random.ts';
import { ask } from '../support/spoken.ts';

const statements = [
  'select 1',
  '',
  ';;',
  '-- nothing',
  "select repeat('x', 3000), g from generate_series(1, 40) g",
  'select * from peer.public.t',
  'select * from other.public.t',
  'select peer.public.t.id from peer.public.t, peer.public.t as u',
  'select 1 from peer.public.t, other.public.t',
  'insert into peer.public.t values (1)',
  "insert into other.public.t select 2 where 'é' = 'é'",
  'begin',
  'begin isolation level serializable read only',
  'commit',
  'rollback',
  'commit and chain',
  'savepoint a',
  'release a',
  'rollback to a',
  'select 1/0',
  'select 1/0 from peer.public.t right join generate_series(1, 2) on true',
  'selec',
  "select 'open",
  'select "open',
  'select $x$ open',
  '/* open',
  'set application_name = fuzzer',
  "set timezone = 'Asia/Tokyo'",
  'set local work_mem = 1000',
  'set client_encoding = latin1',
  'set standard_conforming_strings = off',
  'reset all',
  'discard all',
  'show mirrors',
  'show peers',
  'show peer nobody',
  'create peer broken from postgres with (colour = red)',
  'drop mirror nobody',
  'pause mirror nobody',
  'execute peer $$select 7$$',
  "execute peer('select 8')",
  'prepare p as select 1 from other.public.t',
  'execute p',
  'deallocate all',
  'declare c cursor for select g from peer.public.t right join generate_series(1, 9) g on true',
  'declare d cursor with hold for select 1',
  'fetch 2 from c',
  'close all',
  'listen news',
  "notify news, 'extra'",
  "do $$ begin raise notice 'heard'; end $$",
  'copy peer.public.t from stdin',
  'copy (select g from generate_series(1, 30) g) to stdout',
  'copy peer.public.t to stdout binary',
  'explain select * from peer.public.t',
  'create temporary table mine (id int)',
  'table pg_catalog.pg_class',
] as const;

const names = ['', '', '', 'a', 'b', 'p', 'c', 'é', ' '] as const;

export function someStatement(random: Random): string {
  const one = () => random.pick(statements);
  return random.chance(0.15) ? random.times(random.int(2, 6), one).join(';') : one();
}

/** Text that no person would write. */
export function someText(random: Random): Buffer {
  switch (random.int(0, 4)) {
    case 0:
      return random.bytes(random.size(2_000));
    case 1: {
      const unit = random.pick([
        '(',
        "'",
        '"',
        '.',
        '$',
        '\\',
        ';',
        'a.b.c,',
        '/*',
        '$a$',
        "''",
        "e'\\",
        'begin;',
        '[',
        '-',
        '\xff',
        '\0',
        '1.',
        'U&"',
      ]);
      return Buffer.from(`${random.pick(['', 'select ', 'begin;'])}${unit.repeat(random.size(40_000))}`, 'latin1');
    }
    case 2: {
      const text = Buffer.from(someStatement(random));
      return mutated(random, text);
    }
    case 3:
      return Buffer.from(
        random
          .times(random.size(300), () =>
            random.pick([
              ' ',
              'peer',
              '.',
              'public',
              '.',
              't',
              '"',
              "'",
              '$$',
              ',',
              '(',
              ')',
              ';',
              'select',
              'from',
              'é',
              '😀',
              '\n',
              '--',
              '/*',
              '*/',
              'E',
              'U&',
            ]),
          )
          .join(''),
      );
    default:
      return Buffer.from(someStatement(random));
  }
}

function someName(random: Random): string {
  return random.chance(0.03) ? 'n'.repeat(random.size(10_000)) : random.pick(names);
}

/** A message that a client could say, at a moment when it perhaps would not. */
export function someMessage(random: Random): Buffer {
  const text = () => (random.chance(0.85) ? someStatement(random) : someText(random).filter((byte) => byte !== 0));
  switch (random.int(0, 13)) {
    case 0:
    case 1:
      return ask.query(Buffer.from(text()));
    case 2:
    case 3:
      return Buffer.concat([ask.parse(Buffer.from(text())), ask.bind(), ask.describe('P'), ask.execute(), ask.sync]);
    case 4:
      return ask.parse(Buffer.from(text()), someName(random));
    case 5:
      return ask.bind(someName(random), someName(random));
    case 6:
      return ask.describe(random.pick(['S', 'P']), someName(random));
    case 7:
      return ask.execute(someName(random), random.pick([0, 1, 2, 100, -1, 0x7fffffff, -0x80000000]));
    case 8:
      return ask.close(random.pick(['S', 'P']), someName(random));
    case 9:
      return random.pick([
        ask.flush,
        ask.sync,
        ask.sync,
        Buffer.concat(random.times(random.int(1, 50), () => ask.sync)),
      ]);
    case 10:
      return ask.copyData(random.chance(0.5) ? Buffer.from('5\n6\n') : random.bytes(random.size(5_000)));
    case 11:
      return random.pick([ask.copyDone, message(frontend.copyFail, Buffer.from('no more\0'))]);
    case 12:
      // A function's call, a password where none is asked.
      return random.pick([
        message(frontend.functionCall, Buffer.from([0, 0, 6, 0x50, 0, 0, 0, 0, 0, 0])),
        message(frontend.password, random.bytes(20)),
      ]);
    default:
      return Buffer.concat([
        ask.query('copy peer.public.t from stdin'),
        ask.copyData(Buffer.from('7\n')),
        ask.copyDone,
      ]);
  }
}

const types = Object.values(frontend).filter((type) => type !== frontend.terminate);

/** A frame of a known type with a length that is true, and nothing else that must be right. */
export function someFrame(random: Random): Buffer {
  const body = random.chance(0.2) ? mutated(random, someMessage(random).subarray(5)) : random.bytes(random.size(200));
  return message(random.pick(types), body);
}

/** A frame whose head lies. */
export function lyingFrame(random: Random): Buffer {
  const head = Buffer.alloc(5);
  head[0] = random.chance(0.7) ? random.pick(types) : random.int(0, 255);
  head.writeUInt32BE(
    random.pick([0, 1, 3, 4, 5, 8, 9_999, 10_001, 0xffff, 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff]),
    1,
  );
  return Buffer.concat([head, random.bytes(random.size(500))]);
}

/** The bytes with some of them changed, left out, doubled or put in. */
export function mutated(random: Random, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let left = random.int(1, 4); left > 0 && result.length > 0; left -= 1) {
    const at = random.int(0, result.length - 1);
    const to = Math.min(result.length, at + random.size(20));
    switch (random.int(0, 4)) {
      case 0:
        result[at] = random.int(0, 255);
        break;
      case 1:
        result[at]! ^= 1 << random.int(0, 7);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), result.subarray(to)]);
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, to), result.subarray(at)]);
        break;
      default:
        result = Buffer.concat([result.subarray(0, at), random.bytes(random.size(30)), result.subarray(at)]);
    }
  }
  return result;
}

function packet(...parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(parts.reduce((sum, { length }) => sum + length, 4));
  return Buffer.concat([head, ...parts]);
}

const number = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Packets of the startup phase, as they should be. */
export const opening = {
  tls: packet(number(80877103)),
  gss: packet(number(80877104)),
  cancel: (pid: number, secret: Buffer) => packet(number(80877102), number(pid), secret),
  startup: (parameters: Readonly<Record<string, string>> = { user: 'fuzzer', database: 'sluice' }) =>
    packet(number(3 << 16), Buffer.from(`${Object.entries(parameters).flat().join('\0')}\0\0`)),
} as const;

/** Something to say before a login. */
export function someOpening(random: Random): Buffer {
  switch (random.int(0, 9)) {
    case 0:
      return random.bytes(random.size(500));
    case 1:
      return Buffer.concat(random.times(random.int(1, 8), () => random.pick([opening.tls, opening.gss])));
    case 2:
      return opening.cancel(random.int(0, 0x7fffffff), random.bytes(random.pick([0, 3, 4, 4, 32, 256])));
    case 3:
      return opening.startup(Object.fromEntries(random.times(random.size(1_500), (i) => [`p${i}`, 'v'])));
    case 4:
      return opening.startup({ user: 'u'.repeat(random.size(12_000)) });
    case 5:
      return opening.startup({
        user: 'fuzzer',
        replication: random.pick(['true', 'database', 'off', 'x']),
        '_pq_.x': 'y',
        options: '-c x=',
      });
    case 6:
      return packet(
        number(random.pick([0, 2 << 16, (3 << 16) + 2, 4 << 16, 0xffffffff])),
        random.bytes(random.size(200)),
      );
    case 7:
      return mutated(random, opening.startup());
    case 8:
      return Buffer.concat([
        number(random.pick([0, 4, 7, 8, 10_001, 0x7fffffff, 0xffffffff])),
        random.bytes(random.size(100)),
      ]);
    default:
      return Buffer.from(
        random.pick(['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'SSH-2.0-OpenSSH_9\r\n', '\x16\x03\x01\x02\x00\x01']),
        'latin1',
      );
  }
}

/** A login's answers that prove nothing. */
export function someProof(random: Random, challenge: string): Buffer {
  const nonce = /r=([^,]*)/.exec(challenge)?.[1] ?? 'none';
  const text = random.pick([
    `c=biws,r=${nonce},p=${random.bytes(32).toString('base64')}`,
    `c=biws,r=${nonce}x,p=${random.bytes(32).toString('base64')}`,
    `c=biws,r=${nonce},p=AAA`,
    `c=!!!,r=${nonce},p=${random.bytes(32).toString('base64')}`,
    `c=biws,r=${nonce}`,
    `c=biws,r=${nonce},x=${'y'.repeat(random.size(60_000))},p=${random.bytes(32).toString('base64')}`,
    `p=,r=,c=`,
    '',
    random.bytes(random.size(300)).toString('latin1'),
  ]);
  return message(code('p'), Buffer.from(text, 'latin1'));
}

export function someMechanism(random: Random): Buffer {
  const first = random.pick([
    'n,,n=,r=abc',
    'y,,n=,r=abc',
    'p=tls-server-end-point,,n=,r=abc',
    'n,,n=,r=',
    'n,,m=x,n=,r=abc',
    `n,,n=,r=${'a'.repeat(random.size(2_000))}`,
    'n,a=me,n=me,r=abc',
    '',
    '\0\xff',
  ]);
  const name = random.pick([
    'SCRAM-SHA-256',
    'SCRAM-SHA-256',
    'SCRAM-SHA-256',
    'SCRAM-SHA-256-PLUS',
    'PLAIN',
    '',
    'x'.repeat(800),
  ]);
  const body = Buffer.from(first, 'latin1');
  return message(
    code('p'),
    Buffer.from(`${name}\0`),
    number(random.chance(0.9) ? body.length : random.int(0, 0xffffffff)),
    body,
  );
}
