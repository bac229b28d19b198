// What stands before tables: statements that make schemas, extensions, collations, types and sequences. Pure.
import { ident, join, literal, names, type Sql, sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import type { CollationDefinition, ExtensionName, TypeDefinition } from './inspect-schema.ts';
import type { Sequence } from './sequences.ts';

export function createSchema(name: string): Sql {
  return sql`create schema if not exists ${ident(name)}`;
}

/** Its dependencies come with it (cascade). */
export function createExtension(extension: ExtensionName): Sql {
  return sql`create extension if not exists ${ident(extension.name)} schema ${ident(extension.schema)} cascade`;
}

/** https://www.postgresql.org/docs/18/sql-createcollation.html */
export function createCollation(collation: CollationDefinition): Sql {
  const { provider, deterministic, collate, ctype, locale, rules } = collation;
  const options: Sql[] = [];
  if (provider === 'c') {
    options.push(sql`provider = libc`, sql`lc_collate = ${literal(collate)}`, sql`lc_ctype = ${literal(ctype)}`);
  } else {
    options.push(provider === 'i' ? sql`provider = icu` : sql`provider = builtin`, sql`locale = ${literal(locale)}`);
    if (!deterministic) options.push(sql`deterministic = false`);
    if (rules !== null) options.push(sql`rules = ${literal(rules)}`);
  }
  return sql`create collation ${name(collation)} (${join(options)})`;
}

/** The statements that make a type: enum, domain, composite or range. Null for other kinds: nothing but C code makes those. */
export function createType(type: TypeDefinition): readonly Sql[] | null {
  if (type.labels !== null || type.kind === 'e') {
    return [sql`create type ${name(type)} as enum (${join((type.labels ?? []).map(literal))})`];
  }
  if (type.domain !== null) return createDomain(type, type.domain);
  if (type.composite !== null && !type.composite.table) {
    const attributes = type.composite.attributes.map(
      (each) => sql`${ident(each.name)} ${trusted(each.type)}${collate(each.collation)}`,
    );
    return [sql`create type ${name(type)} as (${join(attributes)})`];
  }
  if (type.range !== null) return [createRange(type, type.range)];
  return null;
}

// Checks come one by one, so that one that is NOT VALID stays so.
function createDomain(type: TypeDefinition, domain: NonNullable<TypeDefinition['domain']>): readonly Sql[] {
  const byDefault = domain.default === null ? sql`` : sql` default ${trusted(domain.default)}`;
  const notNull = domain.notNull ? sql` not null` : sql``;
  return [
    sql`create domain ${name(type)} as ${trusted(domain.base)}${collate(domain.collation)}${byDefault}${notNull}`,
    ...domain.checks.map(
      (check) => sql`alter domain ${name(type)} add constraint ${ident(check.name)} ${trusted(check.definition)}`,
    ),
  ];
}

function createRange(type: TypeDefinition, range: NonNullable<TypeDefinition['range']>): Sql {
  const options = [
    sql`subtype = ${trusted(range.subtype)}`,
    sql`subtype_opclass = ${name(range.opclass)}`,
    ...(range.collation === null ? [] : [sql`collation = ${name(range.collation)}`]),
    ...(range.canonical === null ? [] : [sql`canonical = ${trusted(range.canonical)}`]),
    ...(range.difference === null ? [] : [sql`subtype_diff = ${trusted(range.difference)}`]),
    sql`multirange_type_name = ${ident(type.schema, range.multirange)}`,
  ];
  return sql`create type ${name(type)} as range (${join(options)})`;
}

/** A sequence with all its settings, under its name on the target; unlogged where the target's version knows that. https://www.postgresql.org/docs/18/sql-createsequence.html */
export function createSequence(sequence: Sequence, to: TableName, version = 0): Sql {
  const unlogged = sequence.unlogged && version >= 150_000 ? sql` unlogged` : sql``;
  return sql`create${unlogged} sequence ${name(to)} as ${trusted(sequence.type)} ${sequenceOptions(sequence)}`;
}

/** All settings anew; the next value stays what it is. */
export function alterSequence(sequence: Sequence, to: TableName): Sql {
  const cycle = sequence.cycle ? sql`` : sql` no cycle`;
  return sql`alter sequence ${name(to)} as ${trusted(sequence.type)} ${sequenceOptions(sequence)}${cycle}`;
}

export function ownSequence(sequence: TableName, owner: { readonly table: TableName; readonly column: string }): Sql {
  return sql`alter sequence ${name(sequence)} owned by ${ident(owner.table.schema, owner.table.name, owner.column)}`;
}

/** For identity columns too; there the type is the column's. */
export function sequenceOptions(sequence: Sequence): Sql {
  const { start, increment, min, max, cache, cycle } = sequence;
  const number = (text: string) => literal(BigInt(text));
  return sql`increment by ${number(increment)} minvalue ${number(min)} maxvalue ${number(max)} start with ${number(start)} cache ${number(cache)}${cycle ? sql` cycle` : sql``}`;
}

export function collate(collation: TableName | null): Sql {
  return collation === null ? sql`` : sql` collate ${name(collation)}`;
}

function name(object: TableName): Sql {
  return ident(object.schema, object.name);
}

/** A list of columns in parentheses. */
export function columnList(columns: readonly string[]): Sql {
  return sql`(${names(columns)})`;
}
