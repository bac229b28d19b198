// CREATE MIRROR: what was said is made exact (tables, names, options), checked on both servers and written down; EXPLAIN stops before that.
import { randomUUID } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import { optionNotices } from '../base/options.ts';
import { Scope } from '../base/scope.ts';
import { writeJournal } from '../catalog/journal.ts';
import { findMirror, insertMirror } from '../catalog/mirrors.ts';
import type { PeerTable } from '../catalog/peers.ts';
import type { Pool } from '../catalog/pool.ts';
import { type MirrorOptions, mirrorOptions, readMirrorOptions } from '../mirror/options.ts';
import type { Peer } from '../mirror/peer.ts';
import { readQueryMirrorOptions } from '../mirror/query-options.ts';
import { type MirroredTable, type MirrorWork, type ObjectScope, withSchemas } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import { listTables } from '../peers/inspect.ts';
import { preflight } from '../peers/preflight.ts';
import { type Finding, throwFirstError } from '../peers/preflight-finding.ts';
import { type LeftSessions, SessionShelf } from '../peers/shelf.ts';
import type { Connection } from '../pg/client.ts';
import { showTable } from '../pg/table.ts';
import { isVanished } from '../pg/vanished.ts';
import type { CreateMirror, MirrorScope } from '../sql/statement.ts';
import { notBuilt } from './later.ts';
import { checkMirrorName, publicationName, slotName } from './mirror-names.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { said } from './said.ts';

export interface CreateDeps {
  readonly pool: Pool;
  readonly peers: Pick<PeerTable, 'find'>;
  /** Gets the sessions that looked, for who runs the mirror. */
  readonly left?: LeftSessions | undefined;
}

type Plan = Pick<MirrorWork, 'name' | 'options' | 'tables' | 'scope' | 'publication' | 'slot' | 'source' | 'target'>;

/**
 * Writes a mirror down after looking at both sides; changes nothing on them. The runner does the rest.
 * @throws whatever the checks find first: `undefined_object`, `undefined_table`, `wrong_state`, `duplicate_object`, …
 */
export async function createMirror(
  deps: CreateDeps,
  statement: CreateMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'CREATE MIRROR';
  const { name } = statement;
  const { options, notices } = readOptionsOf(statement);
  if (await deps.pool.use((db) => findMirror(db, name))) {
    if (!statement.ifNotExists) throw taken(name);
    return { tag, notices: [...notices, `mirror "${name}" already exists, skipping`] };
  }
  const peers = await findPeers(deps, statement);
  const shelf = deps.left === undefined ? undefined : new SessionShelf();
  try {
    const made = await writeDown(deps, statement, { options, peers, shelf, context });
    if (shelf !== undefined) deps.left?.leave(made.id, shelf);
    return { tag, notices: [...notices, ...made.notices] };
  } catch (error) {
    await shelf?.end();
    throw error;
  }
}

async function writeDown(
  { pool }: Pick<CreateDeps, 'pool'>,
  statement: CreateMirror,
  given: {
    readonly options: MirrorOptions;
    readonly peers: readonly [Peer, Peer];
    readonly shelf: SessionShelf | undefined;
    readonly context: CommandContext;
  },
): Promise<{ readonly id: string; readonly notices: readonly string[] }> {
  const { name } = statement;
  const { options, context, shelf } = given;
  const [source, target] = given.peers;
  const { plan, findings } = await look(statement, { options, source, target, shelf }, context.signal);
  throwFirstError(findings);
  const notices: string[] = [];
  for (const finding of findings) if (finding.state === 'warning') notices.push(inWords(finding));
  const entry = said(statement, context);
  const mirror = {
    ...{ id: randomUUID(), name, options, tables: plan.tables, scope: plan.scope },
    ...{ publication: plan.publication, slot: plan.slot },
    kind: plan.slot === null ? ('copy' as const) : ('cdc' as const),
    statement: entry.message,
    by: { user: context.user, remote: context.remote },
    ...{ sourceId: source.id, sourceName: source.name, targetId: target.id, targetName: target.name },
  };
  await pool.transaction(async (db) => {
    await insertMirror(db, mirror);
    await writeJournal(db, [{ ...entry, mirror }]);
  });
  return { id: mirror.id, notices };
}

function taken(name: string): SluiceError {
  return new SluiceError('duplicate_object', `mirror "${name}" already exists`, {
    hint: 'SHOW MIRRORS lists them. Use another name, or DROP MIRROR first.',
  });
}

const explainColumns = [
  { name: 'check', type: 'text' },
  { name: 'state', type: 'text' },
  { name: 'message', type: 'text' },
  { name: 'detail', type: 'text' },
  { name: 'hint', type: 'text' },
] as const;

/** What CREATE MIRROR would do and what it would run into; changes nothing. @throws if a peer cannot be asked */
export async function explainMirror(
  deps: CreateDeps,
  statement: CreateMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const { options, notices } = readOptionsOf(statement);
  const [source, target] = await findPeers(deps, statement);
  const { plan, findings } = await look(statement, { options, source, target }, context.signal);
  const taken = await deps.pool.use((db) => findMirror(db, statement.name));
  const name: Finding =
    taken === undefined
      ? { check: 'name', state: 'ok', message: `"${statement.name}" is free` }
      : { check: 'name', state: 'error', kind: 'duplicate_object', message: `"${statement.name}" is taken` };
  const rows = [
    ...intentions(plan).map((message) => ['plan', 'would', message, null, null]),
    ...[name, ...findings].map((finding) => [
      finding.check,
      finding.state,
      finding.message,
      finding.detail ?? null,
      finding.hint ?? null,
    ]),
  ];
  return { tag: 'EXPLAIN', notices, columns: explainColumns, rows };
}

function readOptionsOf(statement: CreateMirror): { options: MirrorOptions; notices: readonly string[] } {
  checkMirrorName(statement.name);
  if (statement.scope.kind === 'query') {
    readQueryMirrorOptions(statement.options, statement.scope.query);
    throw notBuilt('CREATE MIRROR … FOR $$ query $$');
  }
  const options = readMirrorOptions(statement.options);
  return { options, notices: optionNotices(mirrorOptions, statement.options) };
}

async function findPeers(deps: CreateDeps, statement: CreateMirror): Promise<readonly [Peer, Peer]> {
  const [source, target] = await Promise.all([deps.peers.find(statement.source), deps.peers.find(statement.target)]);
  const missing = [
    ...(source === undefined ? [statement.source] : []),
    ...(target === undefined && statement.target !== statement.source ? [statement.target] : []),
  ];
  if (source !== undefined && target !== undefined) return [source, target];
  const names = missing.map((name) => `"${name}"`).join(' and ');
  throw new SluiceError(
    'undefined_object',
    `${missing.length > 1 ? 'peers' : 'peer'} ${names} ${missing.length > 1 ? 'do' : 'does'} not exist`,
    {
      hint: 'CREATE PEER makes one; SHOW PEERS lists them.',
    },
  );
}

/** Looks at both servers: which tables are meant, and what stands in the way. */
async function look(
  statement: CreateMirror,
  means: {
    readonly options: MirrorOptions;
    readonly source: Peer;
    readonly target: Peer;
    readonly shelf?: SessionShelf | undefined;
  },
  signal: AbortSignal,
): Promise<{ plan: Plan; findings: readonly Finding[] }> {
  await using scope = new Scope();
  const open = async (peer: Peer) => {
    const use = { application: 'sluice create mirror', shelf: means.shelf };
    const connection = await connectPeer(peer.config, use, signal);
    scope.defer(() => connection.close());
    return connection;
  };
  // Both at once, so that nobody waits twice for two servers that are away; the source's failure is told first.
  const [source, target] = await Promise.allSettled([open(means.source), open(means.target)]);
  if (source.status === 'rejected') throw source.reason;
  if (target.status === 'rejected') throw target.reason;
  for (let tries = 1; ; tries++) {
    const sides = { source: source.value, target: target.value };
    const found = await lookOnce(statement, { ...means, sides }).catch((error: unknown) => {
      if (!(error instanceof SluiceError) || !isVanished(error) || tries === mostLooks) throw error;
      return null;
    });
    if (found === null) continue;
    // Tables of a schema that came and went between two statements; those that a person names are looked for once.
    const isGone = found.findings.some(({ check, state }) => check === 'source tables' && state === 'error');
    if (!isGone || statement.scope.kind === 'tables' || tries === mostLooks) return found;
  }
}

const mostLooks = 10;

async function lookOnce(
  statement: CreateMirror,
  means: {
    readonly options: MirrorOptions;
    readonly source: Peer;
    readonly target: Peer;
    readonly sides: { readonly source: Connection; readonly target: Connection };
  },
): Promise<{ plan: Plan; findings: readonly Finding[] }> {
  const { name } = statement;
  const { options, sides } = means;
  const { publication_name: publication, replication_slot_name: slot } = options;
  const tables = await tablesOf(statement.scope, { db: sides.source, options, source: means.source });
  const objects = scopeOf(statement.scope);
  const plan: Plan = {
    ...{ name, options, source: means.source.config, target: means.target.config },
    tables: withSchemas(tables, objects),
    scope: objects,
    publication: { name: publication ?? publicationName(name), made: publication === undefined },
    slot: options.initial_copy_only ? null : { name: slot ?? slotName(name), made: slot === undefined },
  };
  const { findings } = await preflight(sides.source, sides.target, plan);
  return { plan, findings };
}

function scopeOf(scope: MirrorScope): ObjectScope {
  if (scope.kind === 'all') return { kind: 'all' };
  if (scope.kind === 'schemas') return { kind: 'schemas', pairs: scope.pairs.map(({ from, to }) => ({ from, to })) };
  return { kind: 'tables' };
}

async function tablesOf(
  scope: MirrorScope,
  from: { readonly db: Connection; readonly options: MirrorOptions; readonly source: Peer },
): Promise<readonly MirroredTable[]> {
  const whole = { key: null, exclude: [], where: null };
  // Changes of an unlogged table are in no log: it can be copied, not followed.
  const include = { unlogged: from.options.initial_copy_only };
  switch (scope.kind) {
    case 'tables':
      return scope.mappings.map(({ from: source, to, key, exclude, where }) => ({
        ...{ from: source, to, exclude },
        key: key ?? null,
        where: where ?? null,
      }));
    case 'schemas': {
      const lists = [];
      const without = scope.pairs.map((pair) => pair.from);
      for (const pair of scope.pairs) {
        const found = await listTables(from.db, pair.from, { ...include, without });
        if (found.length === 0) {
          throw new SluiceError(
            'undefined_table',
            `schema "${pair.from}" of peer "${from.source.name}" has no tables`,
            {
              hint: 'Names of schemas fold to lower case unless quoted.',
              position: pair.position,
            },
          );
        }
        lists.push(...found.map((table) => ({ ...whole, from: table, to: { schema: pair.to, name: table.name } })));
      }
      return lists;
    }
    case 'all': {
      const found = await listTables(from.db, undefined, include);
      const mirrored = found.filter((table) => table.schema !== from.source.config.metadataSchema);
      return mirrored.map((table) => ({ ...whole, from: table, to: table }));
    }
    case 'query':
      throw notBuilt('CREATE MIRROR … FOR $$ query $$');
    default:
      return scope satisfies never;
  }
}

function intentions({ tables, publication, slot, options }: Plan): readonly string[] {
  const verb = options.do_initial_copy ? 'copy' : 'follow without a copy';
  const made = (what: string, object: { readonly name: string; readonly made: boolean }) =>
    `${object.made ? 'make' : 'use'} ${what} "${object.name}" on the source`;
  return [
    ...(slot === null ? [] : [made('publication', publication), made('replication slot', slot)]),
    ...tables.map(({ from, to }) => `${verb} table ${showTable(from)} to ${showTable(to)}`),
    slot === null ? 'complete when the copy is there' : 'follow every change after that',
  ];
}

function inWords(finding: Finding): string {
  const sentences = [finding.message, finding.detail, finding.hint].filter((part) => part !== undefined);
  return sentences.join(' — ');
}
