// How the tests run: real servers are started once for all files; three files at a time.
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Folders whose files take long each. Vitest begins with the largest files, which are others: a worker would be left alone with
// a minute's story at the end.
const long = ['e2e', 'fidelity', 'clients', 'corpus'];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => long.some((folder) => moduleId.includes(`/test/${folder}/`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    sequence: { sequencer: LongFirst },
    // One more than the machine has cores: a test waits for a seventh of its time.
    maxWorkers: 3,
    // What files import is loaded once for each worker, not for each file.
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
  },
});
