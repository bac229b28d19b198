// What can be set on a query mirror, and whether options and query fit together.
import { SluiceError } from '../base/errors.ts';
import type { OptionDeclarations, Options, WrittenOption } from '../base/options.ts';
import { readOptions } from '../base/options.ts';
import { contradiction } from './options.ts';

const maxInteger = 2_147_483_647;

/** Options of CREATE MIRROR … FOR $$ query $$. */
export const queryMirrorOptions = {
  destination_table_name: { type: 'text', doc: 'The table on the target, as schema.table. Required.' },
  watermark_column: {
    type: 'text',
    doc: "The column that grows with every new or changed row; 'xmin' follows xmin and takes a query without bounds.",
  },
  watermark_table_name: { type: 'text', doc: 'The source table that watermark_column belongs to, as schema.table.' },
  mode: {
    type: 'choice',
    choices: ['append', 'upsert', 'overwrite'],
    default: 'append',
    doc: 'What becomes of the rows: append inserts, upsert updates by unique_key_columns, overwrite replaces the table.',
  },
  unique_key_columns: { type: 'names', doc: 'Columns that identify a row; needed by upsert.' },
  parallelism: { type: 'integer', min: 1, max: 256, default: 2, doc: 'Partitions that are copied at the same time.' },
  refresh_interval: {
    type: 'integer',
    min: 1,
    max: 31_536_000,
    default: 10,
    doc: 'Seconds between two looks for new rows.',
  },
  num_rows_per_partition: {
    type: 'integer',
    min: 1,
    max: maxInteger,
    default: 50_000,
    doc: 'Rows in one partition.',
  },
  initial_copy_only: { type: 'boolean', default: false, doc: 'Copy what is there once, then complete.' },
  setup_watermark_table_on_destination: {
    type: 'boolean',
    default: false,
    doc: 'Make the destination table like watermark_table_name.',
  },
  dst_table_full_resync: {
    type: 'boolean',
    default: false,
    doc: 'On a resync, copy into a new table and swap it with the old one.',
  },
  disabled: { type: 'boolean', default: false, doc: 'Run only when EXECUTE MIRROR asks for it.' },
  sync_data_format: {
    type: 'text',
    doc: "PeerDB's: the format of staged files.",
    notice: 'option "sync_data_format" is ignored: rows go from source to target without files',
  },
  staging_path: {
    type: 'text',
    doc: "PeerDB's: where staged files are kept.",
    notice: 'option "staging_path" is ignored: rows go from source to target without files',
  },
} as const satisfies OptionDeclarations;
export type QueryMirrorOptions = Options<typeof queryMirrorOptions> & { readonly destination_table_name: string };

/**
 * Reads the options of a query mirror and checks that they go together, and with the query's `{{.start}}` and `{{.end}}`.
 * @throws `invalid_option`
 */
export function readQueryMirrorOptions(written: readonly WrittenOption[], query: string): QueryMirrorOptions {
  const options = readOptions('query mirror', queryMirrorOptions, written);
  checkQueryMirrorOptions(options, written, query);
  return { ...options, destination_table_name: options.destination_table_name ?? '' };
}

/** Refuses options that contradict each other or the query. @throws `invalid_option` */
export function checkQueryMirrorOptions(
  options: Options<typeof queryMirrorOptions>,
  written: readonly WrittenOption[],
  query: string,
): void {
  if (!options.destination_table_name) {
    throw new SluiceError('invalid_option', 'query mirror option "destination_table_name" is missing', {
      hint: "Write WITH (destination_table_name = 'schema.table', …).",
    });
  }
  if (options.mode === 'upsert' && (options.unique_key_columns ?? []).length === 0) {
    throw contradiction(written, ['mode'], {
      message: "mode = 'upsert' needs unique_key_columns",
      hint: "Write unique_key_columns = ('column', …).",
    });
  }
  if (options.watermark_table_name && !options.watermark_column) {
    throw contradiction(written, ['watermark_table_name'], {
      message: 'watermark_table_name needs watermark_column',
      hint: 'Name the column that grows with every row.',
    });
  }
  const bounds = ['{{.start}}', '{{.end}}'].filter((bound) => query.includes(bound));
  const bounded = options.watermark_column !== undefined && options.watermark_column.toLowerCase() !== 'xmin';
  if (bounded && bounds.length < 2) {
    throw contradiction(written, ['watermark_column'], {
      message: 'the query lacks the bounds {{.start}} and {{.end}} of its watermark',
      hint: `Add: where ${options.watermark_column} between {{.start}} and {{.end}}.`,
    });
  }
  if (!bounded && bounds.length > 0) {
    throw contradiction(written, ['watermark_column'], {
      message: `the query has the bound ${bounds[0]}, and no watermark_column to fill it from`,
      hint: "Name the watermark_column, or take the bounds out of the query. watermark_column = 'xmin' needs none.",
    });
  }
}
