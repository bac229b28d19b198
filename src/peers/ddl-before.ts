// What the tables to make need and the target lacks: schemas, extensions, collations, types, sequences that stand alone. Pure.
import { type ObjectKind, type ObjectName, objectKey } from '../mirror/object.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { type PlanContext, type SchemaStep, sequenceTarget } from './ddl-tree.ts';
import { createCollation, createExtension, createSchema, createSequence, createType } from './ddl-types.ts';
import type { ExtensionName, FunctionUse, TypeDefinition } from './inspect-schema.ts';
import type { TargetFacts } from './inspect-target.ts';
import type { Sequence } from './sequences.ts';

export interface Before {
  readonly steps: readonly SchemaStep[];
  readonly problems: readonly string[];
  /** Sequences that only one table uses: they are made with it, by OID. */
  readonly withTable: ReadonlySet<number>;
}

/** @param made OIDs of the source's tables (partitions too) that are to be made; not empty */
export function planBefore(context: PlanContext, made: ReadonlySet<number>): Before {
  const { target, needs } = context;
  const problems: string[] = [];
  const schemas = new Set<string>();
  const extensions = new Map<string, ExtensionName>();
  const need = (extension: ExtensionName) => {
    extensions.set(extension.name, extension);
    schemas.add(extension.schema);
  };
  for (const { source, to } of context.members.values()) if (made.has(source.oid)) schemas.add(to.schema);
  const types: SchemaStep[] = [];
  const madeTypes = new Set<number>();
  for (const type of needs.types) {
    if (type.extension !== null) {
      need(type.extension);
      continue;
    }
    if (context.provided.has(`pg_type:${type.oid}`)) continue;
    const steps = planType(type, context, problems);
    if (steps.length === 0) continue;
    schemas.add(type.schema);
    madeTypes.add(type.oid);
    types.push(...steps);
  }
  for (const use of needs.functions) {
    if (!(use.of === 'domain' ? madeTypes : made).has(use.table)) continue;
    if (context.provided.has(`pg_proc:${use.oid}`)) continue;
    if (use.extension !== null) need(use.extension);
    else if (!target.functions.has(use.signature)) {
      problems.push(`function ${use.signature} does not exist on the target; ${whoCalls(context, use)} calls it`);
    }
  }
  const collations = needs.collations.filter(
    (each) => !target.collations.has(showTable(each)) && !context.provided.has(`pg_collation:${each.oid}`),
  );
  for (const collation of collations) schemas.add(collation.schema);
  const sequences = planSequences(context, made);
  for (const sequence of sequences.create) schemas.add(sequenceTarget(context, sequence).schema);
  for (const extension of extensions.values()) problems.push(...extensionProblems(extension, target));
  const steps: SchemaStep[] = [
    ...[...schemas]
      .filter((schema) => !target.schemas.has(schema))
      .map((schema) => ({
        what: `schema ${schema}`,
        objects: [of('schema', schema)],
        statements: [createSchema(schema)],
      })),
    ...[...extensions.values()]
      .filter((extension) => !target.extensions.has(extension.name))
      .map((extension) => ({
        what: `extension ${extension.name}`,
        objects: [of('extension', extension.name)],
        statements: [createExtension(extension)],
      })),
    ...collations.map((each) => ({
      what: `collation ${showTable(each)}`,
      objects: [of('collation', each)],
      statements: [createCollation(each)],
    })),
    ...types,
    ...sequences.create
      .filter((sequence) => !sequences.withTable.has(sequence.oid))
      .map((sequence) => ({
        what: `sequence ${showTable(sequenceTarget(context, sequence))}`,
        objects: [of('sequence', sequence)],
        statements: [createSequence(sequence, sequenceTarget(context, sequence), context.target.version)],
      })),
  ];
  const left = steps.filter(({ objects = [] }) => !objects.every((each) => context.provided.has(objectKey(each))));
  return { steps: left, problems, withTable: sequences.withTable };
}

function of(kind: ObjectKind, object: TableName | string): ObjectName {
  if (typeof object === 'string') return { kind, schema: '', name: object, table: '' };
  return { kind, schema: object.schema, name: object.name, table: '' };
}

function extensionProblems(extension: ExtensionName, target: TargetFacts): readonly string[] {
  const schema = target.extensions.get(extension.name);
  if (schema === undefined) {
    return target.availableExtensions.has(extension.name)
      ? []
      : [`extension ${extension.name} is not available on the target server`];
  }
  if (schema === extension.schema) return [];
  return [`extension ${extension.name} is in schema ${schema} on the target and in ${extension.schema} on the source`];
}

function whoCalls(context: PlanContext, use: FunctionUse): string {
  if (use.of === 'domain') {
    const domain = context.needs.types.find((type) => type.oid === use.table);
    return `domain ${domain === undefined ? '' : showTable(domain)}`;
  }
  const member = [...context.members.values()].find((each) => each.source.oid === use.table);
  const table = member === undefined ? '' : showTable(member.source);
  if (use.column === null) return `the partition key of ${table}`;
  return `the ${use.of === 'default' ? 'default of' : 'generated column'} ${table}.${use.column}`;
}

function planType(type: TypeDefinition, context: PlanContext, problems: string[]): readonly SchemaStep[] {
  if (context.target.types.has(showTable(type))) return [];
  // A table's row type comes with its table, if that is mirrored under its own name.
  if (type.composite?.table) {
    const member = context.members.get(showTable(type));
    if (member === undefined || !sameTable(member.to, type)) {
      problems.push(`a column has the row type of ${showTable(type)}, a table that the target lacks`);
    }
    return [];
  }
  const statements = createType(type);
  if (statements === null || (type.range?.canonical ?? null) !== null) {
    problems.push(`type ${showTable(type)} does not exist on the target and rests on functions in C`);
    return [];
  }
  return [{ what: `type ${showTable(type)}`, objects: [of('type', type)], statements }];
}

// A sequence behind an identity column comes with its table and is not among these.
function planSequences(context: PlanContext, made: ReadonlySet<number>) {
  const create: Sequence[] = [];
  const withTable = new Set<number>();
  for (const sequence of context.sequences) {
    if (sequence.uses.some((use) => use.how === 'identity')) continue;
    const used = sequence.uses.some((use) => {
      const member = context.members.get(showTable(use.table));
      return member !== undefined && made.has(member.source.oid) && !member.tree.mapping.exclude.includes(use.column);
    });
    if (!used) continue;
    if (context.target.sequences.has(showTable(sequenceTarget(context, sequence)))) continue;
    create.push(sequence);
    const [first] = sequence.uses;
    const owned = sequence.uses.some((use) => use.how === 'owned');
    if (first !== undefined && owned && sequence.uses.every((use) => sameTable(use.table, first.table)))
      withTable.add(sequence.oid);
  }
  return { create, withTable };
}
