// Starts one throwaway PostgreSQL of each tested major before the tests and ends them after.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findBinaries } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { type EmbeddedPostgres, removeEmbedded, startEmbedded } from '../../src/pg/embedded.ts';
import { giveCluster, keepClusters } from './clusters.ts';
import { keepInMemory, serverFolder } from './folder.ts';
import { guardProcess } from './guard.ts';
import { buildProgram } from './program.ts';
import { type ServerAddress, type SharedMajor, serverPackages, settingsOf } from './servers.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    servers: Readonly<Record<SharedMajor, ServerAddress>>;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removeProgram = buildProgram();
  const forget = keepInMemory();
  const forgetClusters = keepClusters();
  const home = serverFolder('shared');
  const running: { readonly server: EmbeddedPostgres; readonly dataDir: string }[] = [];
  const end = async () => {
    for (const { server, dataDir } of running) {
      await server.stop('immediate');
      removeEmbedded(dataDir);
    }
    rmSync(home, { recursive: true, force: true });
    removeProgram();
    forgetClusters();
    forget();
  };
  try {
    const start = async (major: SharedMajor): Promise<ServerAddress> => {
      const dataDir = join(home, String(major));
      const binaries = findBinaries(serverPackages[major]);
      await giveCluster(dataDir, { binaries, quickLogins: true });
      const server = await startEmbedded({
        dataDir,
        binaries,
        throwaway: true,
        quickLogins: true,
        settings: settingsOf(major),
      });
      guardProcess(server.pid, 'QUIT');
      running.push({ server, dataDir });
      // The first session of a database makes a file of what it knows of the catalogs; databases that are made come with it.
      await (await Connection.open({ ...server.config(), database: 'template1' })).close();
      const { host, port, user, password } = server.config();
      return { host, port, user, password };
    };
    const [pg14, pg18] = await Promise.all([start(14), start(18)]);
    project.provide('servers', { 14: pg14, 18: pg18 });
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}
