// Room on the disk for tests: files without a name, so that nothing stays.
import { tmpdir } from 'node:os';
import { Spill } from '../../src/base/spill.ts';

export const testSpill = new Spill(tmpdir());
