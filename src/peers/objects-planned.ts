// One object of a plan: its line in the ledger and the statements that make it. Pure.
import type { ObjectLine, ObjectName, ObjectStage } from '../mirror/object.ts';
import type { Sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

export interface PlannedObject {
  readonly line: ObjectLine;
  /** The target's table, showTable; what has the same is never worked on in an order that could lock two sessions up. */
  readonly table: string;
  /** Each list is one transaction, in this order. Empty unless the line says `waiting`; empty then too: held back. */
  readonly steps: readonly (readonly Sql[])[];
  /** Keys of objects that must stand before. */
  readonly needs: readonly string[];
  /** Whether it is worth no line while it stands. */
  readonly quiet?: boolean | undefined;
  /** 0: it stands alone; more: it takes what is below as its own. */
  readonly level: number;
}

/** What an object is planned with, whatever becomes of it. */
export interface Subject {
  readonly name: ObjectName;
  readonly stage: ObjectStage;
  readonly table: TableName;
  readonly bytes?: number;
  readonly needs?: readonly string[];
  readonly level?: number;
}

function planned(
  subject: Subject,
  line: Omit<ObjectLine, keyof ObjectName | 'stage'>,
  steps: PlannedObject['steps'],
): PlannedObject {
  const { name, stage, bytes } = subject;
  return {
    line: { ...name, stage, bytes, ...line },
    table: showTable(subject.table),
    steps,
    needs: subject.needs ?? [],
    level: subject.level ?? 0,
  };
}

/** To be made; with nothing to do it stands already. */
export function toMake(subject: Subject, steps: PlannedObject['steps']): PlannedObject {
  if (steps.length === 0) return stands(subject);
  return planned(subject, { state: 'waiting', statement: showSteps(steps) }, steps);
}

/** @param reason what does its work, where that has another name */
export function stands(subject: Subject, reason?: string): PlannedObject {
  return planned(subject, { state: 'existed', reason }, []);
}

/** @param statement what a person could run, where that helps */
export function leaveOut(subject: Subject, reason: string, statement?: string): PlannedObject {
  return planned(subject, { state: 'left_out', reason, statement }, []);
}

/** The same where it is an administrator's to make, by that very statement. */
export function leaveToOthers(subject: Subject, reason: string, statement: string): PlannedObject {
  return planned(subject, { state: 'left_out', reason, statement, asIs: true }, []);
}

/** Must not be there while the mirror follows: it waits, and no RETRY makes it before that ends. */
export function hold(subject: Subject, reason: string, statement: string): PlannedObject {
  return planned(subject, { state: 'waiting', reason, statement }, []);
}

/** What only a person can make, with the statement to do so. */
export function refused(
  subject: Subject,
  how: { readonly reason: string; readonly sqlstate?: string | undefined; readonly statement: string },
): PlannedObject {
  return planned(subject, { state: 'failed', ...how }, []);
}

/** Something else stands in its place. */
export function inTheWay(subject: Subject, reason: string): PlannedObject {
  return planned(subject, { state: 'failed', reason, sqlstate: '42710' }, []);
}

/** The statements as text, for people. */
export function showSteps(steps: PlannedObject['steps']): string {
  return steps
    .flat()
    .map((statement) => statement.text)
    .join('; ');
}

/** `columns a and b are excluded`. */
export function excludedReason(columns: readonly string[]): string {
  return columns.length === 1
    ? `its column ${columns[0]} is excluded from the mirror`
    : `its columns ${columns.join(', ')} are excluded from the mirror`;
}

/** What an older target cannot hold. */
export function needsVersion(what: string, version: number): string {
  return `${what}: these need PostgreSQL ${version} on the target`;
}
