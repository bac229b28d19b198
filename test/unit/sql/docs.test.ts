// docs/sql.md says what the code says.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sqlReference } from '../../../scripts/docs.ts';

test('docs/sql.md is what `npm run docs` writes now', () => {
  const written = readFileSync(new URL('../../../docs/sql.md', import.meta.url), 'utf8');
  expect(written).toBe(sqlReference());
});
