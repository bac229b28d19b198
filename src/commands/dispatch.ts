// Every statement of the language to the command that does it; SQL and HTTP both come through here.
import { SluiceError } from '../base/errors.ts';
import { liveMirrors } from '../catalog/mirrors.ts';
import type { Catalog } from '../catalog/open.ts';
import { PeerTable } from '../catalog/peers.ts';
import { UserTable } from '../catalog/users.ts';
import type { LeftSessions } from '../peers/shelf.ts';
import { quoteName } from '../pg/sql.ts';
import { type AlterMirror, commandTag, type Statement } from '../sql/statement.ts';
import { notBuilt, refuseAlter, refuseCutover, refuseResync } from './later.ts';
import { setMirrorOptions } from './mirror-alter.ts';
import { createMirror, explainMirror } from './mirror-create.ts';
import { dropMirror, type LifecycleDeps, pauseMirror, resumeMirror } from './mirror-lifecycle.ts';
import { retryMirror } from './mirror-retry.ts';
import { showMirror, showMirrors } from './mirror-show.ts';
import { alterPeer, createPeer, dropPeer, showPeer, showPeers, validatePeer } from './peers.ts';
import { checkPermission } from './permission.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { alterUser, createUser, dropUser, showUsers } from './users.ts';

export interface CommandDeps {
  readonly catalog: Catalog;
  /** See CreateDeps. */
  readonly left?: LeftSessions;
}

/**
 * Does one statement, if who says it may. What changes something is written to the journal, with who said it and from where,
 * in the transaction that changes it.
 * @throws SluiceError of any kind; then nothing is left behind
 */
export async function runStatement(
  deps: CommandDeps,
  statement: Statement,
  context: CommandContext,
): Promise<CommandResult> {
  checkPermission(statement, context);
  return run(deps, statement, context);
}

// A mirror that is at work keeps the connections that it has.
async function tellMirrors({ pool }: Catalog, peer: string, result: CommandResult): Promise<CommandResult> {
  const mirrors = await pool.use(liveMirrors);
  const told = mirrors
    .filter(({ sourceName, targetName, working }) => working && (sourceName === peer || targetName === peer))
    .map(({ name }) => {
      const quoted = quoteName(name);
      return `mirror "${name}" is at work with the old settings; to make it take the new: PAUSE MIRROR ${quoted}; RESUME MIRROR ${quoted};`;
    });
  return { ...result, notices: [...result.notices, ...told] };
}

function alterMirror(deps: LifecycleDeps, statement: AlterMirror, context: CommandContext): Promise<CommandResult> {
  const { change } = statement;
  switch (change.kind) {
    case 'retry':
      return retryMirror(deps, statement, context);
    case 'set':
      return setMirrorOptions(deps, { ...statement, change }, context);
    case 'add_tables':
    case 'drop_tables':
      return refuseAlter(change);
    default:
      return change satisfies never;
  }
}

async function run(
  { catalog, left }: CommandDeps,
  statement: Statement,
  context: CommandContext,
): Promise<CommandResult> {
  const { pool } = catalog;
  const peers = new PeerTable(catalog);
  const users = new UserTable(catalog);
  switch (statement.kind) {
    case 'create_peer':
      return createPeer({ peers }, statement, context);
    case 'alter_peer':
      return tellMirrors(catalog, statement.name, await alterPeer({ peers }, statement, context));
    case 'drop_peer':
      return dropPeer({ peers }, statement, context);
    case 'validate_peer':
      return validatePeer({ peers }, statement, context);
    case 'show_peers':
      return showPeers({ peers });
    case 'show_peer':
      return showPeer({ peers }, statement);
    case 'create_mirror':
      return createMirror({ pool, peers, left }, statement, context);
    case 'explain':
      return explainMirror({ pool, peers }, statement.statement, context);
    case 'pause_mirror':
      return pauseMirror({ pool }, statement, context);
    case 'resume_mirror':
      return resumeMirror({ pool }, statement, context);
    case 'drop_mirror':
      return dropMirror({ pool }, statement, context);
    case 'show_mirrors':
      return showMirrors(pool);
    case 'show_mirror':
      return showMirror(pool, statement.name);
    case 'resync_mirror':
      return refuseResync(statement);
    case 'cutover_mirror':
      return refuseCutover(statement);
    case 'alter_mirror':
      return alterMirror({ pool }, statement, context);
    case 'verify_mirror':
    case 'repair_mirror':
    case 'reverse_mirror':
    case 'complete_mirror':
    case 'execute_mirror':
      throw notBuilt(commandTag(statement));
    case 'create_user':
      return createUser({ users }, statement, context);
    case 'alter_user':
      return alterUser({ users }, statement, context);
    case 'drop_user':
      return dropUser({ users }, statement, context);
    case 'show_users':
      return showUsers({ users });
    case 'execute_peer':
      throw new SluiceError('internal', 'EXECUTE peer is relayed by the gateway');
    default:
      return statement satisfies never;
  }
}
