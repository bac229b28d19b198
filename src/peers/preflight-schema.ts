// Checks that the target can be given the tables: the same plan that makes them later, drawn up before anything is made.
import type { Connection } from '../pg/client.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { cannotTake } from './ddl-fit.ts';
import { growTrees, planInput, readFactsAndRefusals, readSourceSchema, type SourceSchema } from './ddl-input.ts';
import { planAfterDrops, planSchema, type SchemaPlan } from './ddl-plan.ts';
import type { TargetFacts } from './inspect-target.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';
import { type DatabasePlan, planSides, readCommon, readSourceSide, readTargetSide } from './schema/read-plan.ts';
import { readUnlogged, unfollowedPartitions } from './schema/unlogged.ts';

/** What is read of both sides for a plan of the target's schema. */
export interface SchemaSides {
  readonly schema: SourceSchema;
  readonly target: TargetFacts;
  readonly database: DatabasePlan;
  /** Tables that are made and stay empty. */
  readonly unlogged: readonly Table[];
}

const isTable = (table: Table | undefined) => table === undefined || table.kind === 'r' || table.kind === 'p';

/** Reads both sides; tables that are of no use for a mirror are told of by other checks and left out. */
export async function readSchemaSides(
  source: Connection,
  target: Connection,
  look: { readonly plan: MirrorPlan; readonly tables: readonly Table[] },
): Promise<SchemaSides> {
  // Of a view or a foreign table, a copy makes a table.
  const usable = look.plan.slot === null ? look.tables : look.tables.filter(isTable);
  const common = await readCommon({ source, target }, look.plan);
  const [ofSource, targetSide] = await Promise.all([
    (async () => {
      const trees = await growTrees(source, look.plan.tables, usable);
      const schema = await readSourceSchema(source, trees);
      const unlogged = await readUnlogged(source, look.plan);
      return { schema, trees, unlogged, side: await readSourceSide(source, look.plan, common) };
    })(),
    readTargetSide(target, look.plan, common),
  ]);
  const { schema, trees, unlogged, side } = ofSource;
  const database = planSides({ source: side, target: targetSide }, look.plan, [...trees, ...unlogged]);
  const facts = await readFactsAndRefusals(target, schema);
  return { schema, database, target: facts, unlogged: unlogged.map(({ root }) => root) };
}

/** What the target lacks or holds otherwise, and what of the source does not go along. Pure. */
export function checkSchema(plan: MirrorPlan, sides: SchemaSides): readonly Finding[] {
  const { schema, target, database } = sides;
  const check = 'schema of the target';
  const usable = {
    ...schema,
    trees: schema.trees.filter(({ mapping }) => isTable(target.tables.get(showTable(mapping.to)))),
  };
  const found = planAfterDrops(planInput(usable, target, plan, database));
  const more = [
    ...checkInheritance(plan, schema),
    ...checkPartitions(plan, schema),
    ...checkPlaces(found),
    ...checkUnlogged(plan, sides),
    ...checkObjects(database),
  ];
  if (found.problems.length === 0) return [ok(check, 'every table can be made there or fits'), ...more];
  const unfit =
    'ALTER the tables of the target so that they fit, exclude columns, or replace them: WITH (resync = true).';
  const lacking = 'Make on the target what it lacks, or exclude the columns that need it.';
  return [
    problem(check, 'wrong_state', {
      ...cannotTake(found.problems),
      hint: found.remedies.length > 0 ? found.remedies.join(' ') : found.unfit.length > 0 ? unfit : lacking,
    }),
    ...more,
  ];
}

/** Tables of the target that the mirror would drop to make them anew. Pure. */
export function tablesToReplace(plan: MirrorPlan, { schema, target, database }: SchemaSides): readonly TableName[] {
  return planSchema(planInput(schema, target, plan, database)).drop;
}

// What one message can bear; the ledger has them all.
const mostObjects = 100;
// So many of a kind of which the same is to be said are told one by one.
const mostAlike = 3;

/** What of the database will not be made, as far as that is known beforehand. */
function checkObjects({ objects }: DatabasePlan): readonly Finding[] {
  const lines = objects.filter(({ line, steps }) => line.state !== 'existed' && steps.length === 0);
  if (lines.length === 0) return [];
  const alikes = new Map<string, DatabasePlan['objects'][number][]>();
  for (const each of lines) {
    const same = `${each.line.kind}: ${each.line.reason ?? ''}`;
    const list = alikes.get(same);
    if (list === undefined) alikes.set(same, [each]);
    else list.push(each);
  }
  const groups = [...alikes.values()].flatMap((alike) =>
    alike.length > mostAlike ? [alike] : alike.map((each) => [each]),
  );
  const words = groups.slice(0, mostObjects).map((alike) => {
    const names = alike.slice(0, mostAlike).map(({ line }) => {
      // What is bound to a table has a name only there.
      const name = line.schema === '' || line.table !== '' ? line.name : `${line.schema}.${line.name}`;
      return `${name}${line.table === '' ? '' : ` of ${line.table}`}`;
    });
    const { kind, reason = '' } = alike[0]?.line ?? { kind: '' };
    const rest = alike.length > mostAlike ? ` and ${alike.length - mostAlike} more` : '';
    return `${kind} ${names.join(', ')}${rest}: ${reason}`;
  });
  const untold = groups.slice(mostObjects).reduce((sum, alike) => sum + alike.length, 0);
  const more = untold > 0 ? [`and ${untold} more`] : [];
  const count = lines.length === 1 ? '1 object' : `${lines.length} objects`;
  return [
    warning('objects', `${count} of the source will not be made on the target with the mirror`, {
      detail: [...words, ...more].join('\n'),
    }),
  ];
}

function checkInheritance(plan: MirrorPlan, { trees }: SourceSchema): readonly Finding[] {
  if (plan.options.schema === 'none') return [];
  const mirrored = new Set(trees.map(({ mapping }) => showTable(mapping.from)));
  const lone = trees.flatMap(({ root }) => {
    const missing = root.inherits.map(showTable).filter((parent) => !mirrored.has(parent));
    return missing.length === 0 ? [] : [`${showTable(root)} of ${missing.join(', ')}`];
  });
  if (lone.length === 0) return [];
  return [
    warning('inheritance', 'tables inherit from tables that are not mirrored, which will not show their rows', {
      detail: `Tables: ${lone.join('; ')}.`,
      hint: 'Mirror the parents too, if their rows or those of their heirs are read through them.',
    }),
  ];
}

// Of one that is named by itself, a person knows.
function checkPartitions(plan: MirrorPlan, { trees }: SourceSchema): readonly Finding[] {
  if (plan.scope.kind !== 'schemas') return [];
  const alone = trees.flatMap(({ root }) =>
    root.partitionOf === null ? [] : [`${showTable(root)} of ${showTable(root.partitionOf.parent)}`],
  );
  if (alone.length === 0) return [];
  return [
    warning('partitions', 'partitions of tables in schemas that are not mapped become tables of their own', {
      detail: `Partitions: ${alone.join('; ')}.`,
      hint: 'Map the schema of the partitioned tables too, if they are to be their partitions.',
    }),
  ];
}

// Whether each row finds a place there, only the rows know.
function checkPlaces({ otherwise }: SchemaPlan): readonly Finding[] {
  if (otherwise.length === 0) return [];
  return [
    warning('partitions of target tables', `${otherwise[0]} is divided otherwise on the target and used as it is`, {
      detail: otherwise.join('\n'),
      hint: 'The first row without a place there stops the mirror and is named. A default partition takes what no other does.',
    }),
  ];
}

// A mirror that only copies, copies them like any other.
function checkUnlogged(plan: MirrorPlan, { schema, unlogged }: SchemaSides): readonly Finding[] {
  if (plan.slot === null) return [];
  const check = 'unlogged tables';
  const hint = 'ALTER TABLE … SET LOGGED before the mirror is made has them followed.';
  const names = (tables: readonly Table[]) => `Tables: ${tables.map(showTable).join(', ')}.`;
  const partitions = unfollowedPartitions(schema.trees);
  return [
    ...(unlogged.length === 0
      ? []
      : [
          warning(check, 'unlogged tables are made and stay empty: their changes are in no log', {
            detail: names(unlogged),
            hint,
          }),
        ]),
    ...(partitions.length === 0
      ? []
      : [
          warning(check, 'unlogged partitions are copied and not followed: their changes are in no log', {
            detail: names(partitions),
            hint,
          }),
        ]),
  ];
}
