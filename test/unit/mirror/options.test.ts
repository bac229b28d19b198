// The options of mirrors: defaults as documented, contradictions refused, PeerDB's words taken with a notice.
import { describe, expect, test } from 'vitest';
import type { OptionValue } from '../../../src/base/options.ts';
import { mirrorNotices, readMirrorChanges, readMirrorOptions } from '../../../src/mirror/options.ts';
import { readQueryMirrorOptions } from '../../../src/mirror/query-options.ts';

const written = (options: Readonly<Record<string, OptionValue>>) =>
  Object.entries(options).map(([name, value], i) => ({ name, value, namePosition: 10 * i, valuePosition: 10 * i + 5 }));
const mirror = (options: Readonly<Record<string, OptionValue>>) => readMirrorOptions(written(options));
const invalid = (message: string | RegExp, position?: number) =>
  expect.objectContaining({
    kind: 'invalid_option',
    message: expect.stringMatching(message),
    ...(position !== undefined && { position }),
  });

describe('a mirror of tables', () => {
  test('has the documented defaults', () => {
    expect(mirror({})).toMatchObject({
      do_initial_copy: true,
      initial_copy_only: false,
      publication_name: undefined,
      replication_slot_name: undefined,
      snapshot_num_rows_per_partition: 1_000_000,
      snapshot_num_partitions_override: undefined,
      snapshot_max_parallel_workers: 4,
      snapshot_num_tables_in_parallel: 4,
      max_batch_size: 250_000,
      sync_interval: 0,
      heartbeat_interval: 60,
      soft_delete: false,
      soft_delete_col_name: '_PEERDB_IS_DELETED',
      synced_at_col_name: undefined,
      resync: false,
      schema: 'full',
      schema_changes: 'columns',
      truncate: true,
    });
  });

  test('takes values in the spellings of PostgreSQL and PeerDB', () => {
    expect(mirror({ max_batch_size: '1000', truncate: 'off', schema: 'TABLES' })).toMatchObject({
      max_batch_size: 1000,
      truncate: false,
      schema: 'tables',
    });
    expect(mirror({ publication_name: '', snapshot_num_partitions_override: 0, synced_at_col_name: '' })).toMatchObject(
      {
        publication_name: undefined,
        snapshot_num_partitions_override: undefined,
        synced_at_col_name: undefined,
      },
    );
  });

  test('refuses options that contradict each other', () => {
    expect(() => mirror({ do_initial_copy: false, initial_copy_only: true })).toThrow(invalid(/contradicts/, 15));
    expect(() => mirror({ initial_copy_only: true, do_initial_copy: false })).toThrow(invalid(/contradicts/, 15));
    expect(() => mirror({ replication_slot_name: 's' })).toThrow(invalid(/needs do_initial_copy = false/, 5));
    expect(() => mirror({ do_initial_copy: false, replication_slot_name: 'S' })).toThrow(
      invalid(/invalid character/, 15),
    );
    expect(() => mirror({ soft_delete: true, soft_delete_col_name: '' })).toThrow(invalid(/needs a column name/));
    expect(() => mirror({ soft_delete: true, synced_at_col_name: '_PEERDB_IS_DELETED' })).toThrow(invalid(/both/));
    expect(mirror({ do_initial_copy: false, replication_slot_name: 's_1' }).replication_slot_name).toBe('s_1');
  });

  test('says what becomes of options that have no effect', () => {
    const notices = (options: Readonly<Record<string, OptionValue>>) =>
      mirrorNotices(mirror(options), written(options));
    expect(notices({ max_batch_size: 5 })).toEqual([]);
    for (const name of ['script', 'system', 'snapshot_staging_path', 'cdc_staging_path']) {
      expect(notices({ [name]: 'x' })).toEqual([expect.stringContaining(`"${name}" is ignored`)]);
    }
    expect(notices({ disable_peerdb_columns: true })).toHaveLength(1);
    expect(notices({ soft_delete_col_name: 'x' })).toEqual([expect.stringContaining('no effect')]);
    expect(notices({ initial_copy_only: true, publication_name: 'x' })).toEqual([expect.stringContaining('no effect')]);
  });

  test('lets only those options change that can take hold while it lives', () => {
    expect(readMirrorChanges(written({ max_batch_size: 7 }))).toEqual({ max_batch_size: 7 });
    expect(readMirrorChanges(written({ snapshot_num_partitions_override: 0 }))).toEqual({
      snapshot_num_partitions_override: undefined,
    });
    expect(() => readMirrorChanges(written({ max_batch_size: 7, publication_name: 'p' }))).toThrow(
      invalid('"publication_name" cannot be changed', 10),
    );
    expect(() => readMirrorChanges(written({ nonsense: 1 }))).toThrow(invalid('unknown mirror option'));
  });
});

describe('a query mirror', () => {
  const query = (options: Readonly<Record<string, OptionValue>>, text = 'select 1') =>
    readQueryMirrorOptions(written({ destination_table_name: 'd', ...options }), text);
  const bounded = 'select * from t where x between {{.start}} and {{.end}}';

  test('has the documented defaults', () => {
    expect(query({})).toMatchObject({
      destination_table_name: 'd',
      mode: 'append',
      parallelism: 2,
      refresh_interval: 10,
      num_rows_per_partition: 50_000,
      initial_copy_only: false,
      setup_watermark_table_on_destination: false,
      dst_table_full_resync: false,
      disabled: false,
    });
  });

  test('needs a destination, and keys to upsert', () => {
    expect(() => readQueryMirrorOptions([], 'select 1')).toThrow(invalid('"destination_table_name" is missing'));
    expect(() => query({ mode: 'upsert' })).toThrow(invalid('needs unique_key_columns'));
    expect(query({ mode: 'upsert', unique_key_columns: 'a, b' }).unique_key_columns).toEqual(['a', 'b']);
  });

  test('needs bounds in its query exactly when a watermark column fills them', () => {
    expect(query({ watermark_column: 'x' }, bounded).watermark_column).toBe('x');
    expect(query({ watermark_column: 'xmin' }).watermark_column).toBe('xmin');
    expect(() => query({ watermark_column: 'x' }, 'select {{.start}}')).toThrow(invalid('lacks the bounds', 15));
    expect(() => query({}, bounded)).toThrow(invalid('no watermark_column'));
    expect(() => query({ watermark_column: 'xmin' }, bounded)).toThrow(invalid('no watermark_column'));
    expect(() => query({ watermark_table_name: 't' })).toThrow(invalid('needs watermark_column'));
  });
});
