// Room on the disk for tests: files without a name, so that nothing stays.
import { tmpdir } from 'node:os';
import { Spill } from '../../src/base/spill.ts';

export const testSpill = new Spill(tmpdir());

/** As SLUICE_CATCH_UP_BYTES; 1 in the environment of the tests lets every stream begin by reading what there is in chunks. */
export const testCatchUpBytes = Number(process.env.SLUICE_CATCH_UP_BYTES ?? 0);
