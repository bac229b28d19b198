// What SHOW MIRROR says of a copy's end and of the log that its slot holds back.
import { expect, test } from 'vitest';
import {
  type ProgressFacts,
  partLine,
  progressLines,
  type WalFacts,
  walLine,
} from '../../../src/commands/show-progress.ts';
import { shownBytes, shownSeconds } from '../../../src/commands/words.ts';

const progress: ProgressFacts = {
  rows_copied: 1200000,
  rows_total: 4000000,
  rows_per_second: 150_000.4,
  bytes_copied: 1288490188,
  bytes_total: 3650722202,
  bytes_per_second: 47_185_920,
  objects_made: 0,
  objects_total: 40,
  load_seconds_left: 600,
  finish_seconds_left: 123,
  percent: 37,
  ends_at: '18:45:00 +00:00',
  phase: 'snapshotting',
};

test('a copy tells how far it is, how fast, and when all is done, indexes included', () => {
  expect(progressLines(progress)).toEqual([
    ['progress', '37 %: 1.2 GB of 3.4 GB, 1,200,000 of about 4,000,000 rows, 45.0 MB/s, 150,000 rows/s'],
    ['time left', '12 min 03 s (10 min 00 s for rows, 2 min 03 s for what is made after them), until 18:45:00 +00:00'],
  ]);
});

test('after the rows it tells of the objects', () => {
  const now = { ...progress, phase: 'finishing', load_seconds_left: 0, objects_made: 12, percent: 90 };
  expect(progressLines(now)).toEqual([
    ['progress', '90 %: rows are copied, 12 of 40 keys, indexes and constraints'],
    ['time left', '2 min 03 s (what is made after the rows), until 18:45:00 +00:00'],
  ]);
});

test('while a mirror is paused nothing has a speed, and no end is foretold', () => {
  expect(progressLines(progress, true)).toEqual([
    ['progress', '37 %: 1.2 GB of 3.4 GB, 1,200,000 of about 4,000,000 rows'],
  ]);
  expect(walLine({ ...wal, seconds_until_lost: 60 }, true)).toBe(
    '1.2 GB, growing by 3.0 MB/s; 8.8 GB more until max_slot_wal_keep_size, reached in 1 min 00 s at this rate (looked at 4 s ago)',
  );
});

test('before anything is known it says nothing', () => {
  expect(progressLines({ ...progress, load_seconds_left: null, finish_seconds_left: null })).toEqual([]);
});

const wal: WalFacts = {
  slot: 'peerflow_slot_m',
  wal_status: 'reserved',
  invalidation_reason: null,
  held_bytes: 1288490188,
  bytes_per_second: 3_145_728,
  bytes_until_lost: 9448928051,
  seconds_until_lost: 3_003,
  held_bytes_after_copy: 3557020467,
  seconds_left: 723,
  age: 4.2,
};

test('the log that a slot holds back is told with its growth, its limit and where it leads', () => {
  expect(walLine(wal)).toBe(
    '1.2 GB, growing by 3.0 MB/s; about 3.3 GB when the copy ends in 12 min 03 s; 8.8 GB more until max_slot_wal_keep_size, reached in 50 min 03 s at this rate (looked at 4 s ago)',
  );
});

test('a limit that will be reached before the copy ends is told of while something can be done', () => {
  expect(walLine({ ...wal, seconds_until_lost: 60 })).toContain('before the copy ends: raise it on the source');
});

test('without a limit the disk of the source is the limit', () => {
  expect(walLine({ ...wal, bytes_until_lost: null, seconds_until_lost: null })).toContain(
    'the disk of the source does',
  );
});

test('a slot that is lost, or will be at the next checkpoint, says so', () => {
  expect(walLine({ ...wal, wal_status: 'lost' })).toBe(
    'slot "peerflow_slot_m" is lost. It fell further behind than max_slot_wal_keep_size of the source allows.',
  );
  expect(walLine({ ...wal, wal_status: 'lost', invalidation_reason: 'idle_timeout' })).toContain(
    'longer than idle_replication_slot_timeout',
  );
  expect(walLine({ ...wal, wal_status: 'unreserved' })).toContain('raise max_slot_wal_keep_size now');
});

test('a part tells which rows it is, how far and how long', () => {
  const part = {
    source_table: 's.t',
    part: 3,
    what: 'pages 0 to 1233',
    rows_estimated: 250000,
    rows_copied: 12000,
  };
  expect(partLine({ ...part, rows_per_second: 90_000, seconds_left: 2.6 })).toBe(
    'pages 0 to 1233: 12,000 of about 250,000 rows, 90,000 rows/s, 3 s left',
  );
  expect(partLine({ ...part, rows_estimated: 9, rows_per_second: null, seconds_left: null })).toBe(
    'pages 0 to 1233: 12,000 rows',
  );
});

test('bytes and seconds are shown in the units that people use', () => {
  expect([0, 1_023, 1_024, 150 * 1024 ** 2, 5 * 1024 ** 4].map(shownBytes)).toEqual([
    '0 bytes',
    '1023 bytes',
    '1.0 kB',
    '150 MB',
    '5.0 TB',
  ]);
  expect([0.2, 59, 60, 3_600, 180_000, 400_000].map(shownSeconds)).toEqual([
    '1 s',
    '59 s',
    '1 min 00 s',
    '1 h 00 min',
    '2 d 2 h',
    '4 d 15 h',
  ]);
});
