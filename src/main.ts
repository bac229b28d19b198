#!/usr/bin/env node
// The command line: one command, one exit code. The only process.exit.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { toSluiceError } from './base/errors.ts';
import { boundHeap } from './base/heap.ts';
import { createLog } from './base/log.ts';
import { type Config, describeEnvironment, readConfig } from './config.ts';
import { type RunningServer, startServer } from './server.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('sluice')
  .description('A gateway that speaks the PostgreSQL protocol and moves live Postgres databases to another Postgres.')
  .version(version, '-V, --version', 'print the version')
  .addHelpText('after', `\n${describeEnvironment()}`);
program.command('start').description('start the gateway').action(start);
program
  .command('version')
  .description('print the version')
  .action(() => console.log(version));

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

/** Runs until SIGTERM or SIGINT; a second signal does not wait. */
async function start(): Promise<void> {
  boundHeap();
  const config = readConfig();
  const log = createLog({ level: config.logLevel, format: config.logFormat });
  const stopping = new Promise<NodeJS.Signals>((resolve) => {
    let first: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      // A terminal and npm both hand on the same Ctrl-C.
      if (first !== undefined && performance.now() - first < 1_000) return;
      if (first !== undefined) process.exit(signal === 'SIGINT' ? 130 : 143);
      first = performance.now();
      log.info({ signal }, 'stopping; a second signal does not wait');
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
  const server = await startServer(config, log);
  console.log(banner(config, server));
  try {
    await Promise.race([stopping, server.ended]);
  } finally {
    await server[Symbol.asyncDispose]();
  }
  process.exit(0);
}

function banner(config: Config, server: RunningServer): string {
  const host = config.host === '0.0.0.0' || config.host === '::' ? 'localhost' : config.host;
  // A password that was set is known to whoever set it, and stays out of logs.
  const password = config.passwordMade ? config.password : '…';
  return [
    `Sluice ${version} listens on ${config.host}:${server.port}`,
    '',
    `  psql "host=${host} port=${server.port} password=${password} dbname=sluice"`,
    '',
    ...(server.httpPort === undefined ? [] : [`Health: http://${host}:${server.httpPort}/healthz`]),
  ].join('\n');
}

function fail(error: unknown): never {
  const { message, detail, hint, kind } = toSluiceError(error);
  console.error(`sluice: ${message}`);
  if (detail !== undefined) console.error(`DETAIL: ${detail}`);
  if (hint !== undefined) console.error(`HINT: ${hint}`);
  if (kind === 'internal' && error instanceof Error) console.error(error.stack);
  process.exit(1);
}
