// The sample database: one of every kind of object that a tool may ask about.
import { readFileSync } from 'node:fs';

/** Texts to run one after another in an empty database. */
export function sampleTexts(major: number): readonly string[] {
  const text = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8');
  return major >= 18 ? [text('sample.sql'), text('sample-18.sql')] : [text('sample.sql')];
}

/** Nothing happens there by itself, so that two looks see the same. */
export const sampleSettings = {
  wal_level: 'logical',
  max_prepared_transactions: 10,
  autovacuum: 'off',
  max_connections: 100,
} as const;
