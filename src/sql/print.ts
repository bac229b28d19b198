// Statement to text: what it prints, parses back to the same statement; secrets can be kept out of it.
import type { OptionDeclarations, OptionValue, WrittenOption } from '../base/options.ts';
import type { TableName } from '../pg/table.ts';
import { reservedWords } from './reader.ts';
import type { AlterUser, CreateMirror, MirrorChange, MirrorScope, Statement, TableMapping } from './statement.ts';

/** The statement as text, without `;`. `parseStatement(printStatement(x))` equals `x` but for positions. */
export function printStatement(statement: Statement): string {
  return print(statement, plain);
}

/**
 * The same for journal, logs and EXPLAIN: users' passwords and the options of a peer that are secret are `********`.
 * An option that is not declared (a slip of the pen, another type of peer) is taken for secret.
 * @param peerOptions the declarations that say which options are secret
 */
export function printRedacted(statement: Statement, peerOptions: OptionDeclarations): string {
  const isPublic = (name: string) =>
    Object.hasOwn(peerOptions, name) && peerOptions[name]?.secret !== true && !isOtherPeer(statement);
  return print(statement, {
    peerOption: (option) => (isPublic(option.name) ? option : { ...option, value: censored }),
    password: () => censored,
  });
}

const censored = '********';

interface Style {
  readonly peerOption: (option: WrittenOption) => WrittenOption;
  readonly password: (password: string) => string;
}

const plain: Style = { peerOption: (option) => option, password: (password) => password };

function isOtherPeer(statement: Statement): boolean {
  return statement.kind === 'create_peer' && statement.type !== 'POSTGRES';
}

function print(statement: Statement, style: Style): string {
  const peerOptions = (options: readonly WrittenOption[]) => options.map(style.peerOption);
  switch (statement.kind) {
    case 'create_peer':
      return words(
        'CREATE PEER',
        statement.ifNotExists && 'IF NOT EXISTS',
        name(statement.name),
        `FROM ${statement.type}`,
        withOptions(peerOptions(statement.options)),
      );
    case 'alter_peer':
      return words('ALTER PEER', name(statement.name), 'SET', optionList(peerOptions(statement.options)));
    case 'drop_peer':
      return words('DROP PEER', statement.ifExists && 'IF EXISTS', name(statement.name));
    case 'validate_peer':
      return words('VALIDATE PEER', name(statement.name));
    case 'show_peers':
      return 'SHOW PEERS';
    case 'show_peer':
      return words('SHOW PEER', name(statement.name));
    case 'show_mirrors':
      return 'SHOW MIRRORS';
    case 'show_mirror':
      return words('SHOW MIRROR', name(statement.name));
    case 'show_users':
      return 'SHOW USERS';
    case 'explain':
      return words('EXPLAIN', createMirror(statement.statement));
    case 'execute_peer':
      return words('EXECUTE', name(statement.peer), dollarQuoted(statement.query));
    case 'create_user':
      return words(
        'CREATE USER',
        name(statement.name),
        `PASSWORD ${text(style.password(statement.password))}`,
        statement.access === 'read_only' && 'READ ONLY',
      );
    case 'alter_user':
      return alterUser(statement, style);
    case 'drop_user':
      return words('DROP USER', statement.ifExists && 'IF EXISTS', name(statement.name));
    default:
      return mirrorStatement(statement);
  }
}

type MirrorStatement = Extract<Statement, { readonly kind: `${string}_mirror` }>;

function mirrorStatement(statement: Exclude<MirrorStatement, { readonly kind: 'show_mirror' }>): string {
  switch (statement.kind) {
    case 'create_mirror':
      return createMirror(statement);
    case 'pause_mirror':
      return words('PAUSE MIRROR', statement.ifExists && 'IF EXISTS', name(statement.name));
    case 'resume_mirror':
      return words('RESUME MIRROR', statement.ifExists && 'IF EXISTS', name(statement.name));
    case 'resync_mirror':
      return words(
        'RESYNC MIRROR',
        statement.ifExists && 'IF EXISTS',
        name(statement.name),
        ofTables(statement.tables),
        withOptions(statement.options),
      );
    case 'drop_mirror':
      return words(
        'DROP MIRROR',
        statement.ifExists && 'IF EXISTS',
        name(statement.name),
        statement.keepSlot && 'KEEP SLOT',
      );
    case 'execute_mirror':
      return words('EXECUTE MIRROR', name(statement.name));
    case 'alter_mirror':
      return words('ALTER MIRROR', name(statement.name), mirrorChange(statement.change));
    case 'verify_mirror':
      return words('VERIFY MIRROR', name(statement.name), ofTables(statement.tables));
    case 'repair_mirror':
      return words('REPAIR MIRROR', name(statement.name), ofTables(statement.tables));
    case 'cutover_mirror':
      return words(
        'CUTOVER MIRROR',
        name(statement.name),
        statement.dryRun && 'DRY RUN',
        withOptions(statement.options),
      );
    case 'reverse_mirror':
      return words('REVERSE MIRROR', name(statement.name));
    case 'complete_mirror':
      return words('COMPLETE MIRROR', name(statement.name));
    default:
      return statement satisfies never;
  }
}

function createMirror(statement: CreateMirror): string {
  return words(
    'CREATE MIRROR',
    statement.ifNotExists && 'IF NOT EXISTS',
    name(statement.name),
    `FROM ${name(statement.source)} TO ${name(statement.target)}`,
    mirrorScope(statement.scope),
    withOptions(statement.options),
  );
}

function mirrorScope(scope: MirrorScope): string {
  switch (scope.kind) {
    case 'tables':
      return `WITH TABLE MAPPING (${scope.mappings.map(mapping).join(', ')})`;
    case 'schemas':
      return `WITH SCHEMA MAPPING (${scope.pairs.map((pair) => `${name(pair.from)}:${name(pair.to)}`).join(', ')})`;
    case 'all':
      return 'FOR ALL TABLES';
    case 'query':
      return `FOR ${dollarQuoted(scope.query)}`;
    default:
      return scope satisfies never;
  }
}

function mirrorChange(change: MirrorChange): string {
  switch (change.kind) {
    case 'add_tables':
      return `ADD TABLE ${change.mappings.map(mapping).join(', ')}`;
    case 'drop_tables':
      return `DROP TABLE ${change.tables.map(table).join(', ')}`;
    case 'set':
      return `SET ${optionList(change.options)}`;
    case 'retry':
      return 'RETRY';
    default:
      return change satisfies never;
  }
}

function alterUser(statement: AlterUser, style: Style): string {
  return words(
    'ALTER USER',
    name(statement.name),
    statement.password !== undefined && `PASSWORD ${text(style.password(statement.password))}`,
    statement.access === 'read_only' && 'READ ONLY',
    statement.access === 'read_write' && 'READ WRITE',
  );
}

/** A mapping as CREATE MIRROR and ALTER MIRROR take it; the short form where that says all. */
function mapping({ from, to, key, exclude, where }: TableMapping): string {
  if (key === undefined && exclude.length === 0 && where === undefined) return `${table(from)}:${table(to)}`;
  const fields = [
    `from: ${table(from)}`,
    `to: ${table(to)}`,
    ...(key === undefined ? [] : [`key: ${name(key)}`]),
    ...(exclude.length === 0 ? [] : [`exclude: [${exclude.map(name).join(', ')}]`]),
    ...(where === undefined ? [] : [`where: ${dollarQuoted(where)}`]),
  ];
  return `{ ${fields.join(', ')} }`;
}

function table({ schema, name: tableName }: TableName): string {
  return `${name(schema)}.${name(tableName)}`;
}

function ofTables(tables: readonly TableName[]): string | false {
  return tables.length > 0 && `TABLE ${tables.map(table).join(', ')}`;
}

function withOptions(options: readonly WrittenOption[]): string | false {
  return options.length > 0 && `WITH ${optionList(options)}`;
}

function optionList(options: readonly WrittenOption[]): string {
  return `(${options.map((option) => `${name(option.name)} = ${optionValue(option.value)}`).join(', ')})`;
}

function optionValue(value: OptionValue): string {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'object') return `(${value.map(text).join(', ')})`;
  return String(value);
}

/** A name, in quotes only where it needs them. */
function name(value: string): string {
  const simple = /^[a-z_][a-z0-9_]*$/.test(value) && !reservedWords.has(value);
  return simple ? value : `"${value.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Between dollar quotes whose tag does not close too early: `$$`, else `$q$`, `$q1$`, … */
function dollarQuoted(body: string): string {
  for (let attempt = 0; ; attempt += 1) {
    const tag = attempt === 0 ? '$$' : attempt === 1 ? '$q$' : `$q${attempt - 1}$`;
    // The body's end and the closing tag may together form the tag earlier (`a$` + `$$`).
    if ((body + tag).indexOf(tag) === body.length) return tag + body + tag;
  }
}

function words(...parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(' ');
}
