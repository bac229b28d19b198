// What ALTER TYPE and ALTER DOMAIN have made of a composite or a domain: statements that make the same of the target's. Pure.
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import { collate } from './ddl-types.ts';
import type { Attribute, DomainDefinition } from './inspect-schema.ts';

/**
 * An attribute is the same one while it keeps its number. Typed tables go along.
 * @param before as the target has them by name, with the source's numbers
 */
export function alteredComposite(
  type: TableName,
  before: readonly Attribute[],
  now: readonly Attribute[],
): readonly Sql[] {
  const alter = sql`alter type ${ident(type.schema, type.name)}`;
  const left = new Map(now.map((each) => [each.number, each]));
  const was = new Map(before.map((each) => [each.number, each]));
  const kept = before.filter(({ number }) => left.has(number));
  const dropped = before.filter(({ number }) => !left.has(number));
  const renamed = kept.flatMap(({ number, name }) => {
    const to = left.get(number)?.name ?? name;
    return to === name ? [] : [{ from: name, to }];
  });
  // Two may have changed names.
  const aside = renamed.some(({ to }) => kept.some(({ name }) => name === to));
  const rename = (from: string, to: string) => sql`${alter} rename attribute ${ident(from)} to ${ident(to)} cascade`;
  const between = (i: number) => `sluice_renamed_${i + 1}`;
  return [
    ...dropped.map(({ name }) => sql`${alter} drop attribute ${ident(name)} cascade`),
    ...(aside ? renamed.map(({ from }, i) => rename(from, between(i))) : []),
    ...renamed.map(({ from, to }, i) => rename(aside ? between(i) : from, to)),
    ...now.flatMap((each) => {
      const old = was.get(each.number);
      if (old === undefined) return [sql`${alter} add attribute ${described(each)} cascade`];
      if (text(old) === text(each)) return [];
      const { name, type: given, collation } = each;
      return [sql`${alter} alter attribute ${ident(name)} type ${trusted(given)}${collate(collation)} cascade`];
    }),
  ];
}

function described({ name, type, collation }: Attribute): Sql {
  return sql`${ident(name)} ${trusted(type)}${collate(collation)}`;
}

function text({ type, collation }: Attribute): string {
  return `${type}${collate(collation).text}`;
}

/** What rows that come after the change may need: it takes more than before. */
export type Loosened = Pick<DomainDefinition, 'notNull' | 'checks'>;

/** @param before what the source's had, and the target's has from there */
export function loosenedDomain(type: TableName, before: Loosened, now: Loosened): readonly Sql[] {
  const alter = sql`alter domain ${ident(type.schema, type.name)}`;
  const gone = lost(before, now);
  return [
    ...gone.map((name) => sql`${alter} drop constraint if exists ${ident(name)}`),
    ...(before.notNull && !now.notNull ? [sql`${alter} drop not null`] : []),
  ];
}

/** What is left of it by that. */
export function afterLoosening(before: DomainDefinition, now: Loosened): DomainDefinition {
  const gone = new Set(lost(before, now));
  const checks = before.checks.filter(({ name }) => !gone.has(name));
  return { ...before, notNull: before.notNull && now.notNull, checks };
}

function lost(before: Loosened, now: Loosened): readonly string[] {
  const left = new Map(now.checks.map(({ name, definition }) => [name, definition]));
  return before.checks.flatMap(({ name, definition }) => (left.get(name) === definition ? [] : [name]));
}

/**
 * All of a change; what a person gave the target's domain stays. Undefined: it is over another type, which nothing can change.
 * @param there the target's as it is
 * @param before the source's as it was when both were the same
 */
export function alteredDomain(
  type: TableName,
  {
    there,
    before,
    now,
  }: { readonly there: DomainDefinition; readonly before: Loosened; readonly now: DomainDefinition },
): readonly Sql[] | undefined {
  if (there.base !== now.base || collate(there.collation).text !== collate(now.collation).text) return undefined;
  const alter = sql`alter domain ${ident(type.schema, type.name)}`;
  const standing = new Map(there.checks.map(({ name, definition }) => [name, definition]));
  const stale = lost(before, now).filter((name) => standing.has(name));
  const missing = now.checks.filter(({ name }) => !standing.has(name) || stale.includes(name));
  const byDefault = now.default === null ? sql`drop default` : sql`set default ${trusted(now.default)}`;
  return [
    ...stale.map((name) => sql`${alter} drop constraint ${ident(name)}`),
    ...(there.default === now.default ? [] : [sql`${alter} ${byDefault}`]),
    ...(there.notNull === now.notNull ? [] : [sql`${alter} ${trusted(now.notNull ? 'set' : 'drop')} not null`]),
    ...missing.map((check) => sql`${alter} add constraint ${ident(check.name)} ${trusted(check.definition)}`),
  ];
}
