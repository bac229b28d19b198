// The sample shop of shop.sql on the demo's source, and the changes that the demo makes to it.
import { readFileSync } from 'node:fs';
import type { Connection } from '../src/pg/client.ts';
import { type Sql, sql, trusted } from '../src/pg/sql.ts';
import type { TableName } from '../src/pg/table.ts';

/** The shop's tables; partitions belong to their root. */
export const shopTables: readonly TableName[] = [
  'customers',
  'products',
  'orders',
  'order_items',
  'page_views',
  'audit_log',
].map((name) => ({ schema: 'shop', name }));

/** Creates the shop with about `rows` rows. */
export async function createShop(db: Connection, rows: number): Promise<void> {
  await db.run(sql`select pg_catalog.set_config('shop.rows', ${String(rows)}, false)`);
  await db.run(trusted(readFileSync(new URL('shop.sql', import.meta.url), 'utf8')));
  await db.run(trusted('vacuum analyze'));
}

/** A change on the source and the question whose answer shows, on the target, that it arrived. */
export interface Change {
  readonly title: string;
  readonly statements: readonly Sql[];
  readonly arrived: Sql;
}

/** One change of each kind that matters; each is one transaction. */
export const changes: readonly Change[] = [
  {
    title: 'insert an order with three items',
    statements: [
      sql`insert into shop.orders (id, customer_id, note) values (9000001, 1, 'placed while you watch')`,
      sql`insert into shop.order_items (order_id, line_no, sku, quantity, price)
        select 9000001, line, 'SKU-00000' || line, line, 9.90 from generate_series(1, 3) line`,
    ],
    arrived: sql`select count(*) = 3 as arrived from shop.orders o join shop.order_items i on i.order_id = o.id where o.id = 9000001`,
  },
  {
    title: 'update its status (an enum)',
    statements: [sql`update shop.orders set status = 'paid' where id = 9000001`],
    arrived: sql`select status = 'paid' as arrived from shop.orders where id = 9000001`,
  },
  {
    title: 'change a primary key',
    statements: [sql`update shop.products set sku = 'SKU-NEW' where sku = 'SKU-OLD'`],
    arrived: sql`select exists (select from shop.products where sku = 'SKU-NEW') as arrived`,
  },
  {
    title: 'change a jsonb value',
    statements: [sql`update shop.customers set address = address || '{"city": "Reykjavík"}' where id = 2`],
    arrived: sql`select address ->> 'city' = 'Reykjavík' as arrived from shop.customers where id = 2`,
  },
  {
    title: 'move a row to another partition',
    statements: [sql`update shop.page_views set viewed_at = '2027-01-01Z' where id = 1`],
    arrived: sql`select exists (select from shop.page_views where id = 1 and viewed_at = '2027-01-01Z') as arrived`,
  },
  {
    title: 'delete one of two equal rows of a table without a key',
    statements: [
      sql`insert into shop.audit_log select '2025-01-01Z', 'you', 'twice', null from generate_series(1, 2)`,
      sql`delete from shop.audit_log where ctid = (select min(ctid) from shop.audit_log where what = 'twice')`,
    ],
    arrived: sql`select count(*) = 1 as arrived from shop.audit_log where what = 'twice'`,
  },
  {
    title: 'delete the order and its items',
    statements: [sql`delete from shop.orders where id = 9000001`],
    arrived: sql`select not exists (select from shop.order_items where order_id = 9000001) as arrived`,
  },
  {
    title: 'update some 10,000 rows in one transaction',
    statements: [sql`update shop.order_items set quantity = quantity + 1 where order_id <= 4000`],
    arrived: sql`select sum(quantity) > sum(1 + (order_id + line_no) % 5) as arrived from shop.order_items where order_id <= 4000`,
  },
];
