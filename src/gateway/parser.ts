// PostgreSQL's own parser (WebAssembly): text to tree, and a fresh instance when a text was too much for it.
import { createRequire } from 'node:module';

type Parser = typeof import('libpg-query');

const require = createRequire(import.meta.url);
// A larger text costs more than its tree is worth; the scanner alone is used then.
const longestParsed = 1_000_000;

let parser: Parser | undefined;
let loading: Promise<void> | undefined;

/** Loads the parser; until then `parseTree` answers undefined. */
export async function loadParser(): Promise<void> {
  loading ??= load();
  await loading;
}

async function load(): Promise<void> {
  const fresh = require('libpg-query') as Parser;
  await fresh.loadModule();
  parser = fresh;
}

/** A node of the tree: an object, a list or a plain value. */
export type Tree = unknown;

/** The tree of one or more statements; undefined if PostgreSQL's grammar does not take the text or it is too long. */
export function parseTree(text: string): Tree | undefined {
  if (parser === undefined || text.length > longestParsed || text.includes('\0')) return undefined;
  try {
    return parser.parseSync(text);
  } catch (error) {
    // An ordinary complaint is an SqlError. Anything else (a stack that overflowed inside WebAssembly) leaves the instance
    // damaged: its own stack is not wound back.
    if (!(error instanceof Error && error.name === 'SqlError')) replaceParser();
    return undefined;
  }
}

function replaceParser(): void {
  parser = undefined;
  delete require.cache[require.resolve('libpg-query')];
  loading = load();
}
