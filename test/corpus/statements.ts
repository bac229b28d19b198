// The corpus's files: statements as tools send them, read and written, with the oids of the sample database by name.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A parameter as Bind carries it. */
export type Parameter =
  | { readonly kind: 'null' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'binary'; readonly bytes: Buffer };

export interface Statement {
  /** Which message brought it: Query, or Parse and Bind. */
  readonly protocol: 'simple' | 'extended';
  /** May hold `{{class "s"."t"}}` where the tool had an oid that differs from database to database. */
  readonly text: string;
  /** Of an extended one. */
  readonly types: readonly number[];
  readonly parameters: readonly Parameter[];
  /** 0 text, 1 binary, as Bind has them. */
  readonly resultFormats: readonly number[];
}

const folder = fileURLToPath(new URL('.', import.meta.url));
const marker = '-- >>> ';
const value = '-- = ';

/** Every tool of the corpus by its file's name. */
export function corpusTools(): readonly string[] {
  const files = readdirSync(join(folder, 'tools')).filter((file) => file.endsWith('.sql'));
  return files.map((file) => file.slice(0, -'.sql'.length)).sort();
}

export function corpusOf(tool: string): readonly Statement[] {
  return readStatements(readFileSync(join(folder, 'tools', `${tool}.sql`), 'utf8'));
}

/** Statements from the text of a file. What stands before the first marker is for people. */
export function readStatements(file: string): readonly Statement[] {
  const statements: Statement[] = [];
  for (const part of `\n${file}`.split(`\n${marker}`).slice(1)) {
    const [head = '', ...lines] = part.split('\n');
    const parameters: Parameter[] = [];
    while (lines[0]?.startsWith(value)) parameters.push(readParameter(lines.shift()!.slice(value.length)));
    const text = lines.join('\n').replace(/\s+$/, '');
    const [protocol = '', ...facts] = head.trim().split(/\s+/);
    if (protocol !== 'simple' && protocol !== 'extended') throw new Error(`what is "${marker}${head}"?`);
    const numbers = (name: string) => {
      const found = facts.find((fact) => fact.startsWith(`${name}=`))?.slice(name.length + 1);
      return found === undefined || found === '' ? [] : found.split(',').map(Number);
    };
    statements.push({ protocol, text, types: numbers('types'), parameters, resultFormats: numbers('results') });
  }
  return statements;
}

/** The text of a file. */
export function writeStatements(about: string, statements: readonly Statement[]): string {
  const parts = statements.map(({ protocol, text, types, parameters, resultFormats }) => {
    const facts = [
      ...(types.length > 0 ? [`types=${types.join()}`] : []),
      ...(resultFormats.length > 0 ? [`results=${resultFormats.join()}`] : []),
    ];
    const values = parameters.map((parameter) => `${value}${showParameter(parameter)}\n`).join('');
    return `${marker}${[protocol, ...facts].join(' ')}\n${values}${text}\n`;
  });
  return `-- ${about}\n${parts.join('\n')}`;
}

function readParameter(text: string): Parameter {
  if (text === 'null') return { kind: 'null' };
  if (text.startsWith('\\x')) return { kind: 'binary', bytes: Buffer.from(text.slice(2), 'hex') };
  return { kind: 'text', text: JSON.parse(text) as string };
}

function showParameter(parameter: Parameter): string {
  switch (parameter.kind) {
    case 'null':
      return 'null';
    case 'binary':
      return `\\x${parameter.bytes.toString('hex')}`;
    case 'text':
      return JSON.stringify(parameter.text);
    default:
      return parameter satisfies never;
  }
}

// Objects of a database of its own begin here: https://www.postgresql.org/docs/18/system-catalog-initial-data.html
const firstOwnOid = 16384;

/** Asks a database for its own objects: kind, name and oid. Names are the same in every sample database, oids are not. */
export const ownObjects = `select 'class' as kind, format('%I.%I', nspname, relname) as name, c.oid::int8::text as oid
    from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid >= ${firstOwnOid} and nspname not like 'pg_toast%'
  union all select 'type', format('%I.%I', nspname, typname), t.oid::int8::text
    from pg_type t join pg_namespace n on n.oid = typnamespace where t.oid >= ${firstOwnOid} and nspname not like 'pg_toast%'
  union all select 'routine', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)), p.oid::int8::text
    from pg_proc p join pg_namespace n on n.oid = pronamespace where p.oid >= ${firstOwnOid}
  union all select 'schema', quote_ident(nspname), oid::int8::text from pg_namespace where oid >= ${firstOwnOid} and nspname not like 'pg_t%'
  union all select 'constraint', format('%s on %s', conname, conrelid::regclass), oid::int8::text from pg_constraint where oid >= ${firstOwnOid}
  union all select 'database', 'this', oid::int8::text from pg_database where datname = current_database()
  union all select 'publication', pubname, oid::int8::text from pg_publication
  union all select 'extension', extname, oid::int8::text from pg_extension where oid >= ${firstOwnOid}`;

export interface OwnObject {
  readonly kind: string;
  readonly name: string;
  readonly oid: string;
}

/** Writes names for the oids in a text. */
export function nameOids(text: string, objects: readonly OwnObject[]): string {
  const names = new Map(objects.map(({ kind, name, oid }) => [oid, `{{${kind} ${name}}}`]));
  return text.replaceAll(/(?<![\w.])\d{5,10}(?![\w.])/g, (number) => names.get(number) ?? number);
}

/** Writes oids for the names in a text; one that this database does not have is an oid that nothing has. */
export function oidsFor(objects: readonly OwnObject[]): (text: string) => string {
  const oids = new Map(objects.map(({ kind, name, oid }) => [`${kind} ${name}`, oid]));
  return (text) => text.replaceAll(/\{\{([a-z]+ [^{}]*)\}\}/g, (_, name: string) => oids.get(name) ?? '4000000000');
}
