// Ends what a test started also when the test's process was killed and can end nothing any more.
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

type Signal = 'QUIT' | 'TERM';

const guarded = new Map<number, Signal>();
let tell: ((list: string) => void) | undefined;

/** Has the other process signalled from outside when this one is gone. */
export function guardProcess(pid: number, signal: Signal): void {
  guarded.set(pid, signal);
  tell ??= startWatcher();
  tellAll();
}

function tellAll(): void {
  tell?.(`${[...guarded].map(([pid, signal]) => `${signal} ${pid}`).join(' ')}\n`);
}

// One for all: it reads whom there is to signal, and reads on until the pipe breaks, which it does however this process ends.
function startWatcher(): (list: string) => void {
  const script =
    'while read -r line; do list=$line; done; set -- $list; while [ $# -gt 1 ]; do kill -$1 $2; shift 2; done';
  const watcher = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/' });
  watcher.unref();
  const pipe = watcher.stdin as Socket;
  pipe.on('error', () => {}); // somebody killed it
  pipe.unref();
  setInterval(forget, 1_000).unref();
  return (list) => void pipe.write(list);
}

// The ids of those that ended are soon given to others.
function forget(): void {
  const before = guarded.size;
  for (const pid of guarded.keys()) if (!isThere(pid)) guarded.delete(pid);
  if (guarded.size < before) tellAll();
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
