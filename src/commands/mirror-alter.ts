// ALTER MIRROR … SET: the options of a mirror that lives; says from when on each of them holds.
import { SluiceError } from '../base/errors.ts';
import { writeJournal } from '../catalog/journal.ts';
import { lockMirror, type Mirror, writeOptions } from '../catalog/mirrors.ts';
import { checkMirrorOptions, type MirrorOptions, readMirrorChanges } from '../mirror/options.ts';
import { statusWord } from '../mirror/phase.ts';
import { quoteName } from '../pg/sql.ts';
import type { AlterMirror, MirrorChange } from '../sql/statement.ts';
import { type LifecycleDeps, noSuchMirror } from './mirror-lifecycle.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { said } from './said.ts';

type SetChange = Extract<MirrorChange, { readonly kind: 'set' }>;

/** @throws `invalid_option`, `undefined_object`, `wrong_state` */
export async function setMirrorOptions(
  deps: LifecycleDeps,
  statement: AlterMirror & { readonly change: SetChange },
  context: CommandContext,
): Promise<CommandResult> {
  const { options: written } = statement.change;
  const changes = readMirrorChanges(written);
  const mirror = await deps.pool.transaction(async (db) => {
    const found = await lockMirror(db, statement.name);
    if (found === undefined) throw noSuchMirror(statement.name);
    refuseEnded(found);
    const options = { ...found.options, ...changes };
    checkMirrorOptions(options, written);
    await writeOptions(db, found.id, options);
    await writeJournal(db, [{ ...said(statement, context), mirror: found }]);
    return found;
  });
  return { tag: 'ALTER MIRROR', notices: alterNotices(mirror, Object.keys(changes) as (keyof MirrorOptions)[]) };
}

function refuseEnded(mirror: Mirror): void {
  if (mirror.wanted !== 'drop' && mirror.phase !== 'dropping') return;
  throw new SluiceError('wrong_state', `cannot alter mirror "${mirror.name}"`, {
    detail: `It is ${statusWord(mirror)}.`,
  });
}

/** What does not hold at once, and when it will. Pure. */
export function alterNotices(
  mirror: Pick<Mirror, 'name' | 'phase' | 'wanted' | 'kind'>,
  changed: readonly (keyof MirrorOptions)[],
): readonly string[] {
  const ofCopy = changed.filter((name) => name.startsWith('snapshot_'));
  if (ofCopy.length === 0) return [];
  const words = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');
  const copied = ['finishing', 'catching_up', 'streaming', 'completed'].includes(mirror.phase);
  if (copied) return [`the tables are copied: ${words(ofCopy)} will hold for a copy that is made anew`];
  const later = ofCopy.filter((name) => name !== 'snapshot_throttle');
  if (later.length === 0 || mirror.phase !== 'snapshotting' || mirror.wanted === 'pause') return [];
  const name = quoteName(mirror.name);
  return [
    `the copy goes on with the old ${words(later)}; to make it take the new: PAUSE MIRROR ${name}; RESUME MIRROR ${name};`,
  ];
}
