// Keeps the floors: imports point down, never up or sideways; files stay small; the language's traps stay out.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

// The floors, lowest first. A room may import itself and every floor below its own.
const floors: readonly (readonly string[])[] = [
  ['base'],
  ['pg'],
  ['mirror', 'sql', 'wire'],
  ['peers', 'catalog'],
  ['snapshot', 'cdc', 'query', 'verify', 'cutover'],
  ['commands', 'runner'],
  ['gateway', 'api'],
];
const roof: ReadonlySet<string> = new Set(['main.ts', 'server.ts', 'config.ts']);
const deepRooms: ReadonlySet<string> = new Set(['peers', 'ui']);
const generated = join('sql', 'generated');

interface SourceFile {
  /** `peers/connect.ts` */
  readonly path: string;
  readonly room: string;
  readonly text: string;
  /** Without comments and without what stands in strings. */
  readonly code: string;
  readonly imports: readonly { readonly path: string; readonly typeOnly: boolean }[];
}

function floorOf(room: string): number {
  return floors.findIndex((rooms) => rooms.includes(room));
}

// Comments and the insides of strings become blanks, so that words in them are not taken for code.
function withoutText(text: string): string {
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replaceAll(token, (found) => (found.startsWith('/') ? ' ' : "''"));
}

function importsOf(path: string, text: string): SourceFile['imports'] {
  const statement =
    /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'|import\('(\.[^']+)'\)/gm;
  return [...text.matchAll(statement)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? '';
    return { path: relative(src, resolve(src, dirname(path), target)), typeOnly: match[1] !== undefined };
  });
}

const files: readonly SourceFile[] = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith(generated))
  .map((path) => {
    const text = readFileSync(join(src, path), 'utf8');
    const room = path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
    return { path, room, text, code: withoutText(text), imports: importsOf(path, text) };
  });

function offenders(breaks: (file: SourceFile) => boolean): readonly string[] {
  return files.filter(breaks).map((file) => file.path);
}

test('every folder of src is a room that stands on a floor', () => {
  expect(offenders(({ room, path }) => (room === '' ? !roof.has(path) : room !== 'ui' && floorOf(room) < 0))).toEqual(
    [],
  );
});

test('no room is deeper than it may be', () => {
  expect(offenders(({ path, room }) => path.split('/').length > (deepRooms.has(room) ? 3 : 2))).toEqual([]);
});

test('an import points to its own room or to a floor below, never up, never to a neighbour', () => {
  const wrong = files.flatMap((file) =>
    file.room === ''
      ? []
      : file.imports
          .filter(({ path }) => !mayImport(file, path))
          .map(({ path, typeOnly }) => `${file.path} imports ${typeOnly ? 'types of ' : ''}${path}`),
  );
  expect(wrong).toEqual([]);
});

function mayImport(file: SourceFile, path: string): boolean {
  const room = path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
  if (room === file.room) return true;
  if (file.room === 'ui') return path === 'api/contract.ts';
  return room !== '' && floorOf(room) >= 0 && floorOf(room) < floorOf(file.room);
}

test('the rule itself refuses an import that points up, sideways or to the roof', () => {
  const file = (path: string) => ({ path, room: path.slice(0, path.indexOf('/')) }) as SourceFile;
  expect(mayImport(file('peers/slot.ts'), 'catalog/peers.ts')).toBe(false);
  expect(mayImport(file('pg/client.ts'), 'peers/slot.ts')).toBe(false);
  expect(mayImport(file('commands/mirrors.ts'), 'runner/runner.ts')).toBe(false);
  expect(mayImport(file('gateway/answer.ts'), 'server.ts')).toBe(false);
  expect(mayImport(file('gateway/answer.ts'), 'commands/dispatch.ts')).toBe(true);
  expect(importsOf('a/b.ts', "import type { X } from '../c/d.ts';\nexport { y } from './z.ts';")).toEqual([
    { path: 'c/d.ts', typeOnly: true },
    { path: 'a/z.ts', typeOnly: false },
  ]);
});

test('no two files need each other to load', () => {
  const needs = new Map(files.map((file) => [file.path, file.imports.filter((each) => !each.typeOnly)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
    if (done.has(path) || way.includes(path)) return;
    for (const need of needs.get(path) ?? []) visit(need.path, [...way, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  expect(circles).toEqual([]);
});

test('no file is over 500 lines, and each opens by saying what it is for', () => {
  expect(offenders(({ text }) => text.trimEnd().split('\n').length > 500)).toEqual([]);
  expect(offenders(({ text }) => !/^(#![^\n]*\n)?\/\/ \S/.test(text))).toEqual([]);
});

test('no file is a barrel or a drawer for all kinds of things', () => {
  expect(offenders(({ path }) => /(^|\/)(index|utils?|types|helpers?|common|manager|service)\.ts$/.test(path))).toEqual(
    [],
  );
  expect(offenders(({ code }) => /^export\s+\*\s/m.test(code))).toEqual([]);
});

test('only main ends the process, only config reads the environment', () => {
  expect(offenders(({ path, code }) => path !== 'main.ts' && /\bprocess\.(exit|exitCode|abort)\b/.test(code))).toEqual(
    [],
  );
  expect(offenders(({ path, code }) => path !== 'config.ts' && /\bprocess\.env\b/.test(code))).toEqual([]);
});

test('no any, enum, namespace, decorator or default export, and no rule of a tool is switched off', () => {
  expect(offenders(({ code }) => /[:<,|&(]\s*any\b|\bas\s+any\b/.test(code))).toEqual([]);
  expect(offenders(({ code }) => /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/m.test(code))).toEqual([]);
  expect(offenders(({ code }) => /^\s*(export\s+)?(declare\s+)?(namespace|module)\s+\w/m.test(code))).toEqual([]);
  expect(offenders(({ code }) => /^\s*@\w+/m.test(code))).toEqual([]);
  expect(offenders(({ code }) => /^export\s+default\b/m.test(code))).toEqual([]);
  expect(offenders(({ text }) => /@ts-(ignore|expect-error|nocheck)|biome-ignore/.test(text))).toEqual([]);
});

test('no try in a loop opens what it uses', () => {
  // Where the code runs from source, esbuild hoists the failure out of the loop: a later turn that succeeds throws it again.
  expect(offenders(({ code }) => /\b(for|while) \([^\n]*\{\n\s*try \{\n\s*(await )?using\b/.test(code))).toEqual([]);
});
