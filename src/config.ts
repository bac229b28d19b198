// The environment, declared once, read once: the only place that looks at process.env.
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { SluiceError } from './base/errors.ts';
import { makeFolder } from './base/folder.ts';
import type { LogFormat, LogLevel } from './base/log.ts';
import { type OptionDeclarations, readOptions, type WrittenOption } from './base/options.ts';
import { defaultLimits, type ListenerLimits } from './wire/house.ts';

const longestSeconds = 2_000_000;

export const environment = {
  SLUICE_HOST: {
    type: 'text',
    default: '127.0.0.1',
    doc: 'Address to listen on. Any but a loopback address needs SLUICE_PASSWORD.',
  },
  SLUICE_PORT: {
    type: 'integer',
    default: 9900,
    min: 0,
    max: 65535,
    doc: 'Port for PostgreSQL clients; 0 takes a free one.',
  },
  SLUICE_HTTP_PORT: {
    type: 'integer',
    default: 3000,
    min: 0,
    max: 65535,
    doc: 'Port for HTTP (/healthz, /readyz, /metrics); 0 is off.',
  },
  SLUICE_METRICS_TABLES: {
    type: 'integer',
    default: 1_000,
    min: 0,
    max: 100_000,
    doc: 'Most tables, and most mirrors, that /metrics tells of one by one; 0 turns /metrics off.',
  },
  SLUICE_PASSWORD: {
    type: 'text',
    secret: true,
    doc: "Password of the gateway's owner. Unset: made at first start and kept in the data folder.",
  },
  SLUICE_DATA_DIR: {
    type: 'text',
    default: '.sluice',
    doc: 'Folder for the embedded catalog, for secrets that were made, and for what large transactions bring before their commit.',
  },
  SLUICE_CATALOG_URL: {
    type: 'text',
    secret: true,
    doc: 'postgres://… of a PostgreSQL 14 or later that holds the catalog. Unset: an embedded one.',
  },
  SLUICE_SECRET_KEY: {
    type: 'text',
    secret: true,
    doc: 'Seals the secrets in the catalog; at least 16 characters. Unset: made at first start and kept in the data folder.',
  },
  SLUICE_TLS_CERT: { type: 'text', doc: 'PEM file with the certificate that the gateway shows to its clients.' },
  SLUICE_TLS_KEY: { type: 'text', doc: 'PEM file with the private key of that certificate.' },
  SLUICE_MAX_CONNECTIONS: {
    type: 'integer',
    default: defaultLimits.connections,
    min: 1,
    max: 1_000_000,
    doc: 'Clients at a time that have logged in; as many more (20 at least) may be about to.',
  },
  SLUICE_MAX_MESSAGE_SIZE: {
    type: 'integer',
    default: defaultLimits.messageBytes,
    min: 10_000,
    max: defaultLimits.messageBytes,
    doc: 'Bytes of the longest message that a client may send: a statement, or the parameters of one.',
  },
  SLUICE_LOGIN_TIMEOUT: {
    type: 'integer',
    default: defaultLimits.loginTimeoutMs / 1000,
    min: 1,
    max: longestSeconds,
    doc: 'Seconds from connecting to the end of the login.',
  },
  SLUICE_IDLE_TIMEOUT: {
    type: 'integer',
    default: defaultLimits.idleTimeoutMs / 1000,
    min: 0,
    max: longestSeconds,
    doc: 'Seconds that a client may say nothing outside a transaction; 0: for ever.',
  },
  SLUICE_IDLE_IN_TRANSACTION_TIMEOUT: {
    type: 'integer',
    default: defaultLimits.idleInTransactionTimeoutMs / 1000,
    min: 0,
    max: longestSeconds,
    doc: 'Seconds that a client may say nothing inside a transaction; 0: for ever.',
  },
  SLUICE_DRAIN_TIMEOUT: {
    type: 'integer',
    default: defaultLimits.drainMs / 1000,
    min: 0,
    max: longestSeconds,
    doc: 'Seconds that a stop waits for clients that run a statement or are inside a transaction.',
  },
  SLUICE_CATCH_UP_BYTES: {
    type: 'integer',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    doc: 'A backlog of that many bytes of log is read in chunks, over a temporary slot, before the stream is followed; 0: never.',
  },
  SLUICE_LOG_LEVEL: {
    type: 'choice',
    default: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    doc: 'Least level that is logged.',
  },
  SLUICE_LOG_FORMAT: { type: 'choice', default: 'text', choices: ['text', 'json'], doc: 'Form of the log.' },
} as const satisfies OptionDeclarations;

/** Everything that the server needs to know at start. Holds secrets. */
export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** 0: no HTTP. */
  readonly httpPort: number;
  /** 0: no /metrics. */
  readonly metricsTables: number;
  readonly password: string;
  /** Whether the password was made by us, so that the banner may show it. */
  readonly passwordMade: boolean;
  readonly dataDir: string;
  /** Undefined: embedded. */
  readonly catalogUrl: string | undefined;
  readonly secretKey: string;
  /** PEM texts. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly limits: ListenerLimits;
  /** 0: no backlog is read in chunks. */
  readonly catchUpBytes: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/**
 * Reads the environment, and makes the secrets that are not given.
 * @throws `invalid_option` naming the variable
 */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  const written = Object.entries(env).flatMap(([name, value]): WrittenOption[] =>
    name.startsWith('SLUICE_') && value !== undefined && value !== '' ? [{ name, value }] : [],
  );
  const options = readOptions('environment', environment, written);
  const dataDir = resolve(options.SLUICE_DATA_DIR);
  if (!isLoopback(options.SLUICE_HOST) && options.SLUICE_PASSWORD === undefined) {
    throw new SluiceError('invalid_option', `SLUICE_HOST=${options.SLUICE_HOST} needs a password that was set`, {
      hint: 'Set SLUICE_PASSWORD, or listen on 127.0.0.1.',
    });
  }
  if (options.SLUICE_SECRET_KEY !== undefined && options.SLUICE_SECRET_KEY.length < 16) {
    throw new SluiceError('invalid_option', 'SLUICE_SECRET_KEY is too short', { hint: 'Give at least 16 characters.' });
  }
  const tls = readTls(options.SLUICE_TLS_CERT, options.SLUICE_TLS_KEY);
  return {
    host: options.SLUICE_HOST,
    port: options.SLUICE_PORT,
    httpPort: options.SLUICE_HTTP_PORT,
    metricsTables: options.SLUICE_METRICS_TABLES,
    password: options.SLUICE_PASSWORD ?? keptSecret(dataDir, 'password'),
    passwordMade: options.SLUICE_PASSWORD === undefined,
    dataDir,
    catalogUrl: options.SLUICE_CATALOG_URL,
    secretKey: options.SLUICE_SECRET_KEY ?? keptSecret(dataDir, 'secret.key'),
    tls,
    limits: {
      connections: options.SLUICE_MAX_CONNECTIONS,
      messageBytes: options.SLUICE_MAX_MESSAGE_SIZE,
      loginTimeoutMs: options.SLUICE_LOGIN_TIMEOUT * 1000,
      idleTimeoutMs: options.SLUICE_IDLE_TIMEOUT * 1000,
      idleInTransactionTimeoutMs: options.SLUICE_IDLE_IN_TRANSACTION_TIMEOUT * 1000,
      drainMs: options.SLUICE_DRAIN_TIMEOUT * 1000,
    },
    catchUpBytes: options.SLUICE_CATCH_UP_BYTES,
    logLevel: options.SLUICE_LOG_LEVEL,
    logFormat: options.SLUICE_LOG_FORMAT,
  };
}

/** The table of variables that `sluice help` prints. */
export function describeEnvironment(): string {
  const width = Math.max(...Object.keys(environment).map(({ length }) => length)) + 2;
  const rows = Object.entries(environment).map(([name, declaration]) => {
    const preset = 'default' in declaration ? ` [${declaration.default}]` : '';
    return `  ${name.padEnd(width)}${declaration.doc}${preset}`;
  });
  return ['Environment:', ...rows].join('\n');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function readTls(certFile: string | undefined, keyFile: string | undefined): Config['tls'] {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new SluiceError('invalid_option', 'SLUICE_TLS_CERT and SLUICE_TLS_KEY go together');
  }
  const cert = readPem('SLUICE_TLS_CERT', certFile);
  const key = readPem('SLUICE_TLS_KEY', keyFile);
  checkPem(`SLUICE_TLS_CERT: ${certFile} is not a PEM certificate`, () => createSecureContext({ cert }));
  checkPem(`SLUICE_TLS_KEY: ${keyFile} is not the PEM key of that certificate`, () =>
    createSecureContext({ cert, key }),
  );
  return { cert, key };
}

function checkPem(message: string, attempt: () => unknown): void {
  try {
    attempt();
  } catch (cause) {
    throw new SluiceError('invalid_option', message, { cause });
  }
}

function readPem(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('invalid_option', `${name}: cannot read ${file}`, { cause });
  }
}

/** A secret that is made once and then read; of two processes that start at once, both get the same. */
function keptSecret(dataDir: string, name: string): string {
  const file = join(dataDir, name);
  try {
    // The account that runs the embedded PostgreSQL must be able to pass through; the files themselves are closed.
    makeFolder(dataDir, 0o711);
    const fresh = `${file}.${randomBytes(6).toString('hex')}`;
    writeFileSync(fresh, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(fresh, file); // fails if it is there, and is never there half-written
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new SluiceError('invalid_option', `cannot keep secrets in ${dataDir}: ${(cause as Error).message}`, {
      hint: 'Set SLUICE_DATA_DIR to a folder that can be written, or SLUICE_PASSWORD and SLUICE_SECRET_KEY.',
      cause,
    });
  }
}
