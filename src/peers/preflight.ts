// The doctor's list: everything that would keep a mirror from being made or from running, found before anything is made.
import { toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';
import { checkPeer } from './checks.ts';
import { rehearseDdlCapture } from './ddl-capture.ts';
import { inspectTables } from './inspect.ts';
import { checkBack, readBack } from './preflight-back.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';
import { checkLargeObjects } from './preflight-large-objects.ts';
import { checkPlan } from './preflight-plan.ts';
import { checkSchema, readSchemaSides, tablesToReplace } from './preflight-schema.ts';
import {
  checkSlot,
  checkSourcePublication,
  checkSourceServer,
  checkVersion,
  readSourceObjects,
} from './preflight-source.ts';
import { checkStandingTables, readStanding } from './preflight-standing.ts';
import { checkSourceTables, type FoundTable, findTables, publishedTables, readRelations } from './preflight-tables.ts';
import { checkTarget, readTargetObjects } from './preflight-target.ts';
import { type Publication, readPublication, rehearsePublication } from './publication.ts';
import { checkOwnFilter, checkReadable, filterDifference } from './publication-filter.ts';

export interface Preflight {
  readonly findings: readonly Finding[];
  /** The source's tables as inspected, in the plan's order; missing ones are left out. */
  readonly tables: readonly Table[];
}

/**
 * Looks at both sides and changes neither. `throwFirstError` makes an error of what it finds.
 * @throws only what keeps it from looking: `connection_lost`, `upstream`
 */
export async function preflight(source: Connection, target: Connection, plan: MirrorPlan): Promise<Preflight> {
  const [sourceFacts, targetFacts] = await Promise.all([checkPeer(source), checkPeer(target)]);
  const findings: Finding[] = [checkVersion('source', sourceFacts), checkVersion('target', targetFacts)];
  const ofPlan = checkPlan(plan, sourceFacts, targetFacts);
  findings.push(...ofPlan);
  // The target meanwhile; what keeps it from being read is met where it is looked at.
  const reading = inspectTables(
    target,
    plan.tables.map(({ to }) => to),
  );
  reading.catch(() => undefined);
  const tables = await inspectTables(
    source,
    plan.tables.map(({ from }) => from),
    { sizes: false },
  );
  const found = findTables(plan, tables, await readRelations(source, tables));
  findings.push(...checkSourceServer(plan, sourceFacts, publishedTables(found)));
  findings.push(...checkSourceTables(plan, found, sourceFacts));
  const objects = await readSourceObjects(source, plan, readPublication);
  findings.push(...checkSlot(plan, sourceFacts, objects));
  findings.push(
    ...checkSourcePublication(plan, sourceFacts, { publication: objects.publication, tables: publishedTables(found) }),
  );
  findings.push(...(await checkCapture(source, plan)));
  if (!findings.some((finding) => finding.state === 'error'))
    findings.push(...(await checkFilters(source, plan, { found, publication: objects.publication })));
  if (!findings.some((finding) => finding.state === 'error')) findings.push(...(await checkKeys(source, found)));
  // What a plan would do that cannot be is not worth looking at: onto itself, every table has rows.
  if (ofPlan.some((finding) => finding.state === 'error')) return { findings, tables };
  const standing = await reading;
  const objectsOfTarget = await readTargetObjects(target, plan, standing);
  if (plan.slot !== null && !targetFacts.isStandby) {
    findings.push(...checkBack(plan, await readBack(source, target), targetFacts));
  }
  findings.push(...checkTarget(plan, found, { ...objectsOfTarget, facts: targetFacts }));
  findings.push(...(await checkLargeObjects(source, target, plan)));
  const sides = await readSchemaSides(source, target, { plan, tables });
  findings.push(...checkSchema(plan, sides));
  if (targetFacts.isStandby) return { findings, tables };
  const byName = new Map(standing.map((each) => [showTable(each), each]));
  const pairs = found.flatMap(({ mapping, table }) => {
    const there = byName.get(showTable(mapping.to));
    return there === undefined ? [] : [{ source: table, target: there }];
  });
  const around = await readStanding({ source, target }, pairs, tablesToReplace(plan, sides));
  findings.push(...checkStandingTables(plan, around, targetFacts));
  return { findings, tables };
}

// Whether our role may make event triggers, the server knows: superusers may, and whom a provider lets.
async function checkCapture(source: Connection, plan: MirrorPlan): Promise<readonly Finding[]> {
  if (plan.slot === null || plan.options.schema_changes !== 'full') return [];
  const check = 'schema changes';
  try {
    await rehearseDdlCapture(source, plan.source?.metadataSchema ?? plan.target.metadataSchema);
    return [ok(check, 'event triggers of ours can tell of every change of the schema')];
  } catch (error) {
    const { kind, message, detail, hint } = toSluiceError(error);
    if (kind === 'connection_lost' || kind === 'stopped') throw error;
    return [problem(check, kind === 'upstream' ? 'not_ready' : kind, { message, detail, hint })];
  }
}

// PostgreSQL alone knows whether a predicate is right, and which columns it uses: so it is asked.
async function checkFilters(
  source: Connection,
  plan: MirrorPlan,
  { found, publication }: { readonly found: readonly FoundTable[]; readonly publication: Publication | null },
): Promise<readonly Finding[]> {
  const filtered = publishedTables(found).filter((each) => each.where !== null);
  try {
    if (plan.slot !== null && !plan.publication.made) {
      const differences = await givenFilters(source, found, publication);
      if (differences.length > 0) return [differentFilters(plan, differences)];
    }
    if (filtered.length === 0) return [];
    if (plan.slot !== null && plan.publication.made) {
      await rehearsePublication(source, plan.publication.name, filtered);
    } else if (plan.slot === null) {
      for (const { table, where } of filtered) {
        if (where !== null) await checkReadable(source, table, where);
      }
    }
    const large = plan.slot === null ? [] : await largeValues(source, filtered);
    return [ok('filters', 'every filter can be used'), ...large];
  } catch (error) {
    const known = toSluiceError(error);
    if (known.kind === 'connection_lost' || known.kind === 'stopped') throw known;
    const kind = known.kind === 'upstream' ? 'invalid_option' : known.kind;
    return [
      problem('filters', kind, {
        message: known.kind === 'upstream' ? `"where" cannot be used: ${known.message}` : known.message,
        detail: known.detail,
        hint: known.hint ?? 'A filter uses columns of the table, and built-in functions that always answer the same.',
      }),
    ];
  }
}

// A large value that an update leaves as it is does not stand in the log: nobody has it then of a row that is new to the filter.
async function largeValues(
  source: Connection,
  filtered: ReturnType<typeof publishedTables>,
): Promise<readonly Finding[]> {
  const partial = filtered.filter(({ table }) => table.replicaIdentity !== 'f');
  const rows = await source.query<{ oid: number; columns: readonly string[] }>(sql`
    select a.attrelid::oid as oid, pg_catalog.json_agg(a.attname order by a.attnum) as columns
    from pg_catalog.pg_attribute a
    where a.attrelid = any(${partial.map(({ table }) => table.oid)}::oid[]) and a.attnum > 0 and not a.attisdropped
      and a.attstorage <> 'p' group by a.attrelid`);
  const byTable = new Map(rows.map(({ oid, columns }) => [oid, columns]));
  const found = partial.flatMap(({ table, exclude }) => {
    const sent = new Set([...(table.identityColumns ?? []), ...exclude]);
    const columns = byTable.get(table.oid)?.filter((name) => !sent.has(name)) ?? [];
    return columns.length === 0 ? [] : [{ table, columns }];
  });
  if (found.length === 0) return [];
  return [
    warning('large values and filters', 'an update of a key that brings a row into a filter must be sent whole', {
      detail: `Values that may be large, and are then not sent: ${found.map(({ table, columns }) => `${showTable(table)} (${columns.join(', ')})`).join('; ')}.`,
      hint: `If keys of these are updated, else the mirror stops at such a row: ${found.map(({ table }) => `ALTER TABLE ${ident(table.schema, table.name).text} REPLICA IDENTITY FULL;`).join(' ')}`,
    }),
  ];
}

// Whether a type has an order, PostgreSQL knows.
async function checkKeys(source: Connection, found: readonly FoundTable[]): Promise<readonly Finding[]> {
  const keyed = found.filter(({ mapping }) => mapping.key !== null);
  if (keyed.length === 0) return [];
  const wrong: string[] = [];
  for (const { mapping, table } of keyed) {
    const key = mapping.key ?? '';
    const ordered = sql`explain select from ${ident(table.schema, table.name)} order by ${ident(key)}`;
    await source.run(ordered).catch((error: unknown) => {
      const known = toSluiceError(error);
      if (known.kind !== 'upstream') throw known;
      wrong.push(`${showTable(table)}.${key}: ${known.message}`);
    });
  }
  if (wrong.length === 0) return [ok('keys to cut by', 'all have an order')];
  return [
    problem('keys to cut by', 'invalid_option', {
      message: `a table cannot be cut by a key without an order: ${wrong[0]}`,
      detail: wrong.length === 1 ? undefined : wrong.join('\n'),
      hint: 'Leave "key" out, or name a column of a type that has an order.',
    }),
  ];
}

// What a given publication filters otherwise than the mapping; what it does not filter at all is ours to filter.
async function givenFilters(
  source: Connection,
  found: readonly FoundTable[],
  publication: Publication | null,
): Promise<readonly string[]> {
  const differences: string[] = [];
  const published = new Map(publication?.tables.map((each) => [showTable(each), each]));
  for (const { mapping, table } of found) {
    const { filter = null, columns: sent = null } = published.get(showTable(table)) ?? {};
    if (filter === null) await checkOwnFilter(source, { table, where: mapping.where, sent });
    else differences.push(...[(await filterDifference(source, mapping, filter)) ?? []].flat());
  }
  return differences;
}

function differentFilters(plan: MirrorPlan, differences: readonly string[]): Finding {
  return problem('filters', 'wrong_state', {
    message: `publication "${plan.publication.name}" filters rows otherwise than the mirror: ${differences[0]}`,
    detail: differences.join('\n'),
    hint: 'Give the mapping the same "where", or the publication none: then the mirror filters by itself.',
  });
}
