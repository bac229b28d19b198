// New servers as copies of one that initdb made: of a run's hundred and more, initdb takes a second of each.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from '../../src/pg/binaries.ts';
import { startEmbedded } from '../../src/pg/embedded.ts';
import { serverFolder } from './folder.ts';
import { guardProcess } from './guard.ts';

const variable = 'SLUICE_TEST_CLUSTERS';

/** Makes the folder for what is copied, for all processes of this run. @returns removes it */
export function keepClusters(): () => void {
  const folder = serverFolder('clusters');
  process.env[variable] = folder;
  return () => {
    delete process.env[variable];
    rmSync(folder, { recursive: true, force: true });
  };
}

/** Puts a cluster where startEmbedded would make one: with a password and an identifier of its own, as from initdb. */
export async function giveCluster(
  dataDir: string,
  { binaries, quickLogins }: { readonly binaries: Binaries; readonly quickLogins: boolean },
): Promise<void> {
  const folder = process.env[variable];
  if (folder === undefined || existsSync(join(dataDir, 'cluster'))) return;
  const model = join(folder, `${binaries.version}-${quickLogins ? 'quick' : 'usual'}`);
  if (!existsSync(model)) await makeModel(model, { binaries, quickLogins });
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const { status, stderr } = spawnSync('cp', ['-a', `${model}/.`, `${dataDir}/`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cannot copy a cluster: ${stderr}`);
  renumber(join(dataDir, 'cluster'));
}

async function makeModel(
  model: string,
  options: { readonly binaries: Binaries; readonly quickLogins: boolean },
): Promise<void> {
  const draft = `${model}.${randomBytes(4).toString('hex')}`;
  const server = await startEmbedded({ dataDir: draft, throwaway: true, ...options });
  guardProcess(server.pid, 'QUIT');
  await server.stop('fast');
  rmSync(server.logFile);
  try {
    renameSync(draft, model);
  } catch {
    rmSync(draft, { recursive: true, force: true }); // another process was first
  }
}

const identifierInLog = 24;

// The identifier is the first of the control file, whose checksum is its last, and stands at the head of each file of the log.
// https://doxygen.postgresql.org/structControlFileData.html
function renumber(cluster: string): void {
  const path = join(cluster, 'global', 'pg_control');
  const control = readFileSync(path);
  const before = control.readBigUInt64LE(0);
  const place = checksumPlace(control);
  const identifier = randomBytes(8).readBigUInt64LE() >> 1n;
  control.writeBigUInt64LE(identifier, 0);
  control.writeUInt32LE(crc32c(control.subarray(0, place)), place);
  writeFileSync(path, control);
  const log = join(cluster, 'pg_wal');
  const eight = Buffer.alloc(8);
  for (const name of readdirSync(log).filter((each) => /^[0-9A-F]{24}$/.test(each))) {
    const file = openSync(join(log, name), 'r+');
    readSync(file, eight, { position: identifierInLog });
    if (eight.readBigUInt64LE() === before) {
      eight.writeBigUInt64LE(identifier);
      writeSync(file, eight, 0, 8, identifierInLog);
    }
    closeSync(file);
  }
}

// It stands elsewhere in each major.
function checksumPlace(control: Buffer): number {
  for (let at = 200; at < 512; at += 4) {
    if (crc32c(control.subarray(0, at)) === control.readUInt32LE(at)) return at;
  }
  throw new Error('this control file has another form');
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
