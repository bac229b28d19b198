// Partitioned tables that must be read whole once more, while their partitions come, go and are emptied.
import { expect, test } from 'vitest';
import { everything, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

test('partitions that came, went and changed places before a partitioned table could be read again follow with all their rows', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    ...{ source, target, mirrored: ['p', 'lone'], options: { schema_changes: 'full' }, scope: { kind: 'all' } },
    tables: `create table p (id int, r int, v text, primary key (id, r)) partition by range (r);
      create table p1 partition of p for values from (0) to (10); create table p2 partition of p for values from (10) to (20);
      create table p3 partition of p for values from (20) to (30); create table p4 partition of p for values from (70) to (80);
      insert into p values (1, 1, 'a'), (2, 11, 'b'), (3, 21, 'c'), (4, 71, 'd');
      create table lone (id int, r int not null, v text, primary key (id, r)); insert into lone values (50, 55, 'l')`,
  });
  await quieted(f);
  // The first of these makes the table be read again; the source is as it is after the last by then.
  await source.exec(`create table filled (like p including all); insert into filled values (70, 35, 'f');
    alter table p attach partition filled for values from (30) to (40)`);
  await source.exec(`create table p5 partition of p for values from (40) to (50) partition by list (id);
    create table p51 partition of p5 default; insert into p values (80, 45, 'x')`);
  await source.exec(`insert into lone values (51, 56, 'm'); alter table p attach partition lone for values from (50) to (60);
    delete from p where id = 50; update p set v = 'n' where id = 51`);
  await source.exec(
    `drop table p2; create table p2 partition of p for values from (10) to (20); insert into p values (9, 19, 'new')`,
  );
  await source.exec(`alter table p detach partition p3; insert into p3 values (1000, 1000, 'alone')`);
  await source.exec(`alter table p detach partition p4; alter table p4 rename to p4_old; insert into p4_old values (5, 75, 'e');
    create table p4 partition of p for values from (70) to (80); insert into p values (6, 76, 'g')`);
  await source.exec('alter table p1 rename to first; update p set v = v || v');
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
});
