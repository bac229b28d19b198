// How far index builds are: asked of the target every second or so while something is being made there.
import { pause } from '../base/retry.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

const lookEveryMs = 1_500;

interface Build {
  readonly pid: number;
  readonly phase: string;
  readonly percent: number | null;
}

/**
 * Tells of builds until stopped. What cannot be seen is not told of: it is for people only.
 * @param making what each connection is at, by its process id
 */
export function watchBuilds(
  target: Connection,
  making: ReadonlyMap<number, readonly PlannedObject[]>,
  tell: (lines: readonly ObjectLine[]) => Promise<void>,
): { stop(): Promise<void> } {
  const end = new AbortController();
  const watching = (async () => {
    for (;;) {
      await pause(lookEveryMs, end.signal);
      if (making.size === 0) continue;
      const lines = (await readBuilds(target, [...making.keys()])).flatMap((build): readonly ObjectLine[] => {
        const objects = making.get(build.pid) ?? [];
        const [only, second] = objects;
        // Of several in one transaction the server does not say which it is at.
        if (only === undefined || second !== undefined) return [];
        return [{ ...only.line, state: 'making', doing: build.phase, percent: build.percent ?? undefined }];
      });
      if (lines.length > 0 && !end.signal.aborted) await tell(lines);
    }
  })().catch(() => undefined);
  return {
    async stop() {
      end.abort();
      await watching;
    },
  };
}

// https://www.postgresql.org/docs/18/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING
async function readBuilds(target: Connection, pids: readonly number[]): Promise<readonly Build[]> {
  return await target.query<Build>(sql`
    select p.pid, p.phase,
      case when p.tuples_total > 0 then pg_catalog.floor(100.0 * p.tuples_done / p.tuples_total)::int
        when p.blocks_total > 0 then pg_catalog.floor(100.0 * p.blocks_done / p.blocks_total)::int end as percent
    from pg_catalog.pg_stat_progress_create_index p where p.pid = any(${[...pids]}::int[])`);
}
