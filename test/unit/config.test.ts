// The environment: defaults, bounds, secrets that are made once, and a gateway that is not opened by accident.
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeEnvironment, environment, readConfig } from '../../src/config.ts';
import { defaultLimits } from '../../src/wire/house.ts';
import { makeAuthority } from '../support/certificates.ts';

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'sluice-config-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('an empty environment gives a gateway on the loopback address with a password that was made', () => {
  using home = folder();
  const config = readConfig({ SLUICE_DATA_DIR: home.path });
  expect(config).toMatchObject({ host: '127.0.0.1', port: 9900, httpPort: 3000, passwordMade: true, logLevel: 'info' });
  expect(config.limits).toEqual(defaultLimits);
  expect(config.catalogUrl).toBeUndefined();
  expect(config.password).not.toBe(config.secretKey);
});

test('secrets are made once, kept with mode 0600 and the same at the next start', () => {
  using home = folder();
  const first = readConfig({ SLUICE_DATA_DIR: home.path });
  const second = readConfig({ SLUICE_DATA_DIR: home.path });
  expect([second.password, second.secretKey]).toEqual([first.password, first.secretKey]);
  for (const name of ['password', 'secret.key']) expect(statSync(join(home.path, name)).mode & 0o777).toBe(0o600);
});

test('limits are given in seconds and bytes', () => {
  using home = folder();
  const base = { SLUICE_DATA_DIR: home.path };
  const { limits } = readConfig({
    ...base,
    SLUICE_MAX_CONNECTIONS: '7',
    SLUICE_MAX_MESSAGE_SIZE: '20000',
    SLUICE_LOGIN_TIMEOUT: '8',
    SLUICE_IDLE_TIMEOUT: '9',
    SLUICE_IDLE_IN_TRANSACTION_TIMEOUT: '10',
    SLUICE_DRAIN_TIMEOUT: '0',
  });
  expect(limits).toEqual({
    connections: 7,
    messageBytes: 20_000,
    loginTimeoutMs: 8_000,
    idleTimeoutMs: 9_000,
    idleInTransactionTimeoutMs: 10_000,
    drainMs: 0,
  });
  expect(() => readConfig({ ...base, SLUICE_MAX_CONNECTIONS: '0' })).toThrow('SLUICE_MAX_CONNECTIONS');
  expect(() => readConfig({ ...base, SLUICE_LOGIN_TIMEOUT: '0' })).toThrow('SLUICE_LOGIN_TIMEOUT');
  expect(() => readConfig({ ...base, SLUICE_MAX_MESSAGE_SIZE: '2000000000' })).toThrow('SLUICE_MAX_MESSAGE_SIZE');
});

test('an address that others can reach needs a password that was set', () => {
  using home = folder();
  const env = { SLUICE_DATA_DIR: home.path, SLUICE_HOST: '0.0.0.0' };
  expect(() => readConfig(env)).toThrow('needs a password');
  expect(readConfig({ ...env, SLUICE_PASSWORD: 'chosen' })).toMatchObject({ password: 'chosen', passwordMade: false });
});

test('a variable that is unknown, ill-typed or out of bounds is refused by name', () => {
  using home = folder();
  const base = { SLUICE_DATA_DIR: home.path };
  expect(() => readConfig({ ...base, SLUICE_PROT: '1' })).toThrow('SLUICE_PROT');
  expect(() => readConfig({ ...base, SLUICE_PORT: 'many' })).toThrow('SLUICE_PORT');
  expect(() => readConfig({ ...base, SLUICE_PORT: '70000' })).toThrow('SLUICE_PORT');
  expect(() => readConfig({ ...base, SLUICE_SECRET_KEY: 'short' })).toThrow('SLUICE_SECRET_KEY');
  expect(() => readConfig({ ...base, SLUICE_TLS_CERT: 'a.pem' })).toThrow('go together');
});

test('certificate and key are read from their files', () => {
  using home = folder();
  const [cert, key] = [join(home.path, 'c.pem'), join(home.path, 'k.pem')];
  using authority = makeAuthority();
  const issued = authority.issue('localhost');
  const env = { SLUICE_DATA_DIR: home.path, SLUICE_TLS_CERT: cert, SLUICE_TLS_KEY: key };
  writeFileSync(cert, 'CERT');
  writeFileSync(key, 'KEY');
  expect(() => readConfig(env)).toThrow(/^SLUICE_TLS_CERT: .* is not a PEM certificate$/);
  writeFileSync(cert, issued.certificate);
  expect(() => readConfig(env)).toThrow(/^SLUICE_TLS_KEY: .* is not the PEM key/);
  writeFileSync(key, issued.privateKey);
  expect(readConfig(env).tls).toEqual({ cert: issued.certificate, key: issued.privateKey });
});

test('the help names every variable', () => {
  const help = describeEnvironment();
  for (const name of Object.keys(environment)) expect(help).toContain(name);
});
