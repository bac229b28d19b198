// Brings text that a server printed from the source's names to the target's, where a mapping changes them. Pure.
import type { TableName } from '../../pg/table.ts';
import { nextToken, type Token } from '../../sql/lexer.ts';
import { shownName } from './shown-name.ts';

/** What names become; null: nothing is renamed. */
export interface Renames {
  /** By `nameKey`: relations, types, functions. */
  readonly names: ReadonlyMap<string, TableName>;
  /** Schemas that are another on the target. */
  readonly schemas: ReadonlyMap<string, string>;
}

export const noRenames: Renames = { names: new Map(), schemas: new Map() };

export function nameKey({ schema, name }: TableName): string {
  return JSON.stringify([schema, name]);
}

export interface Followed {
  readonly text: string;
  /** Whether anything was replaced. */
  readonly changed: boolean;
  /** Why it cannot be trusted: a name of a renamed schema is used for something else too, or a body in a string speaks of what was renamed. */
  readonly doubt: string | null;
}

interface Word extends Token {
  /** What it names: folded or unquoted; null for what is no name. */
  readonly name: string | null;
}

/**
 * `a.t` becomes `b.u`, with `t` as its alias where a query reads from it under its own name, so that `t.x` stays true. What
 * stands in string literals is left alone, but for the literals of reg* types (`'a.t'::regclass`).
 */
export function follow(text: string, renames: Renames): Followed {
  if (renames.names.size === 0 && renames.schemas.size === 0) return { text, changed: false, doubt: null };
  const tokens = wordsOf(text);
  let result = '';
  let from = 0;
  let changed = false;
  let doubt: string | null = null;
  let reads = false;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined) continue;
    const word = token.kind === 'word' ? text.slice(token.start, token.end).toLowerCase() : '';
    if (readingWords.has(word)) reads = true;
    if (token.kind === 'string') {
      const literal = regLiteral(text, tokens, i);
      const said = text.slice(token.start, token.end);
      if (literal !== null) {
        const inner = follow(literal, renames);
        if (inner.changed) {
          result += text.slice(from, token.start) + `'${inner.text.replaceAll("'", "''")}'`;
          from = token.end;
          changed = true;
        }
      } else doubt ??= speaksOf(said, renames);
      continue;
    }
    const schema = word === 'schema' ? schemaAt(text, tokens, i + 1, renames) : null;
    if (schema !== null) {
      result += text.slice(from, tokens[i + 1]?.start) + shownName(schema);
      from = tokens[i + 1]?.end ?? from;
      changed = true;
      i += 1;
      continue;
    }
    const operator = operatorAt(text, tokens, i);
    if (operator !== null) {
      const moved = renames.names.get(nameKey({ schema: token.name ?? '', name: operator }));
      if (moved === undefined) continue;
      result += `${text.slice(from, token.start)}${shownName(moved.schema)}`;
      from = token.end;
      changed = true;
      continue;
    }
    const to = renamedAt(text, tokens, i, renames);
    if (to === null) continue;
    const last = tokens[i + 2];
    if (last === undefined) continue;
    result += text.slice(from, token.start) + shownName(to.schema, to.name);
    from = last.end;
    changed = true;
    if (to.name !== last.name && reads && isRead(text, tokens, i) && !hasAlias(text, tokens[i + 3])) {
      // As the target's server will print it: INSERT takes an alias only with AS, all others go without.
      result += `${tokens[i - 1]?.name === 'into' ? ' as' : ''} ${shownName(last.name ?? '')}`;
    }
    i += 2;
  }
  result += text.slice(from);
  if (changed) doubt ??= aliasInDoubt(text, tokens, renames);
  return { text: result, changed, doubt };
}

/**
 * What a policy's subqueries say of the policy's own table goes by its bare name (`orders.owner`), which is another on the target.
 * The new name must stand for nothing else in the text.
 */
export function requalify(text: string, from: string, to: string): Followed {
  const tokens = wordsOf(text);
  const qualifies = (i: number, name: string) =>
    tokens[i]?.name === name &&
    isSymbol(text, tokens[i + 1], '.') &&
    !isSymbol(text, tokens[i - 1], '.') &&
    !(tokens[i - 1]?.kind === 'word' && readingWords.has(tokens[i - 1]?.name ?? ''));
  const places = tokens.flatMap((token, i) => (qualifies(i, from) ? [token] : []));
  if (from === to || places.length === 0) return { text, changed: false, doubt: null };
  const taken = tokens.some((_, i) => qualifies(i, to));
  let result = '';
  let at = 0;
  for (const { start, end } of places) {
    result += text.slice(at, start) + shownName(to);
    at = end;
  }
  const doubt = taken ? `its text uses the name ${to} for something else than its table` : null;
  return { text: result + text.slice(at), changed: true, doubt };
}

function wordsOf(text: string): readonly Word[] {
  const words: Word[] = [];
  for (let token = nextToken(text, 0); token.kind !== 'end'; token = nextToken(text, token.end)) {
    words.push({ ...token, name: nameOf(text, token) });
  }
  return words;
}

function nameOf(text: string, { kind, start, end }: Token): string | null {
  if (kind === 'word') return text.slice(start, end).toLowerCase();
  if (kind !== 'quoted') return null;
  const said = text.slice(start, end);
  return said.startsWith('"') ? said.slice(1, -1).replaceAll('""', '"') : null;
}

function isSymbol(text: string, token: Token | undefined, symbol: string): boolean {
  return token?.kind === 'symbol' && text.slice(token.start, token.end) === symbol;
}

// `schema . name`, and not the end of a longer one.
function renamedAt(text: string, tokens: readonly Word[], i: number, renames: Renames): TableName | null {
  const [schema, dot, name] = [tokens[i]?.name, tokens[i + 1], tokens[i + 2]?.name];
  if (schema == null || name == null || !isSymbol(text, dot, '.')) return null;
  if (isSymbol(text, tokens[i - 1], '.')) return null;
  return renames.names.get(nameKey({ schema, name })) ?? null;
}

// `schema s`, in statements about the schema itself.
function schemaAt(text: string, tokens: readonly Word[], i: number, renames: Renames): string | null {
  const name = tokens[i]?.name;
  if (name == null || isSymbol(text, tokens[i + 1], '.')) return null;
  return renames.schemas.get(name) ?? null;
}

const operatorShape = /[-+*/<>=~!@#%^&|`?]+/y;

// `schema.===`; null if it is none.
function operatorAt(text: string, tokens: readonly Word[], i: number): string | null {
  const [schema, dot] = [tokens[i], tokens[i + 1]];
  if (schema?.name == null || dot === undefined || !isSymbol(text, dot, '.')) return null;
  operatorShape.lastIndex = dot.end;
  return operatorShape.exec(text)?.[0] ?? null;
}

const readingWords: ReadonlySet<string> = new Set(['from', 'join', 'only', 'update', 'using', 'into']);

// Where a query names a relation to read or write. After the first of these words, a list or a parenthesis may go on with one.
function isRead(text: string, tokens: readonly Word[], i: number): boolean {
  const before = tokens[i - 1];
  if (before === undefined) return false;
  if (before.kind === 'word') return readingWords.has(before.name ?? '');
  return isSymbol(text, before, ',') || isSymbol(text, before, '(');
}

// What may follow a relation that has no alias.
const notAliases: ReadonlySet<string> = new Set(
  `where group having window order limit offset fetch for union intersect except on using join inner left right full cross
  natural set default values select returning tablesample do when with end overriding`.split(/\s+/),
);

function hasAlias(text: string, next: Word | undefined): boolean {
  if (next === undefined) return false;
  if (next.kind === 'quoted') return true;
  return next.kind === 'word' && !notAliases.has(text.slice(next.start, next.end).toLowerCase());
}

const regTypes: ReadonlySet<string> = new Set(
  'regclass regproc regprocedure regtype regoper regoperator regcollation regconfig regdictionary'.split(' '),
);

// `'a.t'::regclass`; null if it is another literal.
function regLiteral(text: string, tokens: readonly Word[], i: number): string | null {
  const token = tokens[i];
  if (token === undefined || text[token.start] !== "'") return null;
  if (!isSymbol(text, tokens[i + 1], ':') || !isSymbol(text, tokens[i + 2], ':')) return null;
  if (!regTypes.has(tokens[i + 3]?.name ?? '')) return null;
  return text.slice(token.start + 1, token.end - 1).replaceAll("''", "'");
}

// Bodies and other literals are never rewritten; whether one names what was renamed can be seen in its words.
function speaksOf(said: string, renames: Renames): string | null {
  const words = wordsOf(bodyOf(said));
  for (const [i, word] of words.entries()) {
    const name = words[i + 2]?.name;
    if (word.name === null || name == null) continue;
    const to = renames.names.get(nameKey({ schema: word.name, name }));
    if (to !== undefined && isSymbol(bodyOf(said), words[i + 1], '.')) {
      return `its text names ${word.name}.${name}, which is ${to.schema}.${to.name} on the target, in a string that is left as it is`;
    }
  }
  return null;
}

function bodyOf(said: string): string {
  const dollar = /^\$[^$]*\$/.exec(said)?.[0];
  return dollar === undefined ? said.slice(said.indexOf("'") + 1, -1) : said.slice(dollar.length, -dollar.length);
}

// A schema's name that also stands alone may be an alias, of which `a.t` is then a column. Rights have none: `to public` is a role.
function aliasInDoubt(text: string, tokens: readonly Word[], renames: Renames): string | null {
  if (tokens[0]?.name === 'grant' || tokens[0]?.name === 'revoke') return null;
  const used = new Set<string>();
  for (let i = 0; i < tokens.length; i++) {
    if (renamedAt(text, tokens, i, renames) !== null) used.add(tokens[i]?.name ?? '');
  }
  for (const [i, token] of tokens.entries()) {
    if (token.name === null || !used.has(token.name)) continue;
    if (isSymbol(text, tokens[i + 1], '.') || isSymbol(text, tokens[i - 1], '.')) continue;
    return `its text uses the name ${token.name} for the schema and for something else`;
  }
  return null;
}
