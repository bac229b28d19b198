// The doctor's list: everything that would keep a mirror from being made or from running, found before anything is made.
import { toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql, trusted } from '../pg/sql.ts';
import type { Table } from '../pg/table.ts';
import { checkPeer } from './checks.ts';
import { inspectTables } from './inspect.ts';
import { type Finding, type MirrorPlan, ok, problem } from './preflight-finding.ts';
import { checkPlan } from './preflight-plan.ts';
import { checkSchema, readSchemaSides } from './preflight-schema.ts';
import {
  checkSlot,
  checkSourcePublication,
  checkSourceServer,
  checkVersion,
  readSourceObjects,
} from './preflight-source.ts';
import { checkSourceTables, type FoundTable, findTables, publishedTables, readRelations } from './preflight-tables.ts';
import { checkTarget, readTargetObjects } from './preflight-target.ts';
import { readPublication, rehearsePublication, runAlone } from './publication.ts';

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
  const tables = await inspectTables(
    source,
    plan.tables.map(({ from }) => from),
  );
  const found = findTables(plan, tables, await readRelations(source, tables));
  findings.push(...checkSourceServer(plan, sourceFacts, publishedTables(found)));
  findings.push(...checkSourceTables(plan, found, sourceFacts));
  const objects = await readSourceObjects(source, plan, readPublication);
  findings.push(...checkSlot(plan, sourceFacts, objects));
  findings.push(
    ...checkSourcePublication(plan, sourceFacts, { publication: objects.publication, tables: publishedTables(found) }),
  );
  if (!findings.some((finding) => finding.state === 'error'))
    findings.push(...(await checkFilters(source, plan, found)));
  // What a plan would do that cannot be is not worth looking at: onto itself, every table has rows.
  if (ofPlan.some((finding) => finding.state === 'error')) return { findings, tables };
  const standing = await inspectTables(
    target,
    plan.tables.map(({ to }) => to),
  );
  const objectsOfTarget = await readTargetObjects(target, plan, standing);
  findings.push(...checkTarget(plan, found, { ...objectsOfTarget, facts: targetFacts }));
  findings.push(...checkSchema(plan, await readSchemaSides(source, target, { plan, tables })));
  return { findings, tables };
}

// PostgreSQL alone knows whether a predicate is right, and which columns it uses: so it is asked.
async function checkFilters(
  source: Connection,
  plan: MirrorPlan,
  found: readonly FoundTable[],
): Promise<readonly Finding[]> {
  const filtered = publishedTables(found).filter((each) => each.where !== null);
  if (filtered.length === 0) return [];
  try {
    if (plan.slot !== null && plan.publication.made) {
      await rehearsePublication(source, plan.publication.name, filtered);
    } else {
      for (const { table, where } of filtered) {
        const name = ident(table.schema, table.name);
        // The newline ends a comment that the predicate may end with.
        await runAlone(source, sql`explain select from ${name} where (${trusted(`${where}\n`)})`);
      }
    }
    return [ok('filters', 'every filter can be used')];
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
