// PostgreSQL's own parser (WebAssembly): text to tree, and a fresh instance when a text was too much for it.
import { createRequire } from 'node:module';

type Parser = typeof import('libpg-query');

const require = createRequire(import.meta.url);
// A larger text costs more than its tree is worth; the scanner alone is used then.
export const longestParsed = 1_000_000;

let parser: Parser | undefined;
// Takes the parser's place at once, so that one client's monstrous text costs no other client a reading.
let spare: Parser | undefined;
let loading: Promise<void> | undefined;

/** Loads the parser; until then `parseTree` answers undefined. */
export async function loadParser(): Promise<void> {
  loading ??= load();
  await loading;
}

async function load(): Promise<void> {
  while (parser === undefined || spare === undefined) {
    delete require.cache[require.resolve('libpg-query')];
    const fresh = require('libpg-query') as Parser;
    await fresh.loadModule();
    if (parser === undefined) parser = fresh;
    else spare = fresh;
  }
}

/** A node of the tree: an object, a list or a plain value. */
export type Tree = unknown;

/** The tree of one or more statements; undefined if PostgreSQL's grammar does not take the text or it is too long. */
export function parseTree(text: string): Tree | undefined {
  const read = readTree(text);
  return read.kind === 'tree' ? read.tree : undefined;
}

export type TreeRead =
  | { readonly kind: 'tree'; readonly tree: Tree }
  /** PostgreSQL's grammar does not take it. `position`: in characters from 1. */
  | { readonly kind: 'wrong'; readonly message: string; readonly position: number }
  /** Too long or too deep to be read here. */
  | { readonly kind: 'unread' };

/** The tree of one or more statements, or why there is none. */
export function readTree(text: string): TreeRead {
  if (parser === undefined || text.length > longestParsed || text.includes('\0')) return { kind: 'unread' };
  try {
    return { kind: 'tree', tree: parser.parseSync(text) };
  } catch (error) {
    // An ordinary complaint is an SqlError. Anything else (a stack that overflowed inside WebAssembly) leaves the instance
    // damaged: its own stack is not wound back.
    if (!(error instanceof Error && error.name === 'SqlError')) {
      replaceParser();
      return { kind: 'unread' };
    }
    const { sqlDetails } = error as { readonly sqlDetails?: { readonly cursorPosition: number } };
    return { kind: 'wrong', message: error.message, position: (sqlDetails?.cursorPosition ?? 0) + 1 };
  }
}

function replaceParser(): void {
  parser = spare;
  spare = undefined;
  loading = (loading ?? Promise.resolve()).then(load);
}
