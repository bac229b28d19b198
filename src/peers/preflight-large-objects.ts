// Checks of large objects: whether they go along, that their OIDs are free on the target, and that their changes do not follow.
import type { Connection } from '../pg/client.ts';
import { hasLargeObjects, listLargeObjects, takenLargeObjects } from './large-objects.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';

const check = 'large objects';
const namesShown = 50;

export async function checkLargeObjects(
  source: Connection,
  target: Connection,
  plan: MirrorPlan,
): Promise<readonly Finding[]> {
  if (!(await hasLargeObjects(source))) return [];
  if (plan.scope.kind !== 'all') {
    const hint = 'They go along with FOR ALL TABLES; columns of type oid may refer to them.';
    return [warning(check, 'the source has large objects, which this mirror leaves out', { hint })];
  }
  if (!plan.options.do_initial_copy) {
    return [warning(check, 'the source has large objects, which are not copied: do_initial_copy is false')];
  }
  return [await checkTaken(source, target, plan), ...(plan.slot === null ? [] : [doNotFollow])];
}

const doNotFollow = warning(check, 'large objects are copied once: no stream holds their changes', {
  detail: 'What is written to large objects after the snapshot does not reach the target.',
  hint: 'Write to none of them until the cut-over, or let bytea columns take their place.',
});

async function checkTaken(source: Connection, target: Connection, plan: MirrorPlan): Promise<Finding> {
  const taken = (await hasLargeObjects(target)) ? await takenLargeObjects(target, await listLargeObjects(source)) : [];
  if (taken.length === 0) return ok(check, 'their OIDs are free on the target');
  if (plan.options.resync) return ok(check, `${taken.length} of the target are to be replaced`);
  const more = taken.length > namesShown ? `, and ${taken.length - namesShown} more` : '';
  return problem(check, 'wrong_state', {
    message: `large object ${taken[0]} exists on the target`,
    detail: `Rows refer to large objects by OID, and these are taken: ${taken.slice(0, namesShown).join(', ')}${more}.`,
    hint: 'Remove them (lo_unlink), or have them replaced: WITH (resync = true).',
  });
}
