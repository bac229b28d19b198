// What ORMs for Node ask of a schema they find, one at a time: node node-orms.mjs typeorm
// Their packages lie where NODE_ORMS points (npm install typeorm reflect-metadata knex sequelize pg kysely knex-schema-inspector
// extract-pg-schema pg-introspection drizzle-kit drizzle-orm sequelize-auto there).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const home = process.env.NODE_ORMS ?? process.cwd();
const require = createRequire(join(home, 'x.js'));
const { PGPORT, PGUSER, PGPASSWORD, PGDATABASE, DATABASE_URL } = process.env;
const at = { host: '127.0.0.1', port: Number(PGPORT), user: PGUSER, password: PGPASSWORD, database: PGDATABASE };
const quietly = async (work) => {
  try {
    return await work();
  } catch (error) {
    if (process.env.DEBUG_RECORD) console.error(error.message);
    return undefined;
  }
};

const tools = {
  async typeorm() {
    require('reflect-metadata');
    const { DataSource, EntitySchema } = require('typeorm');
    const Customer = new EntitySchema({
      name: 'Customer',
      tableName: 'customers',
      schema: 'shop',
      columns: {
        id: { type: 'bigint', primary: true },
        name: { type: 'varchar' },
        note: { type: 'text', nullable: true },
      },
    });
    const source = await new DataSource({
      type: 'postgres',
      ...at,
      username: at.user,
      entities: [Customer],
      synchronize: false,
    }).initialize();
    const runner = source.createQueryRunner();
    await runner.getDatabases().catch(() => {});
    await runner.getSchemas('sample').catch(() => {});
    for (const t of ['shop.customers', 'shop.orders', 'shop.order_lines', 'public.plain', 'shop.products']) {
      await quietly(() => runner.getTable(t));
      await quietly(() => runner.hasTable(t));
      await quietly(() => runner.hasColumn(t, 'name'));
    }
    await quietly(() => runner.getTables());
    await quietly(() => runner.getViews([]));
    await quietly(() => runner.hasDatabase('sample'));
    await quietly(() => runner.hasSchema('shop'));
    await quietly(() => runner.getCurrentSchema());
    await quietly(() => runner.getCurrentDatabase());
    await quietly(() => source.driver.createSchemaBuilder().log());
    const repo = source.getRepository(Customer);
    await repo.find({ take: 3, skip: 1, order: { id: 'ASC' }, where: { name: 'Customer 3' } });
    await repo.findOneBy({ id: 4 });
    await repo.findAndCount({ take: 2, order: { id: 'DESC' } });
    await repo
      .createQueryBuilder('c')
      .select('count(*)', 'n')
      .where('c.id in (:...ids)', { ids: [1, 2] })
      .getRawOne();
    await quietly(() =>
      source.transaction('REPEATABLE READ', async (m) => {
        await m.update(Customer, 1, { note: 't' });
        await m.transaction(async (inner) => inner.delete(Customer, -1));
        throw new Error('undo');
      }),
    );
    await source.destroy();
  },
  async knex() {
    const knex = require('knex')({ client: 'pg', connection: at, searchPath: ['shop', 'public'] });
    for (const t of ['customers', 'orders', 'products']) {
      await knex.schema.hasTable(t);
      await knex.schema.hasColumn(t, 'name');
      await knex(t).columnInfo();
    }
    const { SchemaInspector } = require('knex-schema-inspector');
    const look = SchemaInspector(knex);
    look.withSchema?.('shop');
    await quietly(() => look.tables());
    await quietly(() => look.tableInfo());
    await quietly(() => look.tableInfo('customers'));
    await quietly(() => look.columns());
    await quietly(() => look.columns('customers'));
    await quietly(() => look.columnInfo());
    await quietly(() => look.columnInfo('orders'));
    await quietly(() => look.columnInfo('orders', 'total'));
    await quietly(() => look.primary('order_lines'));
    await quietly(() => look.foreignKeys());
    await quietly(() => look.foreignKeys('orders'));
    await quietly(() => look.hasTable('customers'));
    await quietly(() => look.hasColumn('customers', 'name'));
    await knex('customers').where('id', '<', 5).orderBy('id').select('id', 'name', 'born');
    await knex('customers')
      .join('orders', 'orders.customer', 'customers.id')
      .groupBy('customers.id')
      .count('* as n')
      .orderBy('n')
      .limit(3);
    await knex.raw('select ?::int + ? as s, ?::jsonb as j', [1, 2, JSON.stringify({ a: [1] })]);
    await knex('customers')
      .whereRaw('data @> ?', [{ n: 3 }])
      .first('id', 'data');
    await quietly(() =>
      knex.transaction(
        async (t) => {
          await t('customers').where('id', 1).update({ note: 'k' }).returning(['id', 'note']);
          await quietly(() =>
            t.transaction(async (inner) => {
              await inner('animal').insert({ name: 'Tom' });
              throw new Error('undo');
            }),
          );
          throw new Error('undo');
        },
        { isolationLevel: 'serializable' },
      ),
    );
    await knex.destroy();
  },
  async sequelize() {
    const { Sequelize, DataTypes } = require('sequelize');
    const sequelize = new Sequelize(DATABASE_URL, { logging: false });
    await sequelize.authenticate();
    const look = sequelize.getQueryInterface();
    await quietly(() => look.showAllTables());
    await quietly(() => look.showAllSchemas());
    await quietly(() => sequelize.databaseVersion());
    for (const tableName of ['customers', 'orders', 'order_lines', 'events']) {
      const t = { tableName, schema: 'shop' };
      await quietly(() => look.describeTable(t));
      await quietly(() => look.showIndex(t));
      await quietly(() => look.getForeignKeyReferencesForTable(t));
      await quietly(() => look.getForeignKeysForTables([tableName]));
      await quietly(() => look.showConstraint(tableName));
      await quietly(() => look.tableExists(t));
    }
    await quietly(() => look.pgListEnums(undefined, { schema: 'shop' }));
    const Customer = sequelize.define(
      'Customer',
      {
        id: { type: DataTypes.BIGINT, primaryKey: true },
        name: DataTypes.STRING,
        note: DataTypes.TEXT,
        born: DataTypes.DATEONLY,
      },
      { schema: 'shop', tableName: 'customers', timestamps: false },
    );
    await Customer.findAll({ where: { id: { [Sequelize.Op.in]: [1, 2, 3] } }, order: ['id'], limit: 2, offset: 1 });
    await Customer.findAndCountAll({ limit: 2, order: [['id', 'DESC']] });
    await Customer.count();
    await sequelize.query('select $a::int as a, $b::text as b', { bind: { a: 1, b: 'x' } });
    await quietly(() =>
      sequelize.transaction({ isolationLevel: 'READ COMMITTED' }, async (transaction) => {
        await Customer.update({ note: 's' }, { where: { id: 1 }, transaction, returning: true });
        await Customer.findByPk(1, { transaction, lock: true });
        throw new Error('undo');
      }),
    );
    const Auto = require('sequelize-auto');
    await quietly(() =>
      new (Auto.SequelizeAuto ?? Auto.default ?? Auto)(sequelize, undefined, undefined, {
        schema: 'shop',
        dialect: 'postgres',
        noWrite: true,
        directory: '/nowhere',
        views: true,
      }).run(),
    );
    await sequelize.close();
  },
  async kysely() {
    const { Kysely, PostgresDialect, sql } = require('kysely');
    const pg = require('pg');
    const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool(at) }) });
    await db.introspection.getSchemas();
    await db.introspection.getTables();
    await db.introspection.getTables({ withInternalKyselyTables: true });
    await db
      .withSchema('shop')
      .selectFrom('customers')
      .select(['id', 'name'])
      .where('id', '<', 4)
      .orderBy('id')
      .execute();
    await db
      .withSchema('shop')
      .selectFrom('orders as o')
      .innerJoin('customers as c', 'c.id', 'o.customer')
      .select((e) => ['c.name', e.fn.sum('o.total').as('t')])
      .groupBy('c.name')
      .orderBy('c.name')
      .limit(5)
      .execute();
    await sql`select ${1}::int4 as a, ${['x', 'y']}::text[] as b`.execute(db);
    await quietly(() =>
      db
        .transaction()
        .setIsolationLevel('serializable')
        .execute(async (t) => {
          await t
            .withSchema('shop')
            .updateTable('customers')
            .set({ note: 'y' })
            .where('id', '=', '1')
            .returningAll()
            .execute();
          throw new Error('undo');
        }),
    );
    await db.destroy();
  },
  async introspection() {
    const { makeIntrospectionQuery } = await import(require.resolve('pg-introspection'));
    const pg = require('pg');
    const client = new pg.Client(at);
    await client.connect();
    await client.query(makeIntrospectionQuery());
    await client.end();
    const { extractSchemas } = require('extract-pg-schema');
    await quietly(() => extractSchemas(at, { schemas: ['shop'] }));
  },
  async drizzle() {
    const folder = mkdtempSync(join(home, 'drizzle-'));
    const credentials = { ...at, ssl: false };
    writeFileSync(
      join(folder, 'drizzle.config.cjs'),
      `module.exports = ${JSON.stringify({ dialect: 'postgresql', out: folder, dbCredentials: credentials, schemaFilter: ['shop', 'public', 'Odd Schema'] })}`,
    );
    await quietly(() =>
      execFileSync(
        process.execPath,
        [join(home, 'node_modules/drizzle-kit/bin.cjs'), 'introspect', '--config', join(folder, 'drizzle.config.cjs')],
        { cwd: home, stdio: 'pipe', timeout: 60_000 },
      ),
    );
    rmSync(folder, { recursive: true, force: true });
    const { drizzle } = require('drizzle-orm/node-postgres');
    const core = require('drizzle-orm/pg-core');
    const { eq, sql, asc } = require('drizzle-orm');
    const pg = require('pg');
    const pool = new pg.Pool(at);
    const db = drizzle(pool);
    const customers = core.pgSchema('shop').table('customers', {
      id: core.bigint('id', { mode: 'number' }).primaryKey(),
      name: core.varchar('name'),
      note: core.text('note'),
    });
    await db.select().from(customers).where(eq(customers.id, 3)).orderBy(asc(customers.id)).limit(5);
    await db.execute(sql`select ${1}::int as a`);
    await quietly(() =>
      db.transaction(async (t) => {
        await t.update(customers).set({ note: 'd' }).where(eq(customers.id, 1)).returning();
        await quietly(() => t.transaction(async (inner) => inner.rollback()));
        t.rollback();
      }),
    );
    await pool.end();
  },
};

await tools[process.argv[2]]();
