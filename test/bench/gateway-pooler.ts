// PgBouncer as a rival of the gateway: session pooling, SCRAM on both sides, as Debian packages it.
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { serverAccount } from '../../src/pg/binaries.ts';
import { freePort } from '../../src/pg/embedded.ts';
import { isInstalled } from '../support/gateway.ts';
import { guardProcess } from '../support/guard.ts';
import { until } from '../support/wait.ts';
import type { Place } from './gateway-reader.ts';

const program = '/usr/sbin/pgbouncer';

/** Why it cannot take part here; undefined if it can. */
export const poolerMissing = isInstalled(program) ? undefined : 'PgBouncer is not installed';

export interface Pooler extends AsyncDisposable {
  readonly place: Place;
}

/** Starts it before that database, with its files in `folder`. */
export async function startPooler(folder: string, server: Place): Promise<Pooler> {
  const home = join(folder, 'pgbouncer');
  mkdirSync(home, { mode: 0o755 });
  const port = await freePort();
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: join(home, 'users.txt'),
    pool_mode: 'session',
    max_client_conn: 1000,
    default_pool_size: 50,
    server_reset_query: 'discard all',
    log_connections: 0,
    log_disconnections: 0,
  };
  const lines = [
    '[databases]',
    `${server.database} = host=${server.host} port=${server.port} dbname=${server.database}`,
    '[pgbouncer]',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
  ];
  writeFileSync(join(home, 'pgbouncer.ini'), `${lines.join('\n')}\n`);
  writeFileSync(settings.auth_file, `"${server.user}" "${server.password}"\n`);
  // It refuses to run as root.
  const account = serverAccount();
  if (account !== undefined) chownSync(home, account.uid, account.gid);
  const child = spawn(program, ['-q', join(home, 'pgbouncer.ini')], { ...account, cwd: home, stdio: 'ignore' });
  if (child.pid !== undefined) guardProcess(child.pid, 'TERM');
  const place = { ...server, port };
  try {
    await until('PgBouncer takes connections', async () => {
      if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}`);
      const client = new pg.Client(place);
      client.on('error', () => {});
      await client.connect();
      await client.end();
      return true;
    });
  } catch (error) {
    await end(child);
    throw error;
  }
  return { place, [Symbol.asyncDispose]: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGQUIT');
  await gone;
}
