// Checks of the source server for a mirror: log level, rights, free slots, and the slot and publication that are to be.
import type { Connection } from '../pg/client.ts';
import { quoteLiteral } from '../pg/sql.ts';
import {
  feedbackRemedy,
  newestVersion,
  noSlotsRemedy,
  noWalSendersRemedy,
  oldestVersion,
  type PeerFacts,
  replicationRemedy,
  slotsRemedy,
  walSendersRemedy,
} from './checks.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';
import { checkPublication, type Publication, type PublishedTable, publicationText } from './publication.ts';
import {
  logStandbySnapshot,
  readSlot,
  type SlotBlocker,
  type SlotState,
  showBlocker,
  slotBlockers,
  whyLost,
} from './slot.ts';

// Shorter ones are over before anybody has read their names.
const blockerSeconds = 5;

/** What is read of the source beside its facts. */
export interface SourceObjects {
  readonly slot: SlotState | null;
  readonly publication: Publication | null;
  readonly blockers: readonly SlotBlocker[];
}

export async function readSourceObjects(
  db: Connection,
  plan: MirrorPlan,
  readPublication: (db: Connection, name: string) => Promise<Publication | null>,
): Promise<SourceObjects> {
  if (plan.slot === null) return { slot: null, publication: null, blockers: [] };
  return {
    slot: await readSlot(db, plan.slot.name),
    publication: await readPublication(db, plan.publication.name),
    blockers: plan.slot.made ? await slotBlockers(db) : [],
  };
}

/** Both servers' versions. Pure. */
export function checkVersion(side: 'source' | 'target', facts: PeerFacts): Finding {
  const check = `${side} version`;
  const message = `the ${side} is PostgreSQL ${facts.versionText}`;
  if (facts.version < oldestVersion * 10_000) {
    return problem(check, 'unsupported', {
      message,
      hint: `PostgreSQL ${oldestVersion} to ${newestVersion} are served.`,
    });
  }
  return facts.version < (newestVersion + 1) * 10_000
    ? ok(check, message)
    : warning(check, message, { hint: `Sluice was tested up to PostgreSQL ${newestVersion}.` });
}

/** Whether the server can be followed. Pure. */
export function checkSourceServer(
  plan: MirrorPlan,
  facts: PeerFacts,
  tables: readonly PublishedTable[],
): readonly Finding[] {
  if (plan.slot === null) return [ok('source server', 'a copy needs no slot'), ...checkFeedback(facts)];
  return [
    checkWalLevel(facts),
    checkReplication(facts),
    ...(plan.slot.made ? [checkFreeSlot(facts)] : []),
    checkFreeWalSender(facts),
    ...checkStandby(plan, facts, tables),
    ...checkFeedback(facts),
  ];
}

function checkWalLevel({ walLevel }: PeerFacts): Finding {
  if (walLevel === 'logical') return ok('wal_level', 'wal_level is logical');
  return problem('wal_level', 'not_ready', {
    message: `wal_level of the source is ${walLevel}, changes can be followed only with logical`,
    hint: 'ALTER SYSTEM SET wal_level = logical; and restart the source (on RDS: rds.logical_replication = 1). Or only copy: initial_copy_only = true.',
  });
}

function checkReplication({ replicationRole, user }: PeerFacts): Finding {
  if (replicationRole) return ok('replication', `role ${user} may replicate`);
  return problem('replication', 'forbidden', {
    message: `role ${user} of the source may not replicate`,
    hint: replicationRemedy(user),
  });
}

function checkFreeSlot({ freeSlots, maxSlots, idleSlots }: PeerFacts): Finding {
  const check = 'replication slots';
  if (freeSlots > 1) return ok(check, `${freeSlots} of ${maxSlots} slots are free`);
  if (freeSlots === 1) {
    return warning(check, `the last of ${maxSlots} slots is free`, {
      hint: `A copy that is interrupted needs a second one to go on. ${slotsRemedy}`,
    });
  }
  return problem(check, 'too_many', {
    message:
      maxSlots === 0
        ? 'max_replication_slots of the source is 0'
        : `all ${maxSlots} replication slots of the source are in use`,
    detail: idleSlots.length === 0 ? undefined : `Not read by anybody now: ${idleSlots.join(', ')}.`,
    hint: maxSlots === 0 ? noSlotsRemedy : slotsRemedy,
  });
}

function checkFreeWalSender({ freeWalSenders, maxWalSenders }: PeerFacts): Finding {
  const check = 'walsenders';
  if (freeWalSenders > 0) return ok(check, `${freeWalSenders} of ${maxWalSenders} walsenders are free`);
  return problem(check, 'too_many', {
    message:
      maxWalSenders === 0
        ? 'max_wal_senders of the source is 0'
        : `all ${maxWalSenders} walsenders of the source are in use`,
    hint: maxWalSenders === 0 ? noWalSendersRemedy : walSendersRemedy,
  });
}

// https://www.postgresql.org/docs/18/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS
function checkStandby(
  plan: MirrorPlan,
  { isStandby, version }: PeerFacts,
  tables: readonly PublishedTable[],
): readonly Finding[] {
  if (!isStandby) return [];
  const check = 'standby';
  if (version < 160_000) {
    const message = 'the source is a standby, which can be followed only from PostgreSQL 16 on';
    return [problem(check, 'not_ready', { message, hint: 'Give the primary, or set initial_copy_only = true.' })];
  }
  if (plan.publication.made) {
    const message = 'the source is a standby, where no publication can be made';
    const { name } = plan.publication;
    const { create } = publicationText({ name, tables, version });
    const hint = `Run on the primary: ${create.text}; and give its name: publication_name = ${quoteLiteral(name)}.`;
    return [problem(check, 'not_ready', { message, hint })];
  }
  const slot = warning(
    check,
    'the source is a standby: its slot can be made when its primary has written what runs there',
    {
      hint: `An idle primary does so only when asked: ${logStandbySnapshot} on the primary, while SHOW MIRROR says that the slot waits.`,
    },
  );
  return plan.slot?.made ? [slot] : [ok(check, 'the source is a standby with a given slot and publication')];
}

// A copy that reads rows that the primary has removed is cancelled, and a slot that needs them is lost.
function checkFeedback({ isStandby, feedback }: PeerFacts): readonly Finding[] {
  if (!isStandby) return [];
  if (feedback) return [ok('hot_standby_feedback', 'hot_standby_feedback of the source is on')];
  return [
    warning('hot_standby_feedback', 'hot_standby_feedback of the source, a standby, is off', {
      detail:
        'The primary may remove rows that are still needed: then the copy is cancelled and begins again, or the slot is lost.',
      hint: feedbackRemedy,
    }),
  ];
}

/** The slot that is to be made, or is given. Pure. */
export function checkSlot(plan: MirrorPlan, facts: PeerFacts, { slot, blockers }: SourceObjects): readonly Finding[] {
  if (plan.slot === null) return [];
  const check = 'slot';
  const { name, made } = plan.slot;
  if (made) {
    if (slot === null) return [ok(check, `slot "${name}" will be made`), ...checkBlockers(blockers)];
    const message = `replication slot "${name}" already exists on the source`;
    const hint = `If nobody needs it: select pg_drop_replication_slot('${name}'). To go on from it: replication_slot_name = '${name}', do_initial_copy = false.`;
    const detail = slot.active ? `Process ${slot.activePid} reads it.` : undefined;
    return [problem(check, 'duplicate_object', { message, detail, hint })];
  }
  if (slot === null) {
    const message = `replication slot "${name}" does not exist on the source`;
    const hint = `Make it: select pg_create_logical_replication_slot('${name}', 'pgoutput'); or leave replication_slot_name out.`;
    return [problem(check, 'undefined_object', { message, hint })];
  }
  return [checkGivenSlot(slot, facts)];
}

function checkGivenSlot(slot: SlotState, facts: PeerFacts): Finding {
  const check = 'slot';
  const refuse = (message: string, hint: string) =>
    problem(check, 'wrong_state', { message: `replication slot "${slot.name}" ${message}`, hint });
  if (slot.plugin !== 'pgoutput') {
    return refuse(
      slot.plugin === null ? 'is a physical one' : `uses the plugin ${slot.plugin}`,
      'Give a logical slot of the plugin pgoutput.',
    );
  }
  if (slot.database !== facts.database) {
    return refuse(`belongs to database ${slot.database}`, `Give a slot of database ${facts.database}.`);
  }
  if (slot.walStatus === 'lost') {
    return problem(check, 'slot_lost', {
      message: `replication slot "${slot.name}" is lost: the log that it needs is gone`,
      detail: whyLost(slot),
      hint: 'Mend that on the source, drop the slot, and make a new mirror with an initial copy.',
    });
  }
  if (slot.active) {
    return refuse(`is in use by process ${slot.activePid}`, 'Stop what reads it, see pg_stat_replication.');
  }
  if (slot.walStatus === 'unreserved') {
    return warning(check, `slot "${slot.name}" is about to be lost: its log goes with the next checkpoint`, {
      hint: 'Raise max_slot_wal_keep_size now.',
    });
  }
  return ok(check, `slot "${slot.name}" is there`);
}

function checkBlockers(blockers: readonly SlotBlocker[]): readonly Finding[] {
  const long = blockers.filter((each) => each.seconds > blockerSeconds);
  if (long.length === 0) return [];
  return [
    warning('open transactions', `the slot waits for ${long.length} open transactions`, {
      detail: long.map(showBlocker).join('; '),
      hint: 'It goes on when they end. To end one: select pg_terminate_backend(pid), or ROLLBACK PREPARED.',
    }),
  ];
}

/** The publication that is to be made, or is given. Pure. */
export function checkSourcePublication(
  plan: MirrorPlan,
  facts: Pick<PeerFacts, 'isStandby'>,
  { publication, tables }: { readonly publication: Publication | null; readonly tables: readonly PublishedTable[] },
): readonly Finding[] {
  if (plan.slot === null) return [];
  const check = 'publication';
  const { name, made } = plan.publication;
  if (made) {
    if (publication === null) return [ok(check, `publication "${name}" will be made`)];
    const message = `publication "${name}" already exists on the source`;
    const hint = `Drop it, or use it: publication_name = '${name.replaceAll("'", "''")}'.`;
    return [problem(check, 'duplicate_object', { message, hint })];
  }
  if (publication === null) {
    const message = `publication "${name}" does not exist on the source`;
    const hint = facts.isStandby
      ? 'The source is a standby: make it on the primary; it is here when the standby has replayed that.'
      : 'Make it, or leave publication_name out.';
    return [problem(check, 'undefined_object', { message, hint })];
  }
  const problems = checkPublication(publication, tables, plan.options);
  if (problems.length === 0) return [ok(check, `publication "${name}" covers every table`)];
  const message = `publication "${name}" does not serve this mirror: ${problems[0]}`;
  return [
    problem(check, 'wrong_state', {
      message,
      detail: `${problems.join('; ')}.`,
      hint: 'ALTER PUBLICATION it, or leave publication_name out.',
    }),
  ];
}
