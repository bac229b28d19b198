// The log: JSON lines (or readable ones) by pino, with secrets cut out wherever they stand.
import { type Logger, pino, stdSerializers } from 'pino';

export type Log = Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFormat = 'json' | 'text';

const secretPaths = ['password', 'url', 'private_key', 'ssh_config', 'client_tls', 'secretKey'];

/** A log that writes to `destination` (default: standard error); fields that hold secrets are replaced. */
export function createLog(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly destination?: { write(line: string): void };
}): Log {
  const out = options.destination ?? process.stderr;
  const destination = options.format === 'json' ? out : { write: (line: string) => void out.write(readable(line)) };
  return pino(
    {
      level: options.level,
      base: null,
      redact: { paths: [...secretPaths, ...secretPaths.map((path) => `*.${path}`)], censor: '********' },
      serializers: { err: stdSerializers.err },
    },
    destination,
  );
}

/** A log that says nothing, for tests and tools. */
export const silentLog: Log = pino({ level: 'silent' });

const levelWords: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

function readable(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const error = err === undefined ? [] : [`error=${JSON.stringify((err as { message?: string }).message)}`];
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  return [clock, (levelWords[Number(level)] ?? '').padEnd(5), msg, ...fields, ...error].join(' ') + '\n';
}
