// The log never holds a secret, in either format.
import { expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';

test.each(['json', 'text'] as const)('secrets are cut out of the %s log wherever they stand', (format) => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', format, destination: { write: (line) => lines.push(line) } });
  log.info(
    { password: 'hunter2', peer: { password: 'hunter2', url: 'postgres://a:hunter2@h/d', host: 'h' } },
    'connecting',
  );
  expect(lines.join()).not.toContain('hunter2');
  expect(lines.join()).toContain('connecting');
});
