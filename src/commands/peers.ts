// Peers: made, changed, dropped, validated and shown. A peer is kept only after it was reached and looked at.
import { SluiceError } from '../base/errors.ts';
import type { WrittenOption } from '../base/options.ts';
import type { JournalEntry } from '../catalog/journal.ts';
import { mergePeerOptions, type Peer, type PeerConfig, readPeerOptions, shownPeerOptions } from '../mirror/peer.ts';
import { checkPeer, type PeerCheck, peerChecks, refuseOldVersion } from '../peers/checks.ts';
import { openPeer } from '../peers/connect.ts';
import type { AlterPeer, CreatePeer, Statement } from '../sql/statement.ts';
import type { CommandContext, CommandResult, ResultColumn } from './result.ts';
import { said } from './said.ts';

/** A peer with the options that it was made of. */
export interface PeerRecord extends Peer {
  readonly options: readonly WrittenOption[];
}

/** What is used of the catalog. */
export interface PeerStore {
  find(name: string): Promise<PeerRecord | undefined>;
  /** By name. */
  list(): Promise<readonly PeerRecord[]>;
  /** @throws `duplicate_object` */
  insert(name: string, options: readonly WrittenOption[], said: JournalEntry): Promise<void>;
  /** @throws `undefined_object` */
  update(name: string, options: readonly WrittenOption[], said: JournalEntry): Promise<void>;
  /** @throws `undefined_object`, `dependent_objects` naming the mirrors */
  remove(name: string, said: JournalEntry): Promise<void>;
  /** How many mirrors use each peer, by its id. */
  mirrorCounts(): Promise<ReadonlyMap<string, number>>;
}

export interface PeerDeps {
  readonly peers: PeerStore;
}

type Named<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;

const application = 'sluice check';
// As a database or before a dot these name the catalog, or a schema in it.
const reserved: ReadonlySet<string> = new Set([
  'catalog',
  'sluice',
  'sluice_private',
  'sluice_migrations',
  'peerdb_stats',
  'information_schema',
  'postgres',
]);

function isReserved(name: string): boolean {
  return reserved.has(name) || name.startsWith('pg_');
}

/**
 * CREATE PEER: connects, checks, then keeps it.
 * @throws `invalid_option`, `unsupported` (type, version), `duplicate_object`, and what connecting throws
 */
export async function createPeer(
  { peers }: PeerDeps,
  statement: CreatePeer,
  context: CommandContext,
): Promise<CommandResult> {
  const { name, type, options } = statement;
  const tag = 'CREATE PEER';
  if (type !== 'POSTGRES') {
    throw new SluiceError('unsupported', `peer type ${type} is not supported`, {
      hint: 'Supported types: POSTGRES.',
      position: statement.typePosition,
    });
  }
  checkName(name);
  const there = () => new SluiceError('duplicate_object', `peer "${name}" already exists`);
  const skipped = { tag, notices: [`peer "${name}" already exists, skipping`] };
  if ((await peers.find(name)) !== undefined) {
    if (statement.ifNotExists) return skipped;
    throw there();
  }
  const notices = await probe(readPeerOptions(options), context);
  try {
    await peers.insert(name, mergePeerOptions([], options), said(statement, context));
  } catch (error) {
    // Another session was faster.
    if (statement.ifNotExists && error instanceof SluiceError && error.kind === 'duplicate_object') return skipped;
    throw error;
  }
  return { tag, notices };
}

function checkName(name: string): void {
  if (Buffer.byteLength(name) > 63) {
    const message = `peer name "${name}" has ${Buffer.byteLength(name)} bytes, at most 63 fit`;
    throw new SluiceError('name_too_long', message, { hint: 'Use a shorter one.' });
  }
  if (name === '' || isReserved(name)) {
    throw new SluiceError('invalid_option', `"${name}" cannot be the name of a peer`, {
      sqlstate: '42939',
      hint: 'The catalog or one of its schemas goes by that name. Use another one.',
    });
  }
}

// Connects and looks; what a person must know at once comes back as notices.
async function probe(config: PeerConfig, context: CommandContext): Promise<readonly string[]> {
  await using link = await openPeer(config, { application }, context.signal);
  const facts = await checkPeer(link.connection);
  refuseOldVersion(facts);
  return peerChecks(config, link, facts)
    .filter(({ check, state }) => state === 'warning' && (check === 'ssh host key' || check === 'version'))
    .map(({ detail, remedy }) => `${detail}. ${remedy ?? ''}`);
}

/**
 * ALTER PEER … SET: connects and checks with what is to be, then keeps it.
 * @throws `undefined_object`, and as CREATE PEER
 */
export async function alterPeer(
  { peers }: PeerDeps,
  statement: AlterPeer,
  context: CommandContext,
): Promise<CommandResult> {
  const peer = await existing(peers, statement.name);
  const options = mergePeerOptions(peer.options, statement.options);
  const notices = await probe(readPeerOptions(options), context);
  await peers.update(peer.name, options, said(statement, context));
  return { tag: 'ALTER PEER', notices };
}

async function existing(peers: PeerStore, name: string): Promise<PeerRecord> {
  const peer = await peers.find(name);
  if (peer !== undefined) return peer;
  const known = (await peers.list()).map((each) => each.name);
  throw new SluiceError('undefined_object', `peer "${name}" does not exist`, {
    hint:
      known.length === 0 ? 'There is none yet: CREATE PEER … FROM POSTGRES WITH (…).' : `Peers: ${known.join(', ')}.`,
  });
}

/** DROP PEER. @throws `undefined_object`, `dependent_objects` naming the mirrors that use it */
export async function dropPeer(
  { peers }: PeerDeps,
  statement: Named<'drop_peer'>,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'DROP PEER';
  try {
    await peers.remove(statement.name, said(statement, context));
    return { tag, notices: [] };
  } catch (error) {
    const absent = error instanceof SluiceError && error.kind === 'undefined_object';
    if (!absent || !statement.ifExists) throw error;
    return { tag, notices: [`peer "${statement.name}" does not exist, skipping`] };
  }
}

/** VALIDATE PEER: one row per check. A peer that does not answer is a row as well. @throws `undefined_object` */
export async function validatePeer(
  { peers }: PeerDeps,
  statement: Named<'validate_peer'>,
  context: CommandContext,
): Promise<CommandResult> {
  const { config } = await existing(peers, statement.name);
  const checks = await validate(config, context);
  return {
    tag: 'VALIDATE PEER',
    notices: [],
    columns: textColumns('check', 'state', 'detail', 'remedy'),
    rows: checks.map(({ check, state, detail, remedy }) => [check, state, detail, remedy]),
  };
}

async function validate(config: PeerConfig, context: CommandContext): Promise<readonly PeerCheck[]> {
  try {
    await using link = await openPeer(config, { application }, context.signal);
    const facts = await checkPeer(link.connection);
    const connect: PeerCheck = { check: 'connect', state: 'ok', detail: `logged in as ${facts.user}`, remedy: null };
    return [connect, ...peerChecks(config, link, facts)];
  } catch (error) {
    if (!(error instanceof SluiceError) || error.kind === 'stopped') throw error;
    const detail = error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
    return [{ check: 'connect', state: 'error', detail, remedy: error.hint ?? null }];
  }
}

/** SHOW PEERS: a line for each, without secrets. */
export async function showPeers({ peers }: PeerDeps): Promise<CommandResult> {
  const [list, mirrors] = await Promise.all([peers.list(), peers.mirrorCounts()]);
  return {
    tag: 'SHOW',
    notices: [],
    columns: [
      ...textColumns('name', 'type', 'host'),
      { name: 'port', type: 'int4' },
      ...textColumns('user', 'database', 'sslmode', 'ssh_host'),
      { name: 'mirrors', type: 'int8' },
    ],
    rows: list.map(({ id, name, config }) => [
      name,
      'POSTGRES',
      config.host,
      String(config.port),
      config.user,
      config.database,
      config.sslMode,
      config.ssh === undefined ? null : config.ssh.host,
      String(mirrors.get(id) ?? 0),
    ]),
  };
}

/** SHOW PEER: its options as they hold, secrets as `********`. @throws `undefined_object` */
export async function showPeer({ peers }: PeerDeps, statement: Named<'show_peer'>): Promise<CommandResult> {
  const peer = await existing(peers, statement.name);
  const shown = shownPeerOptions(peer.options, peer.config);
  return {
    tag: 'SHOW',
    notices: [],
    columns: textColumns('option', 'value'),
    rows: [['name', peer.name], ['type', 'POSTGRES'], ...shown.map(({ name, value }) => [name, value])],
  };
}

function textColumns(...names: readonly string[]): readonly ResultColumn[] {
  return names.map((name) => ({ name, type: 'text' }));
}
