// What the types of columns are, down to what they are made of, and whether their binary form travels.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { ColumnType } from '../pg/table.ts';

/** One row of pg_type, with what the type rests on. https://www.postgresql.org/docs/18/catalog-pg-type.html */
export interface TypeFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: ColumnType['kind'];
  /** Element type of a true array, else 0. */
  readonly element: number;
  /** What a domain is over, else 0. */
  readonly base: number;
  /** Subtype of a range; the range of a multirange; else 0. */
  readonly subtype: number;
  /** pg_class entry of a composite, else 0. */
  readonly relation: number;
  /** Whether there are binary input and output functions. */
  readonly binary: boolean;
}

// Below this every object has the same OID on every server (FirstGenbkiObjectId).
// https://www.postgresql.org/docs/18/system-catalog-initial-data.html
const firstOwnOid = 10_000;

/** Whether an OID means the same type on every server. */
export function isBuiltin(oid: number): boolean {
  return oid > 0 && oid < firstOwnOid;
}

// regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole, regcollation.
// https://www.postgresql.org/docs/18/datatype-oid.html
const namesObjects: ReadonlySet<number> = new Set([24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191]);

/** Whether its values travel as names of objects, which must be there under that name to be read. */
export function holdsNames({ oid, element }: Pick<ColumnType, 'oid' | 'element'>): boolean {
  return namesObjects.has(element?.oid ?? oid);
}

// The server's own types, which are the same in every database of a version: most columns have no other.
const builtins = new Map<number, Map<number, TypeFacts>>();

/** The types with these OIDs and all that they rest on: elements, base types, subtypes, attributes. One round trip, or none. */
export async function readTypes(db: Connection, oids: readonly number[]): Promise<ReadonlyMap<number, TypeFacts>> {
  const known = builtins.get(db.version) ?? new Map<number, TypeFacts>();
  builtins.set(db.version, known);
  const types = withParts(oids, known);
  const unknown = oids.filter((oid) => !types.has(oid));
  if (unknown.length === 0) return types;
  for (const type of await selectTypes(db, unknown)) {
    types.set(type.oid, type);
    if (isBuiltin(type.oid)) known.set(type.oid, type);
  }
  return types;
}

// Those that are known with all that they rest on, which the server has said along with them. Its own composite types are row
// types of catalogs, which rest on more than their row says.
function withParts(oids: readonly number[], known: ReadonlyMap<number, TypeFacts>): Map<number, TypeFacts> {
  const found = new Map<number, TypeFacts>();
  const add = (oid: number): boolean => {
    if (oid === 0 || found.has(oid)) return true;
    const type = known.get(oid);
    if (type === undefined || type.relation !== 0) return false;
    if (![type.element, type.base, type.subtype].every(add)) return false;
    found.set(oid, type);
    return true;
  };
  for (const oid of oids) add(oid);
  return found;
}

async function selectTypes(db: Connection, oids: readonly number[]): Promise<readonly TypeFacts[]> {
  return await db.query<TypeFacts>(sql`
    with recursive used(oid) as (
      select pg_catalog.unnest(${[...oids]}::oid[])
      union
      select part.oid from used
        join pg_catalog.pg_type t on t.oid = used.oid
        cross join lateral (
          select t.typelem as oid where t.typtype = 'b' and t.typcategory = 'A'
          union all select t.typbasetype
          union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
          union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid
          union all select a.atttypid from pg_catalog.pg_attribute a
            where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        ) part where part.oid <> 0)
    select t.oid::oid as oid, n.nspname::text as schema, t.typname::text as name, t.typtype::text as kind,
      case when t.typtype = 'b' and t.typcategory = 'A' then t.typelem else 0::oid end as element,
      t.typbasetype as base,
      coalesce((select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid),
        (select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid), 0::oid) as subtype,
      t.typrelid as relation,
      t.typsend::oid <> 0 and t.typreceive::oid <> 0 as binary
    from used join pg_catalog.pg_type t on t.oid = used.oid
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace`);
}

// Their binary form is an OID, which is another object on another server; as text they are names.
// regproc regprocedure regoper regoperator regclass regtype regconfig regdictionary regnamespace regrole regcollation,
// then the arrays of them: https://www.postgresql.org/docs/18/datatype-oid.html
const objectTypes: ReadonlySet<number> = new Set([
  24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090,
  4097, 4192,
]);

/** Whether a value's binary form is read as the same value by another server that has a type of that name. */
export function isBinarySafe(oid: number, types: ReadonlyMap<number, TypeFacts>): boolean {
  const type = types.get(oid);
  if (type === undefined || objectTypes.has(oid)) return false;
  if (type.kind === 'd') return isBinarySafe(type.base, types);
  // An enum travels as its label.
  if (type.kind === 'e') return true;
  if (!isBuiltin(oid) || !type.binary) return false;
  return type.element === 0 || isBinarySafe(type.element, types);
}
