// Checks of target tables that are used as they are: what would fire, what rows must satisfy there, and what a replacement would break.
import type { Connection } from '../pg/client.ts';
import { ident } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import {
  type Firing,
  type ForeignKey,
  type RowRule,
  readDependents,
  readFiring,
  readForeignKeys,
  readRowRules,
} from './inspect-standing.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';

/** A mirrored table of the source and the one that stands where it goes. */
export interface StandingPair {
  readonly source: Table;
  readonly target: Table;
}

/** What is read of both sides for these checks. */
export interface Standing {
  /** Tables that stand and stay. */
  readonly pairs: readonly StandingPair[];
  /** Tables that are to be dropped and made anew. */
  readonly replaced: readonly TableName[];
  readonly firing: readonly Firing[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly sourceRules: readonly RowRule[];
  readonly targetRules: readonly RowRule[];
  /** What hangs on the tables that are to be dropped. */
  readonly dependents: readonly string[];
}

/** Reads both sides. */
export async function readStanding(
  sides: { readonly source: Connection; readonly target: Connection },
  pairs: readonly StandingPair[],
  replaced: readonly TableName[],
): Promise<Standing> {
  const gone = new Set(replaced.map(showTable));
  const kept = pairs.filter(({ target }) => !gone.has(showTable(target)));
  const targets = kept.map(({ target }) => target.oid);
  return {
    pairs: kept,
    replaced,
    firing: await readFiring(sides.target, targets),
    foreignKeys: await readForeignKeys(sides.target, targets),
    sourceRules: await readRowRules(
      sides.source,
      kept.map(({ source }) => source.oid),
    ),
    targetRules: await readRowRules(sides.target, targets),
    dependents: await readDependents(sides.target, replaced),
  };
}

/** Pure. @param rights whether triggers and foreign keys can be switched off for our sessions, and who we are */
export function checkStandingTables(
  plan: MirrorPlan,
  standing: Standing,
  rights: { readonly replicaRole: boolean; readonly user: string },
): readonly Finding[] {
  return [
    ...checkFiring(standing, rights),
    ...checkForeignKeys(plan, standing, rights),
    ...checkRowRules(standing),
    ...checkCollations(standing),
    ...checkDependents(standing),
  ];
}

function checkFiring(
  { pairs, firing }: Standing,
  { replicaRole, user }: { readonly replicaRole: boolean; readonly user: string },
): readonly Finding[] {
  const check = 'session_replication_role';
  const fires = firing.filter(({ enabled }) => enabled === 'A' || enabled === (replicaRole ? 'R' : 'O'));
  const fine = 'triggers and foreign keys do not fire for mirrored rows';
  if (fires.length === 0) return pairs.length === 0 && !replicaRole ? [] : [ok(check, fine)];
  const [first] = fires;
  const switchOff = fires.map((each) => {
    const table = ident(each.schema, each.name).text;
    const [kind = '', ...name] = each.what.split(' ');
    return `ALTER TABLE ${table} DISABLE ${kind.toUpperCase()} ${ident(name.join(' ')).text};`;
  });
  const grant = `GRANT SET ON PARAMETER session_replication_role TO ${ident(user).text}; (from PostgreSQL 15), or until the cut-over: `;
  return [
    warning(check, `${first?.what} of ${showTable(first as TableName)} on the target fires for mirrored rows`, {
      detail: `Firing: ${fires.map((each) => `${each.what} of ${showTable(each)}`).join(', ')}.`,
      hint: `${replicaRole ? 'Until the cut-over: ' : grant}${switchOff.join(' ')}`,
    }),
  ];
}

// Tables are filled side by side, so a row may come before the one that it refers to.
function checkForeignKeys(
  plan: MirrorPlan,
  { pairs, foreignKeys }: Standing,
  { replicaRole }: { readonly replicaRole: boolean },
): readonly Finding[] {
  if (replicaRole) return [];
  const check = 'foreign keys of target tables';
  const ours = new Set(pairs.map(({ target }) => target.oid));
  const show = (key: ForeignKey) => `${key.constraint} of ${showTable(key)}`;
  const drop = (key: ForeignKey) =>
    `ALTER TABLE ${ident(key.schema, key.name).text} DROP CONSTRAINT ${ident(key.constraint).text};`;
  const between = foreignKeys.filter((key) => ours.has(key.root));
  const outside = foreignKeys.filter((key) => !ours.has(key.root));
  const findings: Finding[] = [];
  if (between.length > 0 && plan.options.do_initial_copy) {
    findings.push(
      problem(check, 'wrong_state', {
        message: `foreign key ${show(between[0] as ForeignKey)} on the target is looked at while tables are filled side by side`,
        detail: `Foreign keys: ${between.map(show).join(', ')}.`,
        hint: `Drop them until the copy is done: ${between.map(drop).join(' ')}`,
      }),
    );
  }
  const changing = outside.filter(({ onDelete }) => ['c', 'n', 'd'].includes(onDelete));
  if (changing.length > 0 && plan.options.resync) {
    findings.push(
      problem(check, 'wrong_state', {
        message: `to empty the tables would change rows of ${showTable(changing[0] as ForeignKey)} on the target, which is not of the mirror`,
        detail: `By ON DELETE of: ${changing.map(show).join(', ')}.`,
        hint: `Drop them until the copy is done: ${changing.map(drop).join(' ')}`,
      }),
    );
  }
  return findings;
}

function checkRowRules({ pairs, sourceRules, targetRules }: Standing): readonly Finding[] {
  const [theirs, ours] = [byTable(sourceRules), byTable(targetRules)];
  const more = pairs.flatMap(({ source, target }) => {
    const there = theirs.get(source.oid) ?? [];
    return (ours.get(target.oid) ?? [])
      .filter((rule) => !there.some((each) => each.kind === rule.kind && each.definition === rule.definition))
      .map((rule) => `${showTable(target)}: ${rule.kind} ${rule.name} (${rule.definition})`);
  });
  if (more.length === 0) return [];
  return [
    warning('constraints of target tables', `rows must satisfy more on the target than on the source: ${more[0]}`, {
      detail: more.join('\n'),
      hint: 'The first row that does not stops the mirror and is named.',
    }),
  ];
}

function byTable(rules: readonly RowRule[]): ReadonlyMap<number, readonly RowRule[]> {
  const found = new Map<number, RowRule[]>();
  for (const rule of rules) {
    const list = found.get(rule.table);
    if (list === undefined) found.set(rule.table, [rule]);
    else list.push(rule);
  }
  return found;
}

function checkCollations({ pairs }: Standing): readonly Finding[] {
  const show = (collation: TableName | null) => (collation === null ? "the type's own" : showTable(collation));
  const other = pairs.flatMap(({ source, target }) =>
    source.columns.flatMap((column) => {
      const there = target.columns.find((each) => each.name === column.name);
      if (there === undefined || show(there.collation) === show(column.collation)) return [];
      return [`${showTable(target)}.${column.name}: ${show(there.collation)}, on the source ${show(column.collation)}`];
    }),
  );
  if (other.length === 0) return [];
  return [
    warning('collations of target tables', `values are ordered and compared otherwise on the target: ${other[0]}`, {
      detail: other.join('\n'),
      hint: 'Nothing is lost by that; what is unique on the source may not be unique there.',
    }),
  ];
}

function checkDependents({ replaced, dependents }: Standing): readonly Finding[] {
  if (dependents.length === 0) return [];
  return [
    problem('dependents of replaced tables', 'dependent_objects', {
      message: `${showTable(replaced[0] as TableName)} cannot be replaced: ${dependents[0]} depends on what is to be dropped`,
      detail: `To be dropped: ${replaced.map(showTable).join(', ')}. Depending on that: ${dependents.join(', ')}.`,
      hint: 'Drop them, and make them again after the copy; or change the tables so that they fit.',
    }),
  ];
}
