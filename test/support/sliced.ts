// Lets every test that imports it copy in many slices: SLUICE_TEST_SLICE=3 npx vitest run test/fidelity test/pg/objects.test.ts …
import { sliceBy } from '../../src/snapshot/slices.ts';

const tables = Number(process.env.SLUICE_TEST_SLICE ?? '');
if (tables > 0) sliceBy(tables);
