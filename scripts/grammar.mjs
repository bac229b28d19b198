// Compiles grammar/*.peggy to src/sql/generated, so that a fresh clone needs no committed parser.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import peggy from 'peggy';

const from = new URL('../grammar/', import.meta.url);
const to = new URL('../src/sql/generated/', import.meta.url);
mkdirSync(to, { recursive: true });
for (const file of readdirSync(from).filter((name) => name.endsWith('.peggy'))) {
  const name = file.replace(/\.peggy$/, '');
  const source = readFileSync(new URL(file, from), 'utf8');
  const code = peggy.generate(source, { output: 'source', format: 'es', grammarSource: file });
  const declaration = [
    "import type { Reader } from '../reader.ts';",
    "import type { Statement } from '../statement.ts';",
    'export interface SourcePoint { readonly offset: number; readonly line: number; readonly column: number }',
    'export class SyntaxError extends Error {',
    '  readonly location: { readonly start: SourcePoint; readonly end: SourcePoint };',
    '  readonly expected: readonly { readonly type: string; readonly text?: string; readonly description?: string }[] | null;',
    '  readonly found: string | null;',
    '}',
    'export function parse(input: string, options: { readonly reader: Reader }): Statement;',
    '',
  ].join('\n');
  writeIfChanged(new URL(`${name}.js`, to), code);
  writeIfChanged(new URL(`${name}.d.ts`, to), declaration);
}

function writeIfChanged(url, text) {
  let before = null;
  try {
    before = readFileSync(url, 'utf8');
  } catch {
    // first time
  }
  if (before !== text) writeFileSync(url, text);
}
