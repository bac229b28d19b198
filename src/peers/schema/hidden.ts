// Values that people are not shown: of all settings and options but those that are known to hold no secret.

/** What stands in their place. */
export const hidden = '********';

// Modules whose settings are about the server's work. All others with a dot are an application's own: keys and passwords are
// kept there, under whatever name.
const modules: ReadonlySet<string> = new Set([
  ...['auto_explain', 'auth_delay', 'isn', 'pg_overexplain', 'pg_prewarm', 'pg_stat_statements', 'pg_trgm', 'pgaudit'],
  ...['plpgsql', 'postgres_fdw', 'sepgsql'],
]);

/** Whether the value of a setting (`work_mem`, `app.jwt_key`) may be shown. */
export function isOpenSetting(name: string): boolean {
  const at = name.indexOf('.');
  return at < 0 || modules.has(name.slice(0, at).toLowerCase());
}

// Of postgres_fdw, file_fdw and libpq; and what others call the same. https://www.postgresql.org/docs/18/postgres-fdw.html
const options: ReadonlySet<string> = new Set([
  ...['host', 'hostaddr', 'port', 'dbname', 'database', 'server', 'address', 'service', 'application_name'],
  ...['schema', 'schema_name', 'table', 'table_name', 'column_name', 'name'],
  ...['use_remote_estimate', 'fdw_startup_cost', 'fdw_tuple_cost', 'analyze_sampling', 'extensions', 'fetch_size'],
  ...[
    'batch_size',
    'async_capable',
    'parallel_commit',
    'parallel_abort',
    'updatable',
    'truncatable',
    'keep_connections',
  ],
  ...['sslmode', 'sslcompression', 'sslrootcert', 'gssencmode', 'channel_binding', 'connect_timeout', 'keepalives'],
  ...['keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout', 'target_session_attrs'],
  ...[
    'filename',
    'format',
    'header',
    'delimiter',
    'quote',
    'escape',
    'null',
    'encoding',
    'force_not_null',
    'force_null',
  ],
  ...['client_encoding', 'default', 'on_error', 'debug'],
]);

/** Whether the value of an option of a foreign server, table or column may be shown. */
export function isOpenOption(name: string): boolean {
  return options.has(name.toLowerCase());
}
