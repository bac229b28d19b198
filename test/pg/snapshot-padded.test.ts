// Values that are mostly the blanks that fill them up travel without, and arrive as they were.
import { expect, test } from 'vitest';
import { inspectTables } from '../../src/peers/inspect.ts';
import { sql } from '../../src/pg/sql.ts';
import { mostlyPadded } from '../../src/snapshot/padding.ts';
import { copyAll, mirrorWork, pinned, table } from '../support/copied.ts';
import { testDatabase } from '../support/servers.ts';

// Some that end with what looks like a blank, or hold more bytes than characters; a page and a half of a thousand pages is full.
const rows = `
  create table padded (id int primary key, blank char(84), word char(40), "Full ""ness" char(36), short char(20), free bpchar, label text);
  alter table padded alter label set storage plain;
  insert into padded select i, case when i % 11 = 0 then null else '' end,
    (array['', 'a', ' a', 'ü', '🐘 x', E'tab\\t', E'line\\n', E'nbsp\\u00a0', E'wide\\u3000', repeat('ß', 40), repeat('b', 40)])[1 + i % 11],
    md5(i::text), 'x', 'kept   ', repeat('.', 2000)
  from generate_series(1, 5000) i`;

const bytes = sql`select pg_catalog.count(*) as rows, pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws('|', id,
  pg_catalog.bpcharsend(blank), pg_catalog.bpcharsend(word), pg_catalog.bpcharsend("Full ""ness"), pg_catalog.bpcharsend(short),
  pg_catalog.bpcharsend(free)), ',' order by id)) as bytes from public.padded`;

test.each([
  [14, 18],
  [18, 14],
] as const)('values filled up with blanks arrive byte for byte, from PostgreSQL %i to %i', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  await source.exec(`${rows}; analyze padded`);
  await using db = await pinned(source);
  const [inspected] = await inspectTables(db, [table('padded').from]);
  expect(await mostlyPadded(db, inspected!, ['blank', 'word', 'Full "ness'])).toEqual(['blank', 'word']);
  await copyAll(mirrorWork({ from: source, to: target }, [table('padded')], { initial_copy_only: true }));
  expect(await target.connection.query(bytes)).toEqual(await source.connection.query(bytes));
});
