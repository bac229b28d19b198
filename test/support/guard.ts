// Ends a test's server also when the test's process was killed and can end nothing any more.
import { spawn } from 'node:child_process';

/** Watches this process from outside, once a second; goes away with the server. */
export function guardServer(serverPid: number): void {
  const script = `while kill -0 ${process.pid} 2>/dev/null && kill -0 ${serverPid} 2>/dev/null; do sleep 1; done; kill -QUIT ${serverPid} 2>/dev/null`;
  spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore', cwd: '/' }).unref();
}
