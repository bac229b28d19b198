// Waits until the disk has what was committed without waiting.
import type { MirrorWork } from '../mirror/work.ts';
import { touchCheckpoint } from '../peers/checkpoint.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** Makes all that was committed before durable: the commit of this write waits for the log up to itself. @throws `fenced` */
export async function flushTarget(target: Connection, work: MirrorWork): Promise<void> {
  await target.transaction(async () => {
    await target.run(sql`set local synchronous_commit = on`);
    await touchCheckpoint(target, work);
  });
}
