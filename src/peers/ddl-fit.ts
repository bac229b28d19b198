// Whether a table or type that is on the target already can take what the source has: every difference, in words. Pure.
import { ident, literal } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';
import { holds } from '../pg/wider.ts';
import type { TypeDefinition } from './inspect-schema.ts';

/** Every reason why rows of `source` cannot go into `target`; none: it fits. More columns on the target are fine, and wider ones. */
export function tableDifferences(
  source: Table,
  target: Table,
  rules: {
    readonly exclude: readonly string[];
    /** Columns that we fill or that have a default of ours. */
    readonly added: readonly string[];
    /** Whether changes will follow: the stream does not carry generated columns. */
    readonly follows: boolean;
    /** Of the target. */
    readonly version: number;
  },
): readonly string[] {
  if (target.kind !== 'r' && target.kind !== 'p') {
    const what = { f: 'a foreign table', v: 'a view', m: 'a materialized view' }[target.kind];
    return [`${showTable(target)} is ${what} on the target`];
  }
  const differences: string[] = [];
  const there = new Map(target.columns.map((column) => [column.name, column]));
  const wanted = new Set<string>(rules.added);
  for (const column of source.columns) {
    if (rules.exclude.includes(column.name)) continue;
    wanted.add(column.name);
    const same = there.get(column.name);
    const where = `${showTable(target)}.${column.name}`;
    if (same === undefined) {
      // What is computed can be left out.
      if (column.generated === '') differences.push(`${where} is missing on the target`);
    } else if (!holds(same.type.text, column.type.text)) {
      differences.push(`${where} is ${same.type.text} on the target and ${column.type.text} on the source`);
    } else if (same.generated !== '' && column.generated === '') {
      differences.push(`${where} is generated on the target and a plain column on the source`);
    } else if (same.generated === '' && column.generated !== '' && rules.follows) {
      differences.push(`${where} is generated on the source and a plain column on the target`);
    }
    // A view or a foreign table says nothing of NULLs that could be relied on.
    const says = source.kind === 'r' || source.kind === 'p';
    if (says && same?.notNull && !column.notNull && column.generated === '') {
      differences.push(`${where} is NOT NULL on the target and may be NULL on the source`);
    }
  }
  for (const column of target.columns) {
    if (wanted.has(column.name) || column.default !== null || !column.notNull) continue;
    // An identity of a partitioned table is none of its partitions before 17, and rows go into these.
    if (column.identity !== '' && (target.kind !== 'p' || rules.version >= 170_000)) continue;
    const why =
      column.identity === ''
        ? 'NOT NULL on the target, without default'
        : 'an identity, which partitions have from PostgreSQL 17 on,';
    differences.push(`${showTable(target)}.${column.name} is ${why} and not on the source`);
  }
  return differences;
}

/** All of them as an error tells them, each once. */
export function cannotTake(problems: readonly string[]): {
  readonly message: string;
  readonly detail: string | undefined;
} {
  const what = 'the target cannot take the tables';
  return problems.length === 1
    ? { message: `${what}: ${problems[0]}`, detail: undefined }
    : { message: `${what}, for ${problems.length} reasons`, detail: problems.join('\n') };
}

/** Why a type of the target cannot hold all values of the source's of the same name; null: it can. */
export function typeDifference(source: TypeDefinition, target: TypeDefinition): string | null {
  const what = `type ${showTable(source)}`;
  if (source.kind !== target.kind) return `${what} is of another kind on the target`;
  if (source.labels !== null) {
    const missing = source.labels.filter((label) => !target.labels?.includes(label));
    return missing.length === 0
      ? null
      : `${what} lacks the labels ${missing.map((l) => `'${l}'`).join(', ')} on the target`;
  }
  if (source.domain !== null && source.domain.base !== target.domain?.base) {
    return `${what} is over ${target.domain?.base} on the target and over ${source.domain.base} on the source`;
  }
  if (source.composite !== null) {
    const print = (type: TypeDefinition) =>
      (type.composite?.attributes ?? []).map((each) => `${each.name} ${each.type}`).join(', ');
    if (print(source) !== print(target)) {
      return `${what} is (${print(target)}) on the target and (${print(source)}) on the source`;
    }
  }
  if (source.range !== null && source.range.subtype !== target.range?.subtype) {
    return `${what} is over ${target.range?.subtype} on the target and over ${source.range.subtype} on the source`;
  }
  return null;
}

/** The statements that give an enum of the target the labels that it lacks, in the source's order. */
export function missingLabels(source: TypeDefinition, target: TypeDefinition): readonly string[] {
  if (source.labels === null || target.labels === null) return [];
  const there = new Set(target.labels);
  const [first] = target.labels;
  const type = ident(source.schema, source.name).text;
  return source.labels.flatMap((label, i) => {
    if (there.has(label)) return [];
    const before = source.labels?.[i - 1];
    const place =
      before !== undefined ? ` AFTER ${literal(before).text}` : first ? ` BEFORE ${literal(first).text}` : '';
    return [`ALTER TYPE ${type} ADD VALUE ${literal(label).text}${place};`];
  });
}

/** Whether two servers print one expression: versions say casts and parentheses otherwise. What stands in quotes is the same in all. */
export function sameExpression(a: string, b: string): boolean {
  return a === b || bare(a) === bare(b);
}

function bare(text: string): string {
  const literals: string[] = [];
  const rest = text.replaceAll(/'(?:[^']|'')*'/g, (literal) => `\u0001${literals.push(literal)}\u0001`);
  return [rest.replaceAll(/[\s()]/g, '').replaceAll(/::[\w" .]+(\[\])*/g, ''), ...literals].join('\u0001');
}
