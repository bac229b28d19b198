// A catalog, two peers and a supervisor in this process: what is said of a mirror is done.
import { silentLog } from '../../src/base/log.ts';
import { Scope } from '../../src/base/scope.ts';
import { runStep } from '../../src/runner/steps.ts';
import { runSupervisor } from '../../src/runner/supervisor.ts';
import { type TestCatalog, testCatalog } from './catalog.ts';
import type { TestDatabase } from './servers.ts';
import './sliced.ts';
import { testCatchUpBytes, testSpill } from './spill.ts';

export interface RunningWorld extends AsyncDisposable {
  readonly world: TestCatalog;
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  status(): Promise<string | null | undefined>;
}

/** A catalog with both peers, and a supervisor that runs whatever is said. */
export async function running(
  source: TestDatabase,
  target: TestDatabase,
  more: { readonly slotLookSeconds?: number } = {},
): Promise<RunningWorld> {
  const world = await testCatalog();
  await world.peer('src', source);
  await world.peer('dst', target);
  const scope = new Scope();
  scope.run((signal) =>
    runSupervisor(
      {
        ...{ catalog: world.catalog, left: world.left, log: silentLog, runStep },
        ...{ spill: testSpill, catchUpBytes: testCatchUpBytes, ...more },
      },
      signal,
    ),
  );
  return {
    ...{ world, source, target },
    status: async () => {
      const [row] = await world.show('show mirrors');
      if (row?.status === 'failed') throw new Error(`the mirror failed: ${row.trouble}`);
      return row?.status;
    },
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}
