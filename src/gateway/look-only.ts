// What a READ ONLY user may say in plain SQL: what looks, and nothing that would work outside a transaction that is read only.
import { SluiceError } from '../base/errors.ts';
import { readTree, type Tree } from './parser.ts';

// The server itself refuses every change of data: each transaction of such a session begins as a read-only one, and what could
// make it another is refused here. What is left are functions that do things no transaction has a hand in.
// https://www.postgresql.org/docs/18/sql-set-transaction.html

type Node = Readonly<Record<string, unknown>>;

/**
 * Checks the text of one or more statements.
 * @param charactersBefore of the client's whole text, for the position of an error
 * @throws `forbidden` (42501; 25006 for what would end the transaction's being read only), `syntax`, `limit` where the text cannot be read
 */
export function checkLooksOnly(text: string, charactersBefore = 0): void {
  const read = readTree(text);
  if (read.kind === 'unread') {
    throw new SluiceError('limit', 'statement is too long to be checked for a READ ONLY user', { sqlstate: '54000' });
  }
  if (read.kind === 'wrong') {
    throw new SluiceError('syntax', read.message, { position: charactersBefore + read.position });
  }
  const { stmts = [] } = read.tree as { readonly stmts?: readonly { readonly stmt?: Node }[] };
  for (const { stmt } of stmts) {
    const [type, body] = Object.entries(stmt ?? {})[0] ?? [];
    if (type === undefined) continue;
    checkStatement(type, body as Node);
    if (type !== 'SelectStmt' || !setsByCatalog(body as Node)) checkFunctions(stmt);
  }
  if (stmts.length > 1 && stmts.some(({ stmt }) => stmt !== undefined && 'TransactionStmt' in stmt)) {
    throw refused('several statements with COMMIT or ROLLBACK among them');
  }
}

function checkStatement(type: string, body: Node): void {
  switch (type) {
    case 'SelectStmt':
    case 'VariableShowStmt':
    case 'DeclareCursorStmt':
    case 'FetchStmt':
    case 'ClosePortalStmt':
    case 'PrepareStmt':
    case 'ExecuteStmt':
    case 'DeallocateStmt':
    case 'DiscardStmt':
    case 'ListenStmt':
    case 'UnlistenStmt':
    // Such a change of data the server refuses in its own words.
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return;
    case 'ExplainStmt': {
      const [inner] = Object.keys((body.query ?? {}) as Node);
      if (inner === 'CreateTableAsStmt') throw refused('EXPLAIN of CREATE TABLE AS');
      return;
    }
    case 'CopyStmt':
      if (body.is_from === true) throw refused('COPY FROM');
      if (body.filename !== undefined) throw refused('COPY to a file or program');
      return;
    case 'LockStmt':
      // ACCESS SHARE, as a dump takes it: any other may hold up the application.
      if (body.mode !== 1) throw refused('LOCK TABLE but IN ACCESS SHARE MODE');
      return;
    case 'TransactionStmt':
      if (/PREPARED?$/.test(String(body.kind))) throw refused('a prepared transaction');
      checkModes(body.options);
      return;
    case 'VariableSetStmt':
      checkSet(body);
      return;
    default:
      throw refused(words(type));
  }
}

/** `CreateRoleStmt` → CREATE ROLE. */
function words(type: string): string {
  return type
    .replace(/Stmt$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase();
}

function checkSet(body: Node): void {
  const name = String(body.name ?? '').toLowerCase();
  checkModes(body.args);
  if (name === 'transaction_read_only' || name === 'default_transaction_read_only') {
    // Only RESET and SET … TO on are harmless, and nobody needs them here.
    throw notWritable();
  }
  if (forbiddenSettings.has(name)) throw refused(`SET ${name}`);
  const [value] = (body.args ?? []) as readonly Node[];
  if (value !== undefined && !isReadableSetting(name, value)) throw refused(`SET ${name} to that`);
}

const forbiddenSettings: ReadonlySet<string> = new Set(['role', 'session_authorization', 'session_replication_role']);

/** Whether texts that come later mean to the server what they mean here: it reports such a setting only when they are there. */
function isReadableSetting(name: string, value: Node | undefined): boolean {
  if (name !== 'standard_conforming_strings' && name !== 'client_encoding') return true;
  const { sval, ival } = (value?.A_Const ?? {}) as {
    readonly sval?: { sval?: string };
    readonly ival?: { ival?: number };
  };
  const text = sval?.sval ?? (ival?.ival === undefined ? undefined : String(ival.ival));
  if (text === undefined) return false;
  return name === 'client_encoding' ? !isAmbiguous(text) : /^(on|true|yes|1)$/i.test(text);
}

/** READ WRITE among the modes of a transaction. */
function checkModes(modes: unknown): void {
  if (!Array.isArray(modes)) return;
  for (const mode of modes as readonly { readonly DefElem?: Node }[]) {
    const { defname, arg } = mode.DefElem ?? {};
    if (defname !== 'transaction_read_only') continue;
    const { ival } = (arg as { readonly A_Const?: { readonly ival?: { readonly ival?: number } } }).A_Const ?? {};
    if (ival?.ival !== 1) throw notWritable();
  }
}

/** Every function that is called anywhere in a statement. */
function checkFunctions(tree: Tree): void {
  const open: Tree[] = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    if (!Array.isArray(node) && Array.isArray((node as Node).funcname)) checkFunction(node as Node);
    for (const each of Object.values(node)) open.push(each);
  }
}

/**
 * `SELECT set_config(name, '…', false) FROM pg_settings WHERE name = '…'`, as pg_dump says it of a setting that a server may lack.
 * @throws `forbidden` for a setting that such a user may not set
 */
function setsByCatalog({ targetList, fromClause, whereClause, ...more }: Node): boolean {
  const isPlain = Object.keys(more).every((key) => key === 'limitOption' || key === 'op');
  const [target, second] = (targetList ?? []) as readonly { readonly ResTarget?: { readonly val?: Node } }[];
  const call = target?.ResTarget?.val?.FuncCall as Node | undefined;
  const [from, other] = (fromClause ?? []) as readonly { readonly RangeVar?: Node }[];
  const test = (whereClause as Node | undefined)?.A_Expr as Node | undefined;
  const [setting, ...rest] = (call?.args ?? []) as readonly Node[];
  const calls = functionName(call) === 'set_config' && isColumnName(setting) && second === undefined;
  if (!isPlain || !calls || from?.RangeVar?.relname !== 'pg_settings' || other !== undefined) return false;
  const literal = (test?.rexpr as Node | undefined)?.A_Const as { readonly sval?: { sval?: string } } | undefined;
  const name = literal?.sval?.sval;
  if (test?.kind !== 'AEXPR_OP' || !isColumnName(test.lexpr as Node) || name === undefined) return false;
  if (rest[0]?.A_Const === undefined) return false;
  checkFunction({ funcname: call?.funcname, args: [test.rexpr, ...rest] });
  return true;
}

function functionName(call: Node | undefined): string | undefined {
  const last = ((call?.funcname ?? []) as readonly { readonly String?: { readonly sval?: string } }[]).at(-1);
  return last?.String?.sval;
}

function isColumnName(node: Node | undefined): boolean {
  const { fields } = (node?.ColumnRef ?? {}) as { readonly fields?: readonly { String?: { sval?: string } }[] };
  return fields?.length === 1 && fields[0]?.String?.sval === 'name';
}

function checkFunction({ funcname, args }: Node): void {
  const name = functionName({ funcname }) ?? '';
  if (name === 'set_config') {
    const [first, value] = (args ?? []) as readonly Node[];
    const setting = (
      first?.A_Const as { readonly sval?: { readonly sval?: string } } | undefined
    )?.sval?.sval?.toLowerCase();
    if (setting === undefined) throw refused('set_config() of a setting that is not a plain string');
    if (setting.includes('transaction_read_only')) throw notWritable();
    const isFit = !forbiddenSettings.has(setting) && isReadableSetting(setting, value);
    if (!isFit) throw refused(`set_config('${setting}', …)`);
    return;
  }
  if (beyondTransactions.test(name)) throw refused(`function ${name}()`);
}

// Functions that change something which no transaction can take back, write files, or run a text as SQL.
const beyondTransactions = new RegExp(
  `^(?:${[
    // https://www.postgresql.org/docs/18/functions-admin.html
    'pg_(?:cancel|terminate)_backend|pg_reload_conf|pg_rotate_logfile\\w*|pg_promote|pg_log_\\w+',
    'pg_(?:backup_)?(?:start|stop)(?:_backup)?|pg_switch_(?:wal|xlog)|pg_create_restore_point|pg_wal_replay_(?:pause|resume)',
    'pg_create_\\w+_slot|pg_drop_replication_slot|pg_copy_\\w+_slot|pg_replication_slot_advance|pg_sync_replication_slots',
    'pg_logical_slot_get_\\w+|pg_logical_emit_message|pg_replication_origin_(?!oid$|progress$|session_progress$|session_is_setup$)\\w+',
    'pg_read_(?:binary_)?file(?:_\\w+)?|pg_file_\\w+|pg_ls_\\w*|pg_stat_file|pg_notify|pg_import_system_collations',
    'pg_(?:stat|stat_\\w+)_reset\\w*|pg_(?:clear|restore)_\\w*stat\\w*|pg_stat_force_next_flush',
    // Locks that outlast a transaction, for which the application may wait.
    'pg_(?:try_)?advisory_\\w+',
    'brin_(?:de)?summarize_\\w+|gin_clean_pending_list|pg_truncate_visibility_map|heap_force_\\w+|binary_upgrade_\\w+',
    // https://www.postgresql.org/docs/18/lo-funcs.html; before 16 a read-only transaction lets them write.
    'lo_(?:import|export|creat|create|from_bytea|put|unlink|truncate|truncate64)|lowrite',
    // https://www.postgresql.org/docs/18/functions-xml.html and contrib: they run a text as SQL, here or elsewhere.
    'query_to_xml\\w*|ts_stat|ts_rewrite|crosstab\\w*|connectby|xpath_table|dblink\\w*|postgres_fdw_\\w+',
  ].join('|')})$`,
);

function refused(what: string): SluiceError {
  return new SluiceError('forbidden', `a READ ONLY user may not run ${what}`, {
    hint: 'The owner may change that with ALTER USER … READ WRITE.',
  });
}

function notWritable(): SluiceError {
  return new SluiceError('forbidden', 'transactions of a READ ONLY user stay read only', { sqlstate: '25006' });
}

/**
 * Whether text means to the server what it means to the check above.
 * @param parameters what the session's servers report of their settings
 * @throws `forbidden`
 */
export function checkReadable(parameters: ReadonlyMap<string, string>): void {
  const encoding = parameters.get('client_encoding') ?? 'UTF8';
  const ambiguous = isAmbiguous(encoding);
  if (!ambiguous && parameters.get('standard_conforming_strings') !== 'off') return;
  throw new SluiceError('forbidden', 'statements of a READ ONLY user cannot be checked with these settings', {
    detail: ambiguous ? `client_encoding is ${encoding}.` : 'standard_conforming_strings is off.',
    hint: 'Connect again with client_encoding UTF8 and standard_conforming_strings on.',
  });
}

/** In these a backslash or a quote may be half of a character. The server compares names by letters and digits only. */
function isAmbiguous(encoding: string): boolean {
  const name = encoding.replaceAll(/[^a-z0-9]/gi, '');
  return /^(sjis|mskanji|shiftjis\w*|win932|windows932|big5|win950|windows950|gbk|win936|windows936|gb18030|uhc|win949|windows949|johab)$/i.test(
    name,
  );
}
