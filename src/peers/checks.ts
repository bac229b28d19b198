// What a peer can do, as a source and as a target: facts read from the server, and what follows from them in words.
import { SluiceError } from '../base/errors.ts';
import type { PeerConfig } from '../mirror/peer.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { maySwitchOff } from './apply-session.ts';
import type { PeerLink } from './connect.ts';

export interface PeerFacts {
  /** server_version_num: 180004. */
  readonly version: number;
  /** `18.4` */
  readonly versionText: string;
  readonly database: string;
  /** current_user, which ALTER ROLE … SET role may have changed. */
  readonly user: string;
  readonly walLevel: string;
  readonly isStandby: boolean;
  /** hot_standby_feedback: the primary keeps rows that a standby's queries and slots still need. */
  readonly feedback: boolean;
  readonly superuser: boolean;
  /** May use replication connections: the attribute, or what stands for it at a managed provider. */
  readonly replicationRole: boolean;
  readonly freeSlots: number;
  readonly maxSlots: number;
  /** Names of slots that nobody reads now. */
  readonly idleSlots: readonly string[];
  readonly freeWalSenders: number;
  readonly maxWalSenders: number;
  /** Bytes of log that a slot may hold back; null where there is no limit. */
  readonly maxSlotWalKeepSize: number | null;
  readonly createOnDatabase: boolean;
  /** session_replication_role may be set, so that triggers and foreign keys need not fire twice. Tried, not guessed. */
  readonly replicaRole: boolean;
  /** Tells servers apart, also copies of one that were promoted. */
  readonly server: string;
}

export const oldestVersion = 14;
export const newestVersion = 18;

interface FactsRow extends Omit<PeerFacts, 'version' | 'replicaRole' | 'server' | 'maxSlotWalKeepSize'> {
  readonly version: number;
  readonly keep_mb: number;
  readonly started: string;
  readonly may_identify: boolean;
}

/** Asks a server what it is and what our role may do there. Changes nothing. */
export async function checkPeer(db: Connection): Promise<PeerFacts> {
  // A membership in rds_replication is the attribute at Amazon; other providers give the attribute.
  const { keep_mb, started, may_identify, ...facts } = await db.one<FactsRow>(sql`
    select current_setting('server_version_num')::int as version,
      split_part(current_setting('server_version'), ' ', 1) as "versionText",
      current_database()::text as database, current_user::text as user,
      current_setting('wal_level') as "walLevel", pg_is_in_recovery() as "isStandby",
      current_setting('hot_standby_feedback')::boolean as feedback, r.rolsuper as superuser,
      r.rolsuper or r.rolreplication or exists (select from pg_catalog.pg_roles p
        where p.rolname = 'rds_replication' and pg_has_role(current_user, p.oid, 'member')) as "replicationRole",
      current_setting('max_replication_slots')::int as "maxSlots",
      current_setting('max_replication_slots')::int
        - (select count(*)::int from pg_catalog.pg_replication_slots) as "freeSlots",
      (select coalesce(json_agg(slot_name order by slot_name), '[]') from pg_catalog.pg_replication_slots
        where not active) as "idleSlots",
      current_setting('max_wal_senders')::int as "maxWalSenders",
      current_setting('max_wal_senders')::int
        - (select count(*)::int from pg_catalog.pg_stat_replication) as "freeWalSenders",
      case current_setting('max_slot_wal_keep_size') when '-1' then -1
        else pg_size_bytes(current_setting('max_slot_wal_keep_size')) / 1048576 end::int as keep_mb,
      has_database_privilege(current_database(), 'create') as "createOnDatabase",
      extract(epoch from pg_postmaster_start_time())::text as started,
      has_function_privilege('pg_catalog.pg_control_system()', 'execute') as may_identify
    from pg_catalog.pg_roles r where r.rolname = current_user`);
  return {
    ...facts,
    maxSlotWalKeepSize: keep_mb < 0 ? null : keep_mb * 1024 * 1024,
    replicaRole: await maySwitchOff(db),
    server: `${may_identify ? await systemIdentifier(db) : ''}/${started}`,
  };
}

async function systemIdentifier(db: Connection): Promise<string> {
  return (await db.one<{ id: string }>(sql`select system_identifier as id from pg_catalog.pg_control_system()`)).id;
}

export interface PeerCheck {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'error';
  readonly detail: string;
  readonly remedy: string | null;
}

/** Whether Sluice works with that version at all. @throws `unsupported` */
export function refuseOldVersion(facts: Pick<PeerFacts, 'version' | 'versionText'>): void {
  if (facts.version >= oldestVersion * 10_000) return;
  throw new SluiceError('unsupported', `PostgreSQL ${facts.versionText} is too old`, {
    hint: `Peers are PostgreSQL ${oldestVersion} to ${newestVersion}.`,
  });
}

/** What VALIDATE PEER shows of a peer that answers. Pure. */
export function peerChecks(
  peer: Pick<PeerConfig, 'sslMode' | 'ssh'>,
  link: Pick<PeerLink, 'tls' | 'sshFingerprint'>,
  facts: PeerFacts,
): readonly PeerCheck[] {
  const found: readonly (PeerCheck | null)[] = [
    versionCheck(facts),
    tlsCheck(peer, link),
    sshCheck(peer, link),
    walLevelCheck(facts),
    replicationCheck(facts),
    slotsCheck(facts),
    walSendersCheck(facts),
    retentionCheck(facts),
    standbyCheck(facts),
    createCheck(facts),
    replicaRoleCheck(facts),
  ];
  return found.filter((check) => check !== null);
}

function ok(check: string, detail: string): PeerCheck {
  return { check, state: 'ok', detail, remedy: null };
}

function warning(check: string, detail: string, remedy: string): PeerCheck {
  return { check, state: 'warning', detail, remedy };
}

function versionCheck({ version, versionText }: PeerFacts): PeerCheck {
  const detail = `PostgreSQL ${versionText}`;
  if (version < oldestVersion * 10_000) {
    return { check: 'version', state: 'error', detail, remedy: `Peers are PostgreSQL ${oldestVersion} or newer.` };
  }
  if (version < (newestVersion + 1) * 10_000) return ok('version', detail);
  return warning('version', detail, `Sluice was tested up to PostgreSQL ${newestVersion}.`);
}

function tlsCheck({ sslMode }: Pick<PeerConfig, 'sslMode'>, { tls }: Pick<PeerLink, 'tls'>): PeerCheck {
  if (tls === null) {
    return warning('tls', 'the connection is not encrypted by TLS', "Set sslmode = 'verify-full', with root_ca.");
  }
  if (sslMode === 'verify-full' || sslMode === 'verify-ca') return ok('tls', `${tls}, ${sslMode}`);
  return warning('tls', `${tls}; sslmode ${sslMode} does not make sure of who answers`, "Set sslmode = 'verify-full'.");
}

function sshCheck(peer: Pick<PeerConfig, 'ssh'>, link: Pick<PeerLink, 'sshFingerprint'>): PeerCheck | null {
  if (peer.ssh === undefined) return null;
  const detail = `${peer.ssh.host}:${peer.ssh.port} shows the key ${link.sshFingerprint}`;
  if (peer.ssh.hostKey !== undefined) return ok('ssh host key', detail);
  return warning(
    'ssh host key',
    `${detail}, and any key would be taken`,
    `Pin it: give ssh_config "host_key": "${link.sshFingerprint}".`,
  );
}

function walLevelCheck({ walLevel }: PeerFacts): PeerCheck {
  if (walLevel === 'logical') return ok('source: wal_level', walLevel);
  return warning(
    'source: wal_level',
    `${walLevel}: can only be copied from, not followed`,
    'ALTER SYSTEM SET wal_level = logical; and restart the server (on RDS: rds.logical_replication = 1).',
  );
}

function replicationCheck({ replicationRole, user }: PeerFacts): PeerCheck {
  if (replicationRole) return ok('source: replication', `role ${user} may replicate`);
  return warning('source: replication', `role ${user} may not replicate: can only copy`, replicationRemedy(user));
}

/** The statement that lets a role replicate. */
export function replicationRemedy(user: string): string {
  const role = ident(user).text;
  return `ALTER ROLE ${role} REPLICATION; (on RDS: GRANT rds_replication TO ${role};)`;
}

function slotsCheck({ freeSlots, maxSlots, idleSlots }: PeerFacts): PeerCheck {
  if (freeSlots > 0) return ok('source: slots', `${freeSlots} of ${maxSlots} free`);
  if (maxSlots === 0) return warning('source: slots', 'max_replication_slots is 0', noSlotsRemedy);
  const idle = idleSlots.length === 0 ? '' : ` (not read now: ${idleSlots.join(', ')})`;
  return warning('source: slots', `all ${maxSlots} in use${idle}`, slotsRemedy);
}

export const slotsRemedy = 'Drop a slot that nobody needs, or raise max_replication_slots (it takes a restart).';
export const noSlotsRemedy = 'ALTER SYSTEM SET max_replication_slots = 10; and restart the server.';
export const noWalSendersRemedy = 'ALTER SYSTEM SET max_wal_senders = 10; and restart the server.';
export const walSendersRemedy =
  'Raise max_wal_senders (it takes a restart), or end a connection of pg_stat_replication.';

function walSendersCheck({ freeWalSenders, maxWalSenders }: PeerFacts): PeerCheck {
  if (freeWalSenders > 0) return ok('source: walsenders', `${freeWalSenders} of ${maxWalSenders} free`);
  if (maxWalSenders === 0) return warning('source: walsenders', 'max_wal_senders is 0', noWalSendersRemedy);
  return warning('source: walsenders', `all ${maxWalSenders} in use`, walSendersRemedy);
}

function retentionCheck({ maxSlotWalKeepSize }: PeerFacts): PeerCheck {
  if (maxSlotWalKeepSize === null) return ok('source: max_slot_wal_keep_size', 'no limit');
  return warning(
    'source: max_slot_wal_keep_size',
    `${Math.round(maxSlotWalKeepSize / 1024 / 1024)} MB: a mirror that falls further behind loses its slot`,
    'Set it to -1, or so high that the longest copy and outage fit.',
  );
}

function standbyCheck({ isStandby, version, feedback }: PeerFacts): PeerCheck | null {
  if (!isStandby) return null;
  const follow =
    version >= 160_000
      ? 'can be followed with a publication that was made on its primary (publication_name)'
      : 'can only be copied from (initial_copy_only)';
  const remedy = feedback ? 'Give the primary where that does not do.' : `${feedbackRemedy} Or give the primary.`;
  return warning('standby', `the server is a standby: ${follow}, and cannot be a target`, remedy);
}

/** Without it the primary removes rows that a copy still reads (the copy is cancelled) or a slot still needs (it is lost). */
export const feedbackRemedy = 'On the standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();';

function createCheck({ createOnDatabase, user, database }: PeerFacts): PeerCheck {
  if (createOnDatabase) return ok('target: create', `role ${user} may create schemas in ${database}`);
  return warning(
    'target: create',
    `role ${user} may not create schemas in ${database}`,
    `GRANT CREATE ON DATABASE ${ident(database).text} TO ${ident(user).text}; a target needs it for its bookkeeping and for new schemas.`,
  );
}

function replicaRoleCheck({ replicaRole, user }: PeerFacts): PeerCheck {
  if (replicaRole) return ok('target: session_replication_role', 'may be set');
  return warning(
    'target: session_replication_role',
    'may not be set: triggers and foreign keys of existing tables fire for mirrored rows',
    `GRANT SET ON PARAMETER session_replication_role TO ${ident(user).text} (from PostgreSQL 15), or drop them until the cut-over.`,
  );
}
