// Where tests keep their servers: in memory where there is plenty of it, else on the disk.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

const variable = 'SLUICE_TEST_MEMORY';
const memory = '/dev/shm';
const enough = 8 * 1024 ** 3;

/**
 * Makes a folder in memory for all servers of this run, if there is room. Each test's databases are a thousand files that are made
 * and dropped again, and a file system on a disk may look at all files that were lately dropped whenever it makes one: with ext4
 * that was a third of the run's time. SLUICE_TEST_DISK=1 keeps them on the disk.
 * @returns removes it
 */
export function keepInMemory(): () => void {
  if (process.env.SLUICE_TEST_DISK !== undefined || !isRoomy()) return () => {};
  const folder = mkdtempSync(join(memory, 'sluice-tests-'));
  chmodSync(folder, 0o711);
  // Workers that run tests inherit it.
  process.env[variable] = folder;
  // Memory is not given back by the next start of the machine only: also a run that is killed leaves nothing there.
  const script = `while kill -0 ${process.pid} 2>/dev/null; do sleep 1; done; sleep 5; rm -rf '${folder}'`;
  spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore', cwd: '/' }).unref();
  return () => rmSync(folder, { recursive: true, force: true });
}

function isRoomy(): boolean {
  try {
    const { bavail, bsize } = statfsSync(memory);
    // A container may have less than the machine.
    return bavail * bsize >= enough && freemem() >= enough && process.availableMemory() >= enough;
  } catch {
    return false; // no Linux
  }
}

/** A new folder for the data of servers, which the account that they run as can enter. */
export function serverFolder(name: string): string {
  const folder = mkdtempSync(join(process.env[variable] ?? tmpdir(), `sluice-${name}-`));
  chmodSync(folder, 0o711);
  return folder;
}
