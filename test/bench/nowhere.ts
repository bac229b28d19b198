// Readers that throw the stream away: what the source alone can give, to a program that reads at once and to one that lets it gather.
import { existsSync, readdirSync } from 'node:fs';
import { ChangeStream } from '../../src/peers/stream.ts';
import { Connection } from '../../src/pg/client.ts';
import { formatLsn, type Lsn } from '../../src/pg/lsn.ts';
import { isInstalled, runProgram } from '../support/gateway.ts';
import type { Database } from './servers.ts';

export interface Nowhere {
  readonly name: string;
  /** Why it cannot take part here; undefined if it can. */
  readonly missing: string | undefined;
  /** Reads from the slot up to the end of a commit. */
  read(from: {
    readonly source: Database;
    readonly slot: string;
    readonly publication: string;
    readonly end: Lsn;
  }): Promise<void>;
}

/** `pg_recvlogical` of the path, or of Debian's newest server. */
function recvlogicalProgram(): string | undefined {
  if (isInstalled('pg_recvlogical')) return 'pg_recvlogical';
  const root = '/usr/lib/postgresql';
  const majors = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : [];
  return majors.map((major) => `${root}/${major}/bin/pg_recvlogical`).find((path) => existsSync(path));
}

const program = recvlogicalProgram();

/** Takes each message as it comes. */
export const recvlogical: Nowhere = {
  name: 'pg_recvlogical to /dev/null',
  missing: program === undefined ? 'pg_recvlogical is not installed' : undefined,
  async read({ source, slot, publication, end }) {
    const options = ['proto_version=1', `publication_names=${publication}`, 'binary=true'].flatMap((each) => [
      '-o',
      each,
    ]);
    const args = [
      '-d',
      source.url,
      '-S',
      slot,
      '--start',
      '--no-loop',
      '-f',
      '/dev/null',
      `--endpos=${formatLsn(end)}`,
    ];
    const done = await runProgram(program ?? '', { args: [...args, ...options] });
    if (done.code !== 0) throw new Error(`pg_recvlogical ended with ${done.code}: ${done.stderr.slice(-2000)}`);
  },
};

const commitTag = 0x43;

/** Our own receiver, as it reads while there is a backlog, and nothing behind it. */
export const paced: Nowhere = {
  name: 'a paced reader to nowhere',
  missing: undefined,
  async read({ source, slot, publication, end }) {
    const connection = await Connection.open({ ...source.config, replication: 'database' });
    let stream: ChangeStream | undefined;
    await new Promise<void>((resolve, reject) => {
      const onChange = () => {
        try {
          for (let part = stream?.take(); part !== undefined; part = stream?.take()) {
            for (let at = 0; at < part.length; at += part.readUInt32BE(at + 1) + 1) {
              // CopyData's header has 5 bytes, XLogData's 25; in a commit the end stands after its kind, flags and position.
              if (part[at + 5] !== 0x77 || part[at + 30] !== commitTag) continue;
              if (part.readBigUInt64BE(at + 40) >= end) resolve();
            }
          }
        } catch (error) {
          reject(error);
        }
      };
      ChangeStream.start(connection, { slot, publication, from: 0n, binary: true, blocks: null, onChange }).then(
        (started) => {
          stream = started;
          stream.busy = true;
          onChange();
        },
        reject,
      );
    });
    await stream?.[Symbol.asyncDispose]();
  },
};
