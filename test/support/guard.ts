// Ends what a test started also when the test's process was killed and can end nothing any more.
import { spawn } from 'node:child_process';

/** Watches this process from outside, once a second, and signals the other when it is gone; goes away with the other. */
export function guardProcess(pid: number, signal: 'QUIT' | 'TERM'): void {
  const script = `while kill -0 ${process.pid} 2>/dev/null; do kill -0 ${pid} 2>/dev/null || exit; sleep 1; done; kill -${signal} ${pid}`;
  spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore', cwd: '/' }).unref();
}
