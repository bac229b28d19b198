// Which peer a statement is for, and its text without the peer's name: cut out in place, every other byte left as it is.
import { SluiceError } from '../base/errors.ts';
import { countCharacters } from '../sql/positions.ts';
import { type DottedName, dottedNames, type ScanOptions } from './names.ts';
import { parseTree } from './parser.ts';
import { namedPlaces } from './places.ts';

/** A piece of text to be left out; UTF-16 offsets. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}

export interface Route {
  /** Undefined: no peer is named. */
  readonly peer: string | undefined;
  readonly cuts: readonly Cut[];
}

/** What a text says about peers before anyone knows which names are peers. Cached by text. */
export interface Reading {
  /** First parts of names of three and more parts. */
  readonly candidates: readonly string[];
  readonly names: readonly DottedName[];
}

const mostCached = 500;
const longestCached = 10_000;

/** Reads and routes texts; remembers the last few hundred. */
export class Router {
  readonly #readings = new Map<string, Reading>();
  readonly #confirmed = new Map<string, readonly DottedName[]>();

  /** The names that may be peers'. */
  read(text: string, options: ScanOptions = {}): Reading {
    const key = options.backslashEscapes ? `\\${text}` : text;
    return cached(this.#readings, key, () => {
      const names = dottedNames(text, options);
      return { names, candidates: [...new Set(names.map(({ parts }) => parts[0]!.name))] };
    });
  }

  /**
   * @param isPeer asked about the candidates of `read`
   * @param charactersBefore of the client's whole text, for the position of the error
   * @throws `unsupported` (0A000) if two peers are named
   */
  route(
    text: string,
    isPeer: (name: string) => boolean,
    options: ScanOptions & { charactersBefore?: number } = {},
  ): Route {
    const { names, candidates } = this.read(text, options);
    if (!candidates.some(isPeer)) return { peer: undefined, cuts: [] };
    const confirmed = cached(this.#confirmed, text, () => confirm(text, names));
    const named = confirmed.filter(({ parts }) => isPeer(parts[0]!.name));
    const peer = named[0]?.parts[0]?.name;
    const other = named.find(({ parts }) => parts[0]!.name !== peer);
    if (other !== undefined) {
      const second = other.parts[0]!;
      throw new SluiceError('unsupported', `a statement cannot name two peers: "${peer}" and "${second.name}"`, {
        hint: 'Ask each peer on its own, or mirror the tables to one of them.',
        position: (options.charactersBefore ?? 0) + countCharacters(text, 0, second.start) + 1,
      });
    }
    const cuts = named.flatMap(({ parts, dot }) => [{ start: parts[0]!.start, end: parts[0]!.end }, dot]);
    return { peer, cuts: joined(cuts) };
  }
}

/** Only names that stand where a database's name may come first; all of them if nobody can tell. */
function confirm(text: string, names: readonly DottedName[]): readonly DottedName[] {
  const tree = parseTree(text);
  if (tree === undefined) return names;
  const { offsets, columns, lists } = namedPlaces(tree);
  return names.filter(({ parts }) => {
    const at = Buffer.byteLength(text.slice(0, parts[0]!.start));
    return offsets.has(at) || (!columns.has(at) && lists.has(parts.map(({ name }) => name).join('\0')));
  });
}

/** A name and the dot right behind it are one cut. */
function joined(cuts: readonly Cut[]): readonly Cut[] {
  const result: Cut[] = [];
  for (const cut of cuts) {
    const last = result.at(-1);
    if (last?.end === cut.start) result[result.length - 1] = { start: last.start, end: cut.end };
    else result.push(cut);
  }
  return result;
}

/** The text between two offsets without the cuts. */
export function withoutCuts(text: string, cuts: readonly Cut[], start = 0, end = text.length): string {
  let result = '';
  let at = start;
  for (const cut of cuts) {
    result += text.slice(at, cut.start);
    at = cut.end;
  }
  return result + text.slice(at, end);
}

/** From a position in what a server was sent to the position in what the client sent; both in characters from 1. */
export type Shift = (position: number) => number | undefined;

/**
 * @param text the client's whole text
 * @param start where the part begins that was sent, without the cuts
 */
export function shiftOf(text: string, start: number, cuts: readonly Cut[]): Shift {
  if (start === 0 && cuts.length === 0) return (position) => position;
  return (position) => {
    let shifted = position + countCharacters(text, 0, start);
    for (const cut of cuts) {
      // A position on the first character behind a cut is the name's: point at the whole name, as PostgreSQL does.
      if (shifted - 1 > countCharacters(text, 0, cut.start)) shifted += countCharacters(text, cut.start, cut.end);
    }
    return shifted;
  };
}

function cached<V>(cache: Map<string, V>, key: string, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) {
    // Last used, last to go.
    cache.delete(key);
    cache.set(key, known);
    return known;
  }
  const value = make();
  if (key.length <= longestCached) {
    cache.set(key, value);
    if (cache.size > mostCached) cache.delete(cache.keys().next().value!);
  }
  return value;
}
