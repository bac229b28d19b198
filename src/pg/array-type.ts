// Arrays among the types: PostgreSQL makes one for most types, and it has neither an owner nor privileges of its own.

/**
 * The condition that a row of pg_type is such an array, and no type that has elements otherwise (point, name).
 * https://www.postgresql.org/docs/18/catalog-pg-type.html
 * @param row the alias of the row
 * @returns text of SQL, for `trusted`
 */
export const isArray = (row: string): string =>
  `exists (select from pg_catalog.pg_type e where e.oid = ${row}.typelem and e.typarray = ${row}.oid)`;
