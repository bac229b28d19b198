// What is bound to the objects of a database: triggers, rules, row-level security, rights, owners and comments, as they are or with the reason.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { type BoundRoles, boundObjects, createRoles, dropRoles, printBound } from '../support/bound.ts';
import { copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { databaseWork, exceptions, moveDatabase, type Sides, sides } from '../support/database.ts';
import type { SharedMajor, TestDatabase } from '../support/servers.ts';

interface Bound extends Sides {
  readonly roles: BoundRoles;
  readonly present: readonly string[];
}

/** Two databases, the first with everything; roles of their own on both servers, but for the absent one of the target. */
async function world(source: SharedMajor, target: SharedMajor): Promise<Bound> {
  const suffix = randomBytes(3).toString('hex');
  const roles = { app: `app-${suffix}`, reader: `Reader ${suffix}`, absent: `absent_${suffix}` };
  const made = await sides('select 1', 'select 1', [source, target]);
  const create = (db: TestDatabase, text: string) => db.exec(text);
  await create(made.from, `${createRoles(roles)}; create role "${roles.absent}"`);
  if (source !== target) await create(made.to, createRoles(roles));
  await made.from.exec(boundObjects(roles, source));
  await made.from.exec(`insert into plain.t (id, v, n) values (1, 'a', 9), (2, 'hidden', 9); insert into "we""ird.s"."order; --" values (1, 'x');
    insert into plain.log values (1, 1), (2, 15); truncate plain.audit restart identity`);
  const present = [roles.app, roles.reader];
  return {
    ...made,
    ...{ roles, present },
    async [Symbol.asyncDispose]() {
      const owned = [...present, roles.absent].map((each) => `drop owned by "${each}" cascade`).join('; ');
      const dropped = present.map((each) => `drop role "${each}"`).join('; ');
      await made.from.exec(owned);
      await made.to.exec(source === target ? owned : `${dropRoles(present)}`);
      await made.from.exec(`${dropped}; drop role "${roles.absent}"`);
      await made[Symbol.asyncDispose]();
    },
  };
}

describe.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (source, target) => {
  test('triggers, rules, policies, grants, owners, default privileges and comments of every kind arrive just so', async () => {
    await using it = await world(source, target);
    const work = await databaseWork(it);
    const told = await copyAll(work);
    const { absent, app } = it.roles;
    const missing = `the target has no role "${absent}"`;
    const older = [
      `left_out default privileges large objects of ${app} to ${it.roles.reader}: it is of large objects: these need PostgreSQL 18 on the target`,
      `left_out grant plain.MAINTAIN to ${app} of plain.t: it is the privilege MAINTAIN: these need PostgreSQL 17 on the target`,
    ];
    const absentees = [
      `left_out default privileges tables of sluice to ${absent}: ${missing}`,
      ...['far', 'mat', 't'].map((name) => `left_out grant plain.privileges to ${absent} of plain.${name}: ${missing}`),
      `left_out owner type plain.d: ${missing}`,
      `left_out policy plain.gone of plain.t: ${missing}`,
    ];
    expect(exceptions(told)).toEqual(
      source === target ? [] : target === 14 ? [...absentees, ...older].toSorted() : absentees,
    );
    const lines = async (db: TestDatabase) => {
      const all = await printBound(db);
      return all
        .filter((line) => source === target || !line.includes(`gone | PERMISSIVE`))
        .map((line) => (source === target ? line : line.replaceAll(/absent_\w+=\w+\/[^,|]+,?/g, '')))
        .filter(
          (line) =>
            target === source ||
            !/^default privileges: .*\bL\b|^default privileges: sluice \| r|^type: plain\.d /.test(line),
        );
    };
    expect(await lines(it.to)).toEqual(await lines(it.from));
    // Killed at the very end and called again: everything is found as it was made.
    const again = listening(work);
    await finishSnapshot(again, new AbortController().signal);
    expect(exceptions(again.told)).toEqual(exceptions(told));
    expect([...again.told.objects.values()].filter(({ state }) => state === 'created')).toEqual([]);
    const written = 'select what, arg from plain.audit order by at';
    expect(await it.to.exec(written)).toEqual(await it.from.exec(written));
  });
});

test('an ordinary role makes all that it may, and the rest is in the ledger with the statements for an administrator', async () => {
  await using it = await world(18, 18);
  const role = `low_${randomBytes(4).toString('hex')}`;
  const { app, reader } = it.roles;
  await it.to.exec(`create role ${role} login password 'x'; grant "${app}" to ${role};
    grant create on database "${it.to.database}" to ${role}; grant create on schema public to ${role}`);
  try {
    const work = await databaseWork(it);
    const told = await copyAll({ ...work, target: { ...work.target, user: role, password: 'x' } });
    const rest = [...told.objects.values()].filter(({ state }) => state !== 'created' && state !== 'existed');
    expect(rest.filter(({ statement }) => statement === undefined)).toEqual([]);
    const owners = rest.filter(({ kind, state }) => kind === 'owner' && state === 'left_out');
    expect(new Set(owners.map(({ state, reason }) => `${state}: ${reason?.replace(/ "absent.*/, ' absent')}`))).toEqual(
      new Set(['left_out: our role is no member of "sluice"', 'left_out: our role is no member of absent']),
    );
    // What stands on those fails with them.
    const others = exceptions(told).filter((line) => !/^left_out owner| is not there$/.test(line));
    expect(others).toEqual([
      'failed comment extension plpgsql: must be owner of extension plpgsql',
      'failed comment schema public: must be owner of schema public',
      `failed default privileges plain.tables of sluice to ${reader}: permission denied to change default privileges`,
      `failed default privileges tables of sluice to ${it.roles.absent}: permission denied to change default privileges`,
      'failed event trigger ev "1": permission denied to create event trigger "ev "1""',
      'failed event trigger ev_always: permission denied to create event trigger "ev_always"',
      'failed event trigger ev_off: permission denied to create event trigger "ev_off"',
      'failed foreign-data wrapper w "1": permission denied to create foreign-data wrapper "w "1""',
      `failed grant pg_catalog.privileges of column datname to ${app} of pg_catalog.pg_database: no privileges were granted for column "datname" of relation "pg_database"`,
      'failed grant revoked from PUBLIC on language plpgsql: no privileges could be revoked for "plpgsql"',
      'failed grant revoked from PUBLIC on routine pg_catalog.pg_sleep(double precision): no privileges could be revoked for "pg_sleep"',
      `failed grant to ${reader} on routine pg_catalog.pg_ls_waldir(): permission denied for function pg_ls_waldir`,
      `failed grant to ${app} on language plpgsql: no privileges were granted for "plpgsql"`,
      'failed operator class plain.ops using "btree": must be superuser to create an operator class',
      'failed operator family plain.fam using "btree": must be superuser to create an operator family',
    ]);
    const owned = await it.to.exec<{ name: string }>(`select c.oid::regclass::text as name from pg_class c
      where pg_get_userbyid(c.relowner) = '${app}' and c.relkind in ('r', 'v', 'S') order by 1`);
    expect(owned.map(({ name }) => name)).toEqual(['plain.log_1', 'plain.s', 'plain.v']);
  } finally {
    await it.to.exec(`drop owned by ${role} cascade; drop role ${role}`);
  }
});

test('what is bound to a table goes with it to another name, and without the columns that are left out', async () => {
  await using it = await world(18, 18);
  const { app, reader } = it.roles;
  await it.from.exec(`create table plain.moved (id int primary key, v text, n int, secret text); grant select on plain.moved to "${reader}";
    grant update (v), select (secret) on plain.moved to "${app}"; comment on column plain.moved.v is 'v';
    create trigger same before update on plain.moved for each row execute function plain.before('plain', 'moved');
    create trigger named after insert on plain.moved for each row execute function plain.note('plain.moved');
    create trigger secretly before update of secret on plain.moved for each row execute function plain.before();
    create rule also as on insert to plain.moved where new.id > 5 do also delete from plain.moved m where m.id = new.id - 5;
    create policy own on plain.moved using (id in (select moved.id from plain.moved)); create policy veiled on plain.moved using (secret = 'x');
    create policy far on plain.moved using (id in (select id from plain.t)); alter table plain.moved enable row level security;
    comment on policy own on plain.moved is 'own'; comment on trigger same on plain.moved is 'same'`);
  const to = { schema: 'else"where', name: 'gone; --' };
  const work = mirrorWork(it, [table('plain.moved', { to, exclude: ['secret'] })], { initial_copy_only: true });
  const told = await copyAll(work);
  const secret = 'its column secret is excluded from the mirror';
  expect(exceptions(told)).toEqual([
    `left_out grant plain.privileges of column secret to ${app} of plain.moved: ${secret}`,
    'left_out policy plain.far of plain.moved: it needs plain.t, which is neither mirrored nor on the target',
    `left_out policy plain.veiled of plain.moved: ${secret}`,
    'left_out trigger plain.named of plain.moved: its text names plain.moved, which is else"where.gone; -- on the target, in a string that is left as it is',
    `left_out trigger plain.secretly of plain.moved: ${secret}`,
  ]);
  const bound = (await printBound(it.to))
    .filter((line) => /else|plain/.test(line))
    .map((line) => line.replaceAll(/[- _][0-9a-f]{6}\b/g, ''));
  expect(bound).toMatchInlineSnapshot(`
    [
      "trigger: CREATE TRIGGER same BEFORE UPDATE ON "else""where"."gone; --" FOR EACH ROW EXECUTE FUNCTION plain.before('plain', 'moved') O",
      "rule: CREATE RULE also AS
        ON INSERT TO "else""where"."gone; --"
       WHERE (new.id > 5) DO  DELETE FROM "else""where"."gone; --" m
      WHERE (m.id = (new.id - 5)); O",
      "policy: else"where | gone; -- | own | PERMISSIVE | {public} | ALL | (id IN ( SELECT moved_1.id
       FROM "else""where"."gone; --" moved_1))",
      "row security: "else""where"."gone; --" true false",
      "relation: "else""where"."gone; --" | sluice | Reader=SELECT/sluice,absent=INSERT/sluice,sluice=DELETE/sluice,sluice=INSERT/sluice,sluice=REFERENCES/sluice,sluice=SELECT/sluice,sluice=TRIGGER/sluice,sluice=TRUNCATE/sluice,sluice=UPDATE/sluice | v app=UPDATE/sluice",
      "routine: plain.before() | sluice | sluice=EXECUTE/sluice,PUBLIC=EXECUTE/sluice",
      "routine: plain.note() | sluice | sluice=EXECUTE/sluice,PUBLIC=EXECUTE/sluice",
      "schema: else"where | sluice | sluice=CREATE/sluice,sluice=USAGE/sluice",
      "schema: plain | sluice | sluice=CREATE/sluice,sluice=USAGE/sluice",
      "comment: policy own on "else""where"."gone; --": own",
      "comment: table column "else""where"."gone; --".v: v",
      "comment: trigger same on "else""where"."gone; --": same",
    ]
  `);
});

test('owners, grants and comments of large objects arrive with them', async () => {
  await using it = await world(18, 18);
  const { app, reader } = it.roles;
  await it.from.exec(`select lo_from_bytea(80000 + i, 'x') from generate_series(1, 1200) i;
    do $$ begin for i in 80001..80600 loop execute format('alter large object %s owner to %I', i, '${app}'); end loop; end $$;
    grant select on large object 80001, 80002, 81000 to "${reader}"; grant select, update on large object 81001 to public;
    grant select on large object 80003 to "${reader}" with grant option; set role "${reader}"; grant select on large object 80003 to public; reset role;
    comment on large object 80005 is 'it''s one'; comment on large object 81200 is 'another'`);
  const rights = `select oid, pg_get_userbyid(lomowner) as owner, lomacl::text as acl, obj_description(oid, 'pg_largeobject') as said
    from pg_largeobject_metadata order by oid`;
  const told = await moveDatabase(it);
  expect(exceptions(told)).toEqual([]);
  expect(await it.to.exec(rights)).toEqual(await it.from.exec(rights));
});

test('what the mirror leaves to an administrator is told with its statement, and found once it was done', async () => {
  await using it = await world(18, 18);
  const { app, reader } = it.roles;
  await it.from.exec(`alter database "${it.from.database}" set search_path = plain, "$user"; alter database "${it.from.database}" set work_mem = '7MB';
    alter database "${it.from.database}" set app.jwt = 'hush'; comment on database "${it.from.database}" is 'all of it';
    alter role "${app}" in database "${it.from.database}" set "my.set" = 'a''b'; grant create on database "${it.from.database}" to "${reader}";
    create function plain.keyed() returns int language sql set work_mem = '7MB' set "my.key" = 'hu''sh' as 'select 1';
    create function plain.theirs() returns int language sql as 'select 1'; alter function plain.theirs() owner to "${app}";
    set allow_system_table_mods = on; insert into pg_seclabel select 'plain.theirs'::regproc, 'pg_proc'::regclass, 0, 'dummy', 'secret''s';
    reset allow_system_table_mods`);
  // There before, and another's.
  await it.to.exec(`create schema plain; create function plain.theirs() returns int language sql as 'select 1';
    alter function plain.theirs() owner to "${reader}"; comment on function plain.theirs() is 'other'`);
  await it.from.exec(`comment on function plain.theirs() is 'ours'`);
  const told = await moveDatabase(it);
  const left = (lines: typeof told.objects) =>
    [...lines.values()]
      .filter(({ state }) => state === 'left_out')
      .map(({ kind, name, reason, statement }) => [kind, name, reason, statement]);
  const to = `"${it.to.database}"`;
  const itself = 'the database itself is not changed by a mirror';
  expect(left(told.objects).toSorted()).toEqual(
    [
      [
        'comment',
        'function plain.theirs()',
        'the target has another comment there',
        `comment on function plain.theirs() is 'ours'`,
      ],
      ['comment', 'on the database', itself, `comment on database ${to} is 'all of it'`],
      [
        'security label',
        'dummy: function plain.theirs()',
        'labels belong to a module of the source; the target may know others',
        `security label for 'dummy' on function plain.theirs() is 'secret''s'`,
      ],
      [
        'setting',
        `of ${app} in the database: my.set`,
        itself,
        `alter role "${app}" in database ${to} set "my"."set" to '********'`,
      ],
      ['setting', 'of the database: app.jwt', itself, `alter database ${to} set "app"."jwt" to '********'`],
      ['setting', 'of the database: search_path', itself, `alter database ${to} set "search_path" to plain, "$user"`],
      ['setting', 'of the database: work_mem', itself, `alter database ${to} set "work_mem" to '7MB'`],
      ['grant', `to ${reader} on the database`, itself, `grant create on database ${to} to "${reader}"`],
      [
        'owner',
        'routine plain.theirs()',
        'it belongs to another role on the target',
        `alter routine plain.theirs() owner to "${app}"`,
      ],
    ].toSorted(),
  );
  const keyed = [...told.objects.values()].find(({ name }) => name === 'keyed()');
  expect(keyed?.state).toBe('created');
  expect(keyed?.statement).toMatch(/ SET work_mem TO '7MB'\n SET "my\.key" TO '\*{8}'\nAS /);
  expect(await it.to.exec(`select proconfig from pg_proc where proname = 'keyed'`)).toEqual([
    { proconfig: ['work_mem=7MB', "my.key=hu'sh"] },
  ]);
  for (const [kind, , , statement] of left(told.objects))
    if (kind !== 'security label')
      await it.to.exec((statement ?? '').replace("'********'", statement?.includes('jwt') ? "'hush'" : "'a''b'"));
  const again = await moveDatabase(it, { initial_copy_only: true, resync: true });
  expect(left(again.objects).map(([kind]) => kind)).toEqual(['security label']);
});

test('what is bound to a schema goes with it to another name', async () => {
  await using it = await world(18, 18);
  const scope = { kind: 'schemas', pairs: [{ from: 'plain', to: 'el"se' }] } as const;
  const told = await copyAll(await databaseWork(it, { initial_copy_only: true }, scope));
  // A body is left as it is, and what it names is elsewhere; types and collations stay where they are.
  const withoutNote = exceptions(told).filter(
    (line) => !/ function note\(\) is left out$|: trigger .* is left out$/.test(line),
  );
  expect(withoutNote).toEqual([
    'left_out function plain.note(): its text names plain.audit, which is el"se.audit on the target, in a string that is left as it is',
    'left_out trigger plain.t "1"; -- of plain.t: its text names plain.t, which is el"se.t on the target, in a string that is left as it is',
  ]);
  const lines = async (db: TestDatabase) =>
    (await printBound(db))
      .filter((line) => /\bplain\b|el"+se/.test(line) && !/\.note|trigger "|^event trigger|we.+ird/.test(line))
      .map((line) => line.replaceAll('"el""se"', 'plain').replaceAll('el"se', 'plain').replaceAll('"', ''))
      .toSorted();
  const home = 'schema: plain | sluice | sluice=CREATE/sluice,sluice=USAGE/sluice';
  expect((await lines(it.to)).filter((line) => line !== home)).toEqual(await lines(it.from));
});
