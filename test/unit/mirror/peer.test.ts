// A peer's options: what they come to, how they are changed, and what of them is never shown.
import { describe, expect, test } from 'vitest';
import type { OptionValue, WrittenOption } from '../../../src/base/options.ts';
import { mergePeerOptions, readPeerOptions, shownPeerOptions } from '../../../src/mirror/peer.ts';

function written(options: Readonly<Record<string, OptionValue>>): readonly WrittenOption[] {
  return Object.entries(options).map(([name, value], i) => ({ name, value, namePosition: i, valuePosition: 100 + i }));
}

function read(options: Readonly<Record<string, OptionValue>>) {
  return readPeerOptions(written(options));
}

const plain = { host: 'h', user: 'u' };

test('host and user are enough: port 5432, the database of the user, sslmode prefer', () => {
  expect(read(plain)).toMatchObject({ port: 5432, database: 'u', sslMode: 'prefer', metadataSchema: '_sluice' });
  expect(() => read({ host: 'h' })).toThrow('peer option "user" is missing');
});

test('a url says the same as single options, which override it', () => {
  const url = 'postgres://us%65r:p%40ss@db.example:6000/shop?sslmode=require';
  expect(read({ url, port: '7000' })).toMatchObject({
    host: 'db.example',
    port: 7000,
    user: 'user',
    password: 'p@ss',
    database: 'shop',
    sslMode: 'require',
  });
  expect(read({ url: 'postgresql://u@[::1]/d' })).toMatchObject({ host: '::1', port: 5432, database: 'd' });
});

test.each(['mysql://u@h/d', 'postgres://', 'postgres://u:secret@h/d?sslmode=maybe', 'postgres://u:secret@h/%zz'])(
  'the url %s is refused at its place, without repeating what may be a password',
  (url) => {
    const error = (() => {
      try {
        return read({ url }) && undefined;
      } catch (caught) {
        return caught as Error & { sqlstate: string };
      }
    })();
    expect(error).toMatchObject({ sqlstate: '22023' });
    expect(error?.message).not.toContain('secret');
  },
);

describe("sslmode is libpq's, and PeerDB's three words mean one of its modes", () => {
  test.each([
    [{ require_tls: true }, 'verify-full'],
    [{ require_tls: true, skip_cert_verification: true }, 'require'],
    [{ disable_tls: true }, 'disable'],
    [{ disable_tls: true, sslmode: 'allow' }, 'allow'],
    [{ sslmode: 'REQUIRE' }, 'require'],
    [{ skip_cert_verification: true }, 'prefer'],
  ])('%o is %s', (options, mode) => {
    expect(read({ ...plain, ...options }).sslMode).toBe(mode);
  });

  test('verify-ca needs the authority, as anybody has a certificate of some authority', () => {
    expect(() => read({ ...plain, sslmode: 'verify-ca' })).toThrow('sslmode verify-ca needs root_ca');
    expect(read({ ...plain, sslmode: 'verify-ca', root_ca: 'PEM' }).sslMode).toBe('verify-ca');
  });

  test('TLS that is required and switched off at once is refused', () => {
    expect(() => read({ ...plain, require_tls: true, disable_tls: true })).toThrow('contradict');
  });
});

test('ssh_config names its host and a way to log in; what it does not know is refused with what it knows', () => {
  const ssh = (config: object) => read({ ...plain, ssh_config: JSON.stringify(config) }).ssh;
  expect(ssh({ host: 's', user: 'x', password: 'p' })).toMatchObject({ port: 22, password: 'p' });
  expect(() => ssh({ host: 's', user: 'x' })).toThrow('needs "password" or "private_key"');
  expect(() => ssh({ host: 's', user: 'x', password: 'p', port: 0 })).toThrow('"port"');
  expect(() => ssh({ host: 's', user: 'x', passwort: 'p' })).toThrow('unknown key "passwort"');
  expect(() => read({ ...plain, ssh_config: 'no json' })).toThrow('invalid value for option "ssh_config": ********');
});

describe('ALTER PEER … SET', () => {
  const before = written({ host: 'old', user: 'u', password: 'one', sslmode: 'require' });
  const merged = (given: Readonly<Record<string, OptionValue>>) =>
    readPeerOptions(mergePeerOptions(before, written(given)));

  test('changes what it names and keeps the rest', () => {
    expect(merged({ password: 'two' })).toMatchObject({ host: 'old', password: 'two', sslMode: 'require' });
  });

  test('an empty text takes an option back', () => {
    expect(merged({ password: '' }).password).toBeUndefined();
    expect(() => merged({ host: '' })).toThrow('peer option "host" is missing');
  });

  test('a url takes the place of host, user, password and sslmode that were given singly', () => {
    expect(merged({ url: 'postgres://v:three@new/d' })).toMatchObject({
      host: 'new',
      user: 'v',
      password: 'three',
      sslMode: 'prefer',
    });
    expect(merged({ url: 'postgres://v@new/d', port: 1 })).toMatchObject({ host: 'new', port: 1 });
  });

  test("one of PeerDB's words for TLS takes the place of an sslmode, and the other way round", () => {
    expect(merged({ disable_tls: true }).sslMode).toBe('disable');
    const tls = mergePeerOptions(before, written({ disable_tls: true }));
    expect(readPeerOptions(mergePeerOptions(tls, written({ sslmode: 'allow' }))).sslMode).toBe('allow');
  });

  test('an option that is not known is refused at its place with the known ones', () => {
    expect(() => merged({ hots: '' })).toThrow(
      expect.objectContaining({ position: 0, hint: expect.stringContaining('host') }),
    );
  });
});

test('what is shown of a peer holds no secret, wherever it was given', () => {
  const options = written({
    url: 'postgres://u:secret1@h:6000/d',
    client_tls: '{"certificate":"secret2","private_key":"secret3"}',
    ssh_config: '{"host":"s","user":"x","password":"secret4"}',
    root_ca: 'PEM',
  });
  const shown = shownPeerOptions(options, readPeerOptions(options));
  expect(JSON.stringify(shown)).not.toContain('secret');
  expect(Object.fromEntries(shown.map(({ name, value }) => [name, value]))).toEqual({
    host: 'h',
    port: '6000',
    user: 'u',
    password: '********',
    database: 'd',
    url: '********',
    sslmode: 'prefer',
    root_ca: 'PEM',
    client_tls: '********',
    ssh_config: '********',
    metadata_schema: '_sluice',
  });
});

test.each(['postgres://u:a/b@h/d', 'postgres://u:p@h:port/d', 'mysql://u@h/d'])(
  'the refusal of %s says how a URL is written',
  (url) => {
    const read = () => readPeerOptions([{ name: 'url', value: url }]);
    expect(read).toThrow(expect.objectContaining({ hint: expect.stringContaining('percent-encode') }));
  },
);
