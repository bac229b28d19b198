// What the event triggers of the source say in the log, read as data. Pure.
import { SluiceError } from '../base/errors.ts';
import type { TableName } from '../pg/table.ts';
import type { Loosened } from './altered-types.ts';
import type { Attribute } from './inspect-schema.ts';

export interface ToldObject {
  /** `pg_class:16421`; null: it is about many (GRANT). */
  readonly id: string | null;
  readonly type: string;
  /** Of a command, not of a drop. */
  readonly tag?: string;
  readonly schema?: string | null;
  /** Of a relation, as it was then. */
  readonly name?: string | null;
  /** Of a materialised view that was refreshed: whether it has rows by then. */
  readonly filled?: boolean | null;
  /** attnum, where only a column of it was dropped. */
  readonly column?: number | null;
}

/** A partition as it was at that place of the log. */
export interface ToldPartition extends TableName {
  readonly oid: number;
  readonly parent: number;
  readonly bound: string;
  /** pg_get_partkeydef, if it has partitions itself. */
  readonly key: string | null;
}

export interface ToldTree {
  readonly root: number;
  /** Parents before children. */
  readonly partitions: readonly ToldPartition[];
}

export interface ToldEnum extends TableName {
  readonly oid: number;
  readonly labels: readonly string[];
}

/** A type that was altered or moved, as it was at that place of the log. */
export interface ToldType extends TableName {
  readonly oid: number;
  /** Of a composite. */
  readonly attributes: readonly Attribute[] | null;
  readonly domain: Loosened | null;
}

export interface DdlMessage {
  readonly event: 'sql_drop' | 'ddl_command_end';
  /** `ALTER TABLE`: what people call the command. */
  readonly tag: string;
  readonly objects: readonly ToldObject[];
  readonly trees: readonly ToldTree[];
  readonly enums: readonly ToldEnum[];
  readonly types: readonly ToldType[];
}

/** Whether it is about rows of materialised views only: nothing of the schema is another. */
export function isRefresh({ event, tag }: DdlMessage): boolean {
  return event === 'ddl_command_end' && tag === 'REFRESH MATERIALIZED VIEW';
}

/** @throws `protocol` if it is none of ours */
export function readDdlMessage(content: Buffer): DdlMessage {
  let said: Partial<Record<keyof DdlMessage, unknown>>;
  try {
    said = JSON.parse(content.toString('utf8'));
  } catch (error) {
    throw new SluiceError('protocol', 'a message about a change of the schema cannot be read', { cause: error });
  }
  const list = <T>(value: unknown) => (Array.isArray(value) ? (value as readonly T[]) : []);
  return {
    event: said.event === 'sql_drop' ? 'sql_drop' : 'ddl_command_end',
    tag: typeof said.tag === 'string' ? said.tag : '',
    objects: list(said.objects),
    trees: list(said.trees),
    enums: list(said.enums),
    types: list(said.types),
  };
}
