// Writes docs/sql.md from what the code declares: statements from grammar/README.md, options and errors from their tables.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type ErrorKind, errorKinds } from '../src/base/errors.ts';
import type { OptionDeclaration, OptionDeclarations } from '../src/base/options.ts';
import { alterableMirrorOptions, mirrorOptions, resyncOptions } from '../src/mirror/options.ts';
import { peerOptions } from '../src/mirror/peer.ts';
import { queryMirrorOptions } from '../src/mirror/query-options.ts';
import { commandTags, peerTypes } from '../src/sql/statement.ts';

const grammar = new URL('../grammar/README.md', import.meta.url);
const reference = new URL('../docs/sql.md', import.meta.url);

/** The text of docs/sql.md. */
export function sqlReference(): string {
  return [
    '# SQL reference',
    '<!-- Made by `npm run docs` from the declarations in src and from grammar/README.md. Do not edit. -->',
    intro,
    ...statements(),
    '## Peer options',
    'For `CREATE PEER … WITH (…)` and `ALTER PEER … SET (…)`. Secrets are sealed at rest and shown as `********`.',
    optionTable(peerOptions),
    '## Mirror options',
    'For `CREATE MIRROR … WITH (…)` with tables, schemas or all tables.',
    optionTable(mirrorOptions),
    `\`ALTER MIRROR … SET (…)\` can change ${alterableMirrorOptions.map((name) => `\`${name}\``).join(', ')}.`,
    '## Options of query mirrors',
    'For `CREATE MIRROR … FOR $$ query $$ WITH (…)`. The bounds of the query are `{{.start}}` and `{{.end}}`.',
    optionTable(queryMirrorOptions),
    '`RESYNC MIRROR` takes:',
    optionTable(resyncOptions),
    '## Command tags',
    `A statement answers ${listOf([...new Set<string>(Object.values(commandTags))])}; plain SQL answers exactly what the server sent.`,
    '## Errors',
    errors,
    errorTable(),
  ]
    .join('\n\n')
    .concat('\n');
}

const intro = `Sluice takes any SQL. The statements below are its own; everything else goes to a peer or to the catalog. A relation whose
first name part is a peer (\`source.public.orders\`) sends the statement to that peer; a session that connects with
\`dbname=<peer>\` talks to that peer.

An option's value is a string, a number, \`true\` or \`false\`, a word, or a list \`('a', 'b')\`. An unknown option is an error
that lists the known ones. Types of peers that are known: ${peerTypes.join(', ')}; only POSTGRES is served, the others are
refused with \`0A000\`. A statement whose engine is not there yet is read and checked, and answers \`0A000\`, too.`;

const errors = `Every error has the SQLSTATE that PostgreSQL uses for its like. Syntax errors and bad options say at which character of the
text they stand. What a peer's server answers is passed on with all its fields.`;

/** The sections of the grammar's README, without its own title. */
function statements(): readonly string[] {
  const text = readFileSync(grammar, 'utf8');
  const rules = /Keywords may be[\s\S]*?(?=\n\n)/.exec(text)?.[0] ?? '';
  const sections = text.slice(text.indexOf('\n## ') + 1).trimEnd();
  return ['## Statements', rules, sections.replace(/^(#+ )/gm, '#$1')];
}

function optionTable(declarations: OptionDeclarations): string {
  const rows = Object.entries(declarations).map(([name, declaration]) =>
    row(`\`${name}\``, typeOf(declaration), defaultOf(declaration), wordsOf(declaration)),
  );
  return [row('option', 'type', 'default', ''), '|---|---|---|---|', ...rows].join('\n');
}

function typeOf(declaration: OptionDeclaration): string {
  switch (declaration.type) {
    case 'text':
      return declaration.maxBytes === undefined ? 'text' : `text, at most ${declaration.maxBytes} bytes`;
    case 'integer':
      return `integer, ${declaration.min} to ${declaration.max}`;
    case 'boolean':
      return 'true or false';
    case 'choice':
      return declaration.choices.map((choice) => `\`'${choice}'\``).join(', ');
    case 'json':
      return 'JSON object';
    case 'names':
      return 'list of names';
    default:
      return declaration satisfies never;
  }
}

function defaultOf({ default: value }: OptionDeclaration): string {
  if (value === undefined) return '–';
  return typeof value === 'string' ? `\`'${value}'\`` : String(value);
}

function wordsOf({ doc, secret, notice }: OptionDeclaration): string {
  if (notice !== undefined) return `${doc} Accepted with a notice: ${notice}.`;
  return secret ? `${doc} Secret.` : doc;
}

function errorTable(): string {
  const kinds = Object.keys(errorKinds) as readonly ErrorKind[];
  const states = [...new Set(kinds.map((kind) => errorKinds[kind].sqlstate))].sort();
  const rows = states.map((state) => {
    const cases = kinds.filter((kind) => errorKinds[kind].sqlstate === state).map((kind) => errorWords[kind]);
    return row(`\`${state}\``, [...new Set(cases)].join('; '));
  });
  return [row('SQLSTATE', 'when'), '|---|---|', ...rows].join('\n');
}

const errorWords: Readonly<Record<ErrorKind, string>> = {
  syntax: 'the text is not a statement of our language',
  invalid_option:
    'an unknown option (the hint lists the known ones), a value of the wrong type or out of bounds, options that contradict each other',
  undefined_object: 'no such peer, mirror or user',
  duplicate_object: 'a peer, mirror or user of that name exists already, or a slot or publication on the source',
  dependent_objects: 'a mirror still uses the peer (the detail names the mirrors)',
  wrong_state: 'not possible in the present state of the mirror or the session (the detail says the state)',
  undefined_table: 'tables are missing (the detail lists all of them)',
  undefined_column: 'a column is missing',
  name_too_long: 'a name over 63 bytes',
  unsupported:
    'known, but not served: another type of peer, a statement over two peers, a statement whose engine is not there',
  login_refused: 'a peer refuses the login',
  unreachable: 'a peer cannot be reached',
  connection_lost: 'the connection to a peer broke',
  not_ready: 'a setting of the server does not allow it (the hint says which to change)',
  source_changed: 'a source table was rewritten while it was copied; its copy begins anew by itself',
  too_many: 'the server has no free slot, walsender or connection',
  forbidden: 'a role lacks a privilege',
  conflict: "the target's rows are not what the stream says they must be",
  slot_lost: 'the replication slot is lost or is not the one that belongs to the checkpoint',
  fenced: 'another process owns the mirror now',
  stopped: 'the work was asked to stop',
  invalid_password: 'the login to the gateway failed',
  protocol: 'the client broke the protocol',
  limit: 'a limit of the gateway is reached',
  upstream: "a server's own answer, which carries its own SQLSTATE",
  internal: 'a defect of Sluice',
};

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function listOf(tags: readonly string[]): string {
  return tags.map((tag) => `\`${tag}\``).join(', ');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(reference, sqlReference());
  process.stdout.write(`wrote ${fileURLToPath(reference)}\n`);
}
