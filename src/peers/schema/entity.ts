// One object of a database that is neither a table nor a part of one, as its own server describes it; the same on both sides.
import type { ObjectKind, ObjectStage } from '../../mirror/object.ts';
import type { Connection } from '../../pg/client.ts';
import type { Sql } from '../../pg/sql.ts';
import type { TableName } from '../../pg/table.ts';
import type { TypeDefinition } from '../inspect-schema.ts';
import type { ServerFacts } from './facts.ts';

/** How an object is done with, where it is not simply made. */
export type Verdict =
  /** It cannot be there, and nobody has to mend that. @see leaveOut; `others`: an administrator may make it, @see leaveToOthers */
  | { readonly leaveOut: string; readonly statement?: string; readonly others?: boolean }
  /** It must not be there while the mirror follows; a mirror that only copies makes it. @see hold */
  | { readonly hold: string }
  /** Only a person can make it: told as failed, with the statements. */
  | { readonly fail: string; readonly sqlstate?: string };

/** What a verdict looks at, beside the object. */
export interface Circumstances {
  readonly source: ServerFacts;
  readonly target: ServerFacts;
  /** Whether changes are applied after the copy. */
  readonly follows: boolean;
}

export type AlterableType = Pick<TypeDefinition, 'composite' | 'domain'>;

export interface OfPartition {
  /** Of the partition. */
  readonly id: string;
  /** Whether this is meant for where the partition is mirrored without its table, or with it. */
  readonly alone: boolean;
  /** Ids of the triggers that it comes from, the nearest first. */
  readonly above: readonly string[];
}

export interface Entity {
  /** `pg_proc:16421`: catalog and OID on its own server, as in the edges of `readDependencies`. */
  readonly id: string;
  readonly kind: ObjectKind;
  /** Empty for what is in no schema. */
  readonly schema: string;
  /** Unique together with kind, schema, arguments and table. Not quoted. */
  readonly name: string;
  /** `(integer, shop.mood)`: what belongs to the name and is itself SQL, so that it follows a mapping; else ''. */
  readonly arguments: string;
  /** The relation that it belongs to, as showTable; else ''. What is bound to a mirrored table is in every scope. */
  readonly table: string;
  /** When it is made; later if what it needs is made later. */
  readonly stage: ObjectStage;
  /**
   * Transactions that make it under the source's names; `follow` brings them to the target's. None: nothing can make it, and
   * `verdict` says why.
   */
  readonly statements: readonly (readonly Sql[])[];
  /** What is compared between servers of one major version: anything that tells two objects of a name apart. */
  readonly definition: string;
  /** The same between different versions, which print things in other words. */
  readonly shape: string;
  /** Makes something of that name that others can refer to, where they stand in a circle; `statements` then complete it. */
  readonly shell?: Sql | undefined;
  /** Whether that is all there is of it: a shell that was never completed. */
  readonly hollow?: boolean | undefined;
  /** Ids that it needs beyond what the server's pg_depend says. */
  readonly needs?: readonly string[] | undefined;
  /**
   * What it says something about (a grant, a comment, an owner): it goes along where that does, whatever its own schema. An id,
   * of a table too.
   */
  readonly about?: string | undefined;
  /** Relations without rows (sequences, indexes, statistics) that its statements name: they go to the schema of what it is about. */
  readonly names?: readonly TableName[] | undefined;
  /** Columns of `table` that it uses. */
  readonly columns?: readonly string[] | undefined;
  /** Whether it is worth no line while it stands as it should. */
  readonly quiet?: boolean | undefined;
  /** Of what is quiet: whether it comes about by itself where what it is about is made. */
  readonly given?: ((all: Circumstances) => boolean) | undefined;
  /** The first version that can hold it, and what of it needs that: `[150_000, 'it is security_invoker']`. */
  readonly since?: readonly [version: number, what: string] | undefined;
  /** An estimate of the work, to do the largest first. */
  readonly bytes?: number | undefined;
  /** The id of the view that it is a part of: where that is mirrored as a table, it has no such part on the target. */
  readonly of?: string | undefined;
  /** The statements as people may see them, where they hold a secret. */
  readonly shown?: string | undefined;
  /** Of a trigger that a partition has from its table. */
  readonly partition?: OfPartition | undefined;
  /** Its statements as somebody else says them, where they speak of whoever says them. */
  readonly byOthers?: ((all: Circumstances) => Sql) | undefined;
  /** Of an enum. */
  readonly labels?: readonly string[] | undefined;
  /** Of a composite or a domain. */
  readonly type?: AlterableType | undefined;
  /**
   * For what stands on the target already, with another definition: the statements that make it the same, none if it may stay;
   * undefined: something else stands in its place.
   */
  readonly mend?: ((there: Entity, all: Circumstances) => readonly (readonly Sql[])[] | undefined) | undefined;
  /**
   * For what the target has as the source had it before, while the mirror follows: the statements that bring it along, all in one
   * transaction; undefined: nothing can. `mend` is for what was there from the beginning.
   */
  readonly alter?: ((there: Entity, before: AlterableType | undefined) => readonly Sql[] | undefined) | undefined;
  /** Why the target's stays as it is where it is another and cannot be mended. */
  readonly keeps?: string | undefined;
  readonly verdict?: ((all: Circumstances) => Verdict | null) | undefined;
}

/** Reads one family of objects: all of the database but what belongs to the system or an extension, whatever the scope. */
export type Reader = (db: Connection, facts: ServerFacts) => Promise<readonly Entity[]>;

type Required = 'id' | 'kind' | 'name' | 'statements';

/** An entity with what most have: no schema, no table, made before the load, compared by its statements. */
export function entity(given: Pick<Entity, Required> & Partial<Entity>): Entity {
  const text = given.statements
    .flat()
    .map((statement) => statement.text)
    .join(';\n');
  const definition = given.definition ?? text;
  return {
    schema: '',
    arguments: '',
    table: '',
    stage: 'before',
    ...given,
    definition,
    shape: given.shape ?? definition,
  };
}
