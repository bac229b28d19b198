// `npm run demo -- --once` as a person starts it: ends with 0 if all is equal, works a second time, leaves no process.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { serverFolder } from '../support/folder.ts';
import { isAlive, type ProgramResult } from '../support/gateway.ts';
import { until } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

function folder(): Disposable & { readonly path: string } {
  const path = serverFolder('demo');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts the demo under npm, in a process group of its own as a shell does. */
function startDemo(
  args: readonly string[],
  terminal = false,
): { readonly child: ChildProcess; readonly output: () => string } {
  const { PATH = '', HOME = '' } = process.env;
  const words = ['run', '--silent', 'demo', '--', '--rows', '20000', ...args];
  const [program, list] = terminal
    ? ['script', ['-qfec', ['npm', ...words].map((word) => `'${word}'`).join(' '), '/dev/null']]
    : ['npm', words];
  const child = spawn(program, list, {
    cwd: root,
    env: { PATH, HOME },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return { child, output: () => text };
}

function ended(child: ChildProcess): Promise<ProgramResult['code']> {
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

/** The demo's processes and the servers that it started: those whose command line names its folder. */
function processesOf(path: string): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path) && isAlive(pid);
      } catch {
        return false;
      }
    });
}

// `script` of util-linux gives a program a terminal.
const canHaveTerminal = spawnSync('script', ['-qfec', 'true', '/dev/null']).status === 0;

test('the demo ends with 0 and equal tables, twice in the same folder, and leaves no process; on a terminal it draws its progress over itself', async () => {
  using home = folder();
  for (const terminal of [false, canHaveTerminal]) {
    const { child, output } = startDemo(['--once', '--dir', home.path], terminal);
    const code = await ended(child);
    expect(code, output()).toBe(0);
    const plain = output().replaceAll(/\x1b\[[0-9;]*m|\r/g, '');
    expect(plain).toContain('Source and target are equal.');
    expect(plain).toMatch(/100 %.*rows\/s/);
    expect(plain.match(/ equal$/gm)).toHaveLength(6);
    expect(/\x1b\[\d+A\r\x1b\[J/.test(output())).toBe(terminal);
    expect(/shop\.orders .* done/.test(plain)).toBe(terminal);
  }
  await until('no process is left', () => processesOf(home.path).length === 0);
}, 150_000);

test('Ctrl-C ends the demo in the middle of it and leaves no process', async () => {
  using home = folder();
  const { child, output } = startDemo(['--dir', home.path]);
  await until('the copy begins', () => output().includes('CREATE MIRROR'), 60_000);
  const end = ended(child);
  process.kill(-child.pid!, 'SIGINT'); // a terminal sends it to the whole group
  await end;
  await until('no process is left', () => processesOf(home.path).length === 0);
}, 90_000);
