// What is to be applied, and a walk over it: changes stay in the frames that were received and are read where they lie.
import type { Lsn } from '../pg/lsn.ts';
import type { AppliedTable } from './apply-table.ts';
import { type Change, changesInTurn, readChange, readLength, readUint64, tags } from './pgoutput.ts';

/** Whole CopyData frames of a replication stream, in `buffer` from `start` to `end`. */
export interface Span {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Tables by the relation's OID in the stream; null: not ours. */
export type Relations = ReadonlyMap<number, AppliedTable | null>;

export interface ChangesStep {
  readonly kind: 'changes';
  readonly spans: readonly Span[];
  readonly relations: Relations;
  /** Commit position of the transaction that the first span is in the middle of. */
  readonly finalLsn: Lsn;
  /** What row filters of ours make of changes; those that are not in it stay as they are. */
  readonly verdicts?: Verdicts;
}

/** What becomes of a change: another one, or null for nothing. */
export type Judged = { readonly change: Change; readonly buffer: Buffer } | null;

/** By the buffer that a change was received in and the place of its message there. */
export type Verdicts = ReadonlyMap<Buffer, ReadonlyMap<number, Judged>>;

export interface TruncateStep {
  readonly kind: 'truncate';
  readonly tables: readonly AppliedTable[];
  readonly restartIdentity: boolean;
  /** The target holds a later state of others that were emptied with these, and those may refer to these. */
  readonly isPart: boolean;
  /** Number of the source's transaction. */
  readonly xid: number;
}

export type Step = ChangesStep | TruncateStep;

/** A piece of the stream, applied together. `endLsn` null: more of the same transaction follows, so it must not be committed. */
export interface Piece {
  readonly steps: readonly Step[];
  readonly changes: number;
  readonly endLsn: Lsn | null;
}

export interface TableCounts {
  inserts: number;
  updates: number;
  deletes: number;
  truncates: number;
  /** Of the changes, as they came. */
  bytes: number;
}

export function noCounts(): TableCounts {
  return { inserts: 0, updates: 0, deletes: 0, truncates: 0, bytes: 0 };
}

/** Bytes before the message in a frame: 'd', length, 'w', and three fields of 8 bytes. */
export const messageOffset = 30;
/** 'w': the frame holds a message of the stream. */
export const walData = 0x77;

/** A change on its way: the same objects for each of millions, filled anew, so that neither it nor its `change` is to be kept. */
export interface Visited {
  readonly table: AppliedTable;
  readonly change: Change;
  readonly buffer: Buffer;
  /** Where the change's message stands in the frames that were received. */
  readonly at: number;
  /** Of that message. */
  readonly bytes: number;
}

/** Calls `visit` for each change of a table of ours that its copy does not hold already and that its row filter lets through. */
export function eachChange(step: ChangesStep, visit: (visited: Visited) => void): void {
  let visited: { -readonly [field in keyof Visited]: Visited[field] } | undefined;
  let finalLsn = step.finalLsn;
  const inTurn = changesInTurn();
  for (const { buffer, start, end } of step.spans) {
    let next = start;
    while (next < end) {
      const at = next + messageOffset;
      const frame = next;
      next += readLength(buffer, next + 1) + 1;
      if (buffer[frame + 5] !== walData) continue;
      switch (buffer[at]) {
        case tags.begin:
          finalLsn = readUint64(buffer, at + 1);
          break;
        case tags.insert:
        case tags.update:
        case tags.delete: {
          const change = readChange(buffer, at, inTurn);
          const table = step.relations.get(change.relation);
          if (table === undefined || table === null) break;
          if (table.snapshotLsn !== null && finalLsn < table.snapshotLsn) break;
          const judged = table.filter === null ? undefined : step.verdicts?.get(buffer)?.get(at);
          if (judged === null) break;
          visited ??= { table, change, buffer, at, bytes: 0 };
          visited.table = table;
          visited.change = judged === undefined ? change : judged.change;
          visited.buffer = judged === undefined ? buffer : judged.buffer;
          visited.at = at;
          visited.bytes = next - at;
          visit(visited);
          break;
        }
        default:
      }
    }
  }
}
