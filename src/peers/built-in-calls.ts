// Functions of PostgreSQL itself that an expression of a newer server calls and an older one has not.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** A call: its name, and how many arguments it has. */
export interface BuiltInCall {
  readonly name: string;
  readonly args: number;
}

// What is written as a call and is a type: character varying(5), interval second(3).
const words: ReadonlySet<string> = new Set(['character', 'varying', 'second']);

/**
 * The calls of an expression as a server prints it while nothing but pg_catalog is searched: all other functions have their schema
 * before their name. https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-CATALOG Pure.
 */
export function builtInCalls(expression: string): readonly BuiltInCall[] {
  // What is in quotes is nobody's name here: names of pg_catalog need none.
  const text = expression.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, (quoted) => '@'.repeat(quoted.length));
  const calls: BuiltInCall[] = [];
  for (const match of text.matchAll(/(?<![\w.@$:]|:: ?)([a-z_][a-z0-9_]*)\(/g)) {
    const name = match[1] ?? '';
    if (!words.has(name)) calls.push({ name, args: countArguments(text, match.index + match[0].length) });
  }
  return calls;
}

function countArguments(text: string, from: number): number {
  let depth = 1;
  let commas = 0;
  let at = from;
  for (; at < text.length && depth > 0; at++) {
    const letter = text.charAt(at);
    if (letter === '(' || letter === '[') depth++;
    else if (letter === ')' || letter === ']') depth--;
    else if (letter === ',' && depth === 1) commas++;
  }
  return text.slice(from, at - 1).trim() === '' ? 0 : commas + 1;
}

const keyOf = ({ name, args }: BuiltInCall) => `${name}/${args}`;

/** Calls that a server cannot be asked. */
export class MissingCalls {
  readonly #missing: ReadonlySet<string>;

  constructor(missing: readonly BuiltInCall[]) {
    this.#missing = new Set(missing.map(keyOf));
  }

  /** Those of an expression. */
  of(expression: string): readonly string[] {
    if (this.#missing.size === 0) return [];
    return builtInCalls(expression)
      .filter((call) => this.#missing.has(keyOf(call)))
      .map(({ name, args }) => `${name}() with ${args === 1 ? '1 argument' : `${args} arguments`}`);
  }
}

/** Looks for the calls of all these expressions, in one round trip or none. */
export async function findMissingCalls(db: Connection, expressions: Iterable<string>): Promise<MissingCalls> {
  const calls = new Map([...expressions].flatMap(builtInCalls).map((call) => [keyOf(call), call]));
  if (calls.size === 0) return new MissingCalls([]);
  const [names, counts] = [[...calls.values()].map(({ name }) => name), [...calls.values()].map(({ args }) => args)];
  return new MissingCalls(
    await db.query<BuiltInCall>(sql`
    select wanted.name, wanted.args
    from rows from (pg_catalog.unnest(${names}::text[]), pg_catalog.unnest(${counts}::int[])) as wanted(name, args)
    where not exists (select from pg_catalog.pg_proc p
        where p.proname = wanted.name::name and p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
          and (p.provariadic <> 0 or wanted.args between p.pronargs - p.pronargdefaults and p.pronargs))
      and not exists (select from pg_catalog.pg_type t
        where t.typname = wanted.name::name and t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace)`),
  );
}
