// What can be set on a mirror: the declarations that WITH (…), ALTER MIRROR … SET, HTTP and forms read, and how options go together.
import { SluiceError } from '../base/errors.ts';
import type { OptionDeclarations, Options, WrittenOption } from '../base/options.ts';
import { optionNotices, readGivenOptions, readOptions } from '../base/options.ts';
import type { CopyLimits } from './copy-tally.ts';
import { readRate } from './rate.ts';

const maxInteger = 2_147_483_647;
/** NAMEDATALEN - 1. */
const maxNameBytes = 63;

const followOptions = {
  do_initial_copy: { type: 'boolean', default: true, doc: 'Copy what is there, then follow.' },
  initial_copy_only: { type: 'boolean', default: false, doc: 'Copy, then complete; needs no slot.' },
  publication_name: {
    type: 'text',
    maxBytes: maxNameBytes,
    doc: 'A publication of the source that is used, checked and never dropped. Otherwise one is made: peerflow_pub_ and the name of the mirror.',
  },
  replication_slot_name: {
    type: 'text',
    maxBytes: maxNameBytes,
    doc: 'A slot of the source that is used and never dropped; only with do_initial_copy = false. Otherwise one is made: peerflow_slot_ and the name of the mirror.',
  },
  max_batch_size: {
    type: 'integer',
    min: 1,
    max: maxInteger,
    default: 250_000,
    doc: 'Most changes in one target transaction; a single larger source transaction stays whole.',
  },
  sync_interval: {
    type: 'integer',
    min: 0,
    max: 86_400,
    default: 0,
    doc: 'Most seconds that a committed change may wait to be gathered with others; 0 applies at once.',
  },
  heartbeat_interval: {
    type: 'integer',
    min: 0,
    max: 86_400,
    default: 60,
    doc: "Seconds between two marks in the source's log (logical messages with the prefix sluice) while other databases of the server write, so that the slot moves on; 0: none.",
  },
  soft_delete: { type: 'boolean', default: false, doc: 'A delete becomes an update of soft_delete_col_name.' },
  soft_delete_col_name: {
    type: 'text',
    maxBytes: maxNameBytes,
    default: '_PEERDB_IS_DELETED',
    doc: 'The boolean column that marks a deleted row, with soft_delete.',
  },
  synced_at_col_name: {
    type: 'text',
    maxBytes: maxNameBytes,
    doc: "A column for the time at which a row was written; off unless named. PeerDB's name for it is _PEERDB_SYNCED_AT.",
  },
} as const satisfies OptionDeclarations;

const snapshotOptions = {
  snapshot_num_rows_per_partition: {
    type: 'integer',
    min: 1,
    max: maxInteger,
    default: 1_000_000,
    doc: 'Rows in one part of a copied table.',
  },
  snapshot_num_partitions_override: {
    type: 'integer',
    min: 0,
    max: 1_000_000,
    doc: 'Exact number of parts per table, whatever its rows; 0 is the same as none given.',
  },
  snapshot_max_parallel_workers: {
    type: 'integer',
    min: 1,
    max: 256,
    default: 4,
    doc: 'Parts of one table that are copied at the same time, at most: one begins, or two where there are several tables, and more join as long as that brings more.',
  },
  snapshot_num_tables_in_parallel: {
    type: 'integer',
    min: 1,
    max: 256,
    default: 4,
    doc: 'Tables that are copied at the same time, at most; also sessions that make tables, keys and indexes.',
  },
  snapshot_throttle: {
    type: 'text',
    doc: 'Most that the copy reads from the source, all its connections together: 20 or 20 MB/s, 512 kB/s, 1.5 GB/s; 0 is no limit. A change takes hold while parts are copied.',
  },
} as const satisfies OptionDeclarations;

const schemaOptions = {
  resync: { type: 'boolean', default: false, doc: 'Replace tables that exist on the target.' },
  schema: {
    type: 'choice',
    choices: ['full', 'tables', 'none'],
    default: 'full',
    doc: 'What is made on the target. full: types, sequences and tables, then indexes, constraints, foreign keys, views, functions and triggers after the load; tables: tables with keys; none: all must exist.',
  },
  schema_changes: {
    type: 'choice',
    choices: ['columns', 'full', 'off'],
    default: 'columns',
    doc: 'Which changes of the schema follow while changes stream. columns: columns of the mirrored tables and labels of their enums; full: also new, dropped and renamed tables, partitions, indexes, constraints, views, functions and all else (needs the right to make event triggers on the source); off: none, the mirror stops before the first row that does not fit.',
  },
  truncate: { type: 'boolean', default: true, doc: 'Whether TRUNCATE follows.' },
} as const satisfies OptionDeclarations;

const compatibleOptions = {
  script: {
    type: 'text',
    doc: "PeerDB's: a Lua script that transforms rows.",
    notice: 'option "script" is ignored: rows are mirrored as they are',
  },
  system: {
    type: 'text',
    doc: "PeerDB's: the type system that values pass through.",
    notice: 'option "system" is ignored: values keep their PostgreSQL types',
  },
  disable_peerdb_columns: {
    type: 'boolean',
    doc: "PeerDB's: leave its own columns out.",
    notice:
      'option "disable_peerdb_columns" is ignored: no columns are added unless soft_delete or synced_at_col_name asks for one',
  },
  snapshot_staging_path: {
    type: 'text',
    doc: "PeerDB's: where files of the snapshot are kept.",
    notice: 'option "snapshot_staging_path" is ignored: rows go from source to target without files',
  },
  cdc_staging_path: {
    type: 'text',
    doc: "PeerDB's: where files of changes are kept.",
    notice: 'option "cdc_staging_path" is ignored: changes go from source to target without files',
  },
} as const satisfies OptionDeclarations;

/** Options of CREATE MIRROR for tables, schemas and whole databases. */
export const mirrorOptions = { ...followOptions, ...snapshotOptions, ...schemaOptions, ...compatibleOptions } as const;
export type MirrorOptions = Options<typeof mirrorOptions>;

/** What ALTER MIRROR … SET may change: the throttle at once, the rest when the step that uses it begins (again). */
export const alterableMirrorOptions = [
  'max_batch_size',
  'sync_interval',
  'heartbeat_interval',
  'snapshot_num_rows_per_partition',
  'snapshot_num_partitions_override',
  'snapshot_max_parallel_workers',
  'snapshot_num_tables_in_parallel',
  'snapshot_throttle',
  'truncate',
] as const satisfies readonly (keyof typeof mirrorOptions)[];

/** Options of RESYNC MIRROR. */
export const resyncOptions = {
  query_string: { type: 'text', doc: 'A new query, for a query mirror.' },
} as const satisfies OptionDeclarations;
export type ResyncOptions = Options<typeof resyncOptions>;

/** Options of CUTOVER MIRROR: none is defined, so that each is refused by name. */
export const cutoverOptions = {} as const satisfies OptionDeclarations;

/**
 * Reads the options of a mirror of tables. PeerDB writes "none" as an empty name or 0; here that is undefined.
 * @throws `invalid_option` at the place of the option that is wrong or does not go with another
 */
export function readMirrorOptions(written: readonly WrittenOption[]): MirrorOptions {
  const read = readOptions('mirror', mirrorOptions, written);
  const options: MirrorOptions = {
    ...read,
    publication_name: read.publication_name || undefined,
    replication_slot_name: read.replication_slot_name || undefined,
    synced_at_col_name: read.synced_at_col_name || undefined,
    snapshot_num_partitions_override: read.snapshot_num_partitions_override || undefined,
  };
  checkThrottle(options, written);
  checkMirrorOptions(options, written);
  return options;
}

/**
 * Reads the options of ALTER MIRROR … SET: those given, no defaults.
 * @throws `invalid_option`, also for one that cannot change while the mirror lives
 */
export function readMirrorChanges(written: readonly WrittenOption[]): Partial<MirrorOptions> {
  const changes = readGivenOptions('mirror', mirrorOptions, written);
  for (const option of written) {
    if ((alterableMirrorOptions as readonly string[]).includes(option.name)) continue;
    throw new SluiceError('invalid_option', `mirror option "${option.name}" cannot be changed`, {
      hint: `What can be changed: ${alterableMirrorOptions.join(', ')}.`,
      position: option.namePosition,
    });
  }
  checkThrottle(changes, written);
  if (changes.snapshot_num_partitions_override !== 0) return changes;
  return { ...changes, snapshot_num_partitions_override: undefined };
}

function checkThrottle(options: Partial<MirrorOptions>, written: readonly WrittenOption[]): void {
  const option = written.findLast(({ name }) => name === 'snapshot_throttle');
  readRate('snapshot_throttle', options.snapshot_throttle, option?.valuePosition ?? option?.namePosition);
}

const followedBy = ['max_batch_size', 'sync_interval', 'truncate'] as const;

/** Whether changes are followed in another way by these options. */
export function followsOtherwise(before: MirrorOptions, now: MirrorOptions): boolean {
  return followedBy.some((name) => before[name] !== now[name]);
}

/** How a copy may go about it. */
export function copyLimits(options: MirrorOptions): CopyLimits {
  const { snapshot_num_tables_in_parallel: tables, snapshot_max_parallel_workers: partsPerTable } = options;
  return {
    workers: Math.max(tables, partsPerTable),
    partsPerTable,
    builders: tables,
    throttle: throttleOf(options),
  };
}

/** Bytes per second that a copy may read; null: no limit. */
export function throttleOf(options: Pick<MirrorOptions, 'snapshot_throttle'>): number | null {
  return readRate('snapshot_throttle', options.snapshot_throttle);
}

/** Refuses options that contradict each other. @throws `invalid_option` at the later one's place */
export function checkMirrorOptions(options: MirrorOptions, written: readonly WrittenOption[]): void {
  if (options.initial_copy_only && !options.do_initial_copy) {
    throw contradiction(written, ['initial_copy_only', 'do_initial_copy'], {
      message: 'initial_copy_only = true contradicts do_initial_copy = false',
      hint: 'Leave one of them out.',
    });
  }
  if (options.replication_slot_name !== undefined) {
    if (options.do_initial_copy) {
      throw contradiction(written, ['replication_slot_name'], {
        message: 'replication_slot_name needs do_initial_copy = false',
        hint: 'A copy needs the snapshot that its own new slot exports. Leave the name out, or set do_initial_copy = false.',
      });
    }
    // https://www.postgresql.org/docs/18/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION
    if (!/^[a-z0-9_]+$/.test(options.replication_slot_name)) {
      throw contradiction(written, ['replication_slot_name'], {
        message: `replication slot name "${options.replication_slot_name}" contains an invalid character`,
        hint: 'Names of slots hold lower case letters, digits and underscores only.',
      });
    }
  }
  if (options.soft_delete && options.soft_delete_col_name === '') {
    throw contradiction(written, ['soft_delete_col_name'], {
      message: 'soft_delete needs a column name',
      hint: 'Leave soft_delete_col_name out for _PEERDB_IS_DELETED.',
    });
  }
  if (options.soft_delete && options.synced_at_col_name === options.soft_delete_col_name) {
    throw contradiction(written, ['synced_at_col_name', 'soft_delete_col_name'], {
      message: `synced_at_col_name and soft_delete_col_name are both "${options.soft_delete_col_name}"`,
      hint: 'Give them different names.',
    });
  }
}

/** What to tell whoever set these options: PeerDB's words that have no effect here, and options that have none beside others. */
export function mirrorNotices(options: MirrorOptions, written: readonly WrittenOption[]): readonly string[] {
  const given = new Set(written.map((option) => option.name));
  const notices = [...optionNotices(mirrorOptions, written)];
  if (given.has('soft_delete_col_name') && !options.soft_delete) {
    notices.push('option "soft_delete_col_name" has no effect without soft_delete = true');
  }
  if (given.has('publication_name') && options.initial_copy_only) {
    notices.push('option "publication_name" has no effect with initial_copy_only = true');
  }
  return notices;
}

/** An error that stands at the last written of the options it is about. */
export function contradiction(
  written: readonly WrittenOption[],
  names: readonly string[],
  { message, hint }: { readonly message: string; readonly hint: string },
): SluiceError {
  const option = written.findLast(({ name }) => names.includes(name));
  return new SluiceError('invalid_option', message, { hint, position: option?.valuePosition ?? option?.namePosition });
}
