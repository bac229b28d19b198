// How long the gateway thinks about a statement that it has seen before, in this process: no sockets, no servers.
import { Classifier, textOf } from '../../src/gateway/classify.ts';
import { loadParser } from '../../src/gateway/parser.ts';
import { PlainTexts } from '../../src/gateway/plain-texts.ts';
import { Router } from '../../src/gateway/route.ts';
import { percentile, table } from './report.ts';

// What tools and applications send: short and long, with and without a peer's name.
const statements: readonly string[] = [
  'select 1',
  'SELECT abalance FROM pgbench_accounts WHERE aid = $1;',
  'select * from source.public.orders where id = $1',
  'update source.public.orders set state = $2, changed_at = now() where id = $1 returning *',
  'insert into source.public.lines (order_id, article, amount) values ($1, $2, $3), ($4, $5, $6) on conflict do nothing',
  'with recent as (select * from source.public.orders where at > now() - interval $$1 day$$) select c.name, count(*) from recent r join source.public.customers c on c.id = r.customer_id group by c.name order by 2 desc limit 50',
  'begin',
  'commit',
  "set search_path to shop, public; set timezone to 'Europe/Berlin'",
  `SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2;`,
  `SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE true AND ct.relname = 'orders' AND i.indisprimary ORDER BY table_name, pk_name, key_seq`,
  `insert into source.public.events values ${Array.from({ length: 200 }, (_, i) => `(${i}, 'event number ${i}', '{"a": ${i}}')`).join(', ')}`,
];

/** Prints median and 99th percentile of a statement's way through reading, classifying and cutting, first and later times. */
export async function benchRouting(rounds: number): Promise<void> {
  await loadParser();
  const router = new Router();
  const peers = new Set(['source']);
  const board = { home: '', backslashEscapes: false, reported: [], prepared: new Map() };
  const deps = {
    router,
    isPeer: async (name: string) => peers.has(name),
    board,
    readOnly: false,
    homeOf: () => undefined,
  };
  const classifier = new Classifier(deps);
  const texts = statements.map((text) => Buffer.from(text));
  const route = async (bytes: Buffer) => {
    const began = performance.now();
    const client = classifier.read(bytes)!;
    for (const piece of client.pieces) {
      const classified = await classifier.classify(piece);
      if (classified.kind === 'plain') textOf(client, [classified]);
    }
    return performance.now() - began;
  };
  const first: number[] = [];
  for (const bytes of texts) first.push(await route(bytes));
  const later: number[] = [];
  for (let round = 0; round < rounds; round++) for (const bytes of texts) later.push(await route(Buffer.from(bytes)));
  const micro = (values: readonly number[], share: number) => `${(percentile(values, share) * 1000).toFixed(1)} µs`;
  const plain = new PlainTexts(router, (name) => peers.has(name));
  const glance: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const bytes of texts) {
      const began = performance.now();
      plain.isPlain(bytes, { start: 0, end: bytes.length, backslashEscapes: false });
      glance.push(performance.now() - began);
    }
  }
  console.log(`\n### Routing (${texts.length} statements, in process)\n`);
  console.log(
    table(
      ['', 'p50', 'p99'],
      [
        ['first seen', micro(first, 0.5), micro(first, 0.99)],
        ['seen before', micro(later, 0.5), micro(later, 0.99)],
        ['seen before: may it go straight on?', micro(glance, 0.5), micro(glance, 0.99)],
      ],
    ),
  );
}
