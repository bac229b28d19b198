// The gateway: a listener whose sessions run our statements and relay everything else.
import { SluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Known, PeerVersion } from '../catalog/names.ts';
import type { Access } from '../commands/result.ts';
import type { ClientConfig } from '../pg/client.ts';
import type { UserAccess } from '../sql/statement.ts';
import type { Login } from '../wire/handshake.ts';
import { type Client, defaultLimits, type ListenerLimits, type ServedSession } from '../wire/house.ts';
import { runListener } from '../wire/listener.ts';
import { createVerifier, type ScramVerifier } from '../wire/scram.ts';
import { OwnStatements, type RunStatement } from './own.ts';
import { loadParser } from './parser.ts';
import { PlainTexts } from './plain-texts.ts';
import { Relay } from './relay.ts';
import { Router } from './route.ts';
import { Switchboard, type UpstreamPlace } from './switchboard.ts';
import { asksForNothing, toldAtLogin } from './told.ts';
import { catalogName } from './transaction.ts';

export interface GatewayConfig {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The owner's: it opens the door under any name. */
  readonly password: string;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly limits?: Partial<ListenerLimits> | undefined;
}

export interface GatewayDeps {
  readonly config: GatewayConfig;
  readonly log: Log;
  /** Runs a statement of our language. */
  readonly run: RunStatement;
  /** How a session reaches the catalog: a role that reads views and nothing else. */
  readonly catalog: () => Promise<ClientConfig>;
  /** How a session reaches a peer; undefined: there is none of that name. @throws `unreachable`, `login_refused`, … */
  readonly peer: (name: string) => Promise<Required<UpstreamPlace> | undefined>;
  /** Asked for every name in a statement that may be a peer's. */
  readonly peerExists: (name: string) => boolean | Promise<boolean>;
  /** The created user of that name; undefined: nobody, and the owner's password opens the door. */
  readonly user: (name: string) => Promise<GatewayUser | undefined>;
  /** What a peer's name stands for, where that is known. */
  readonly peerVersion: (name: string) => PeerVersion | undefined;
  /** @param listener gets all names, at every change. @returns ends it */
  readonly onNames: (listener: (known: Known) => void) => () => void;
  /** Called once, with the port that was bound. */
  readonly onListening?: ((address: { readonly host: string; readonly port: number }) => void) | undefined;
}

export interface GatewayUser {
  readonly verifier: ScramVerifier;
  readonly access: UserAccess;
}

/**
 * Serves clients until the signal is aborted; then lets those that are busy finish for a moment and returns when all are gone.
 * @throws `unreachable` if the address cannot be listened on
 */
export async function runGateway(deps: GatewayDeps, signal: AbortSignal): Promise<void> {
  const [verifier] = await Promise.all([createVerifier(deps.config.password), loadParser()]);
  const router = new Router();
  const texts = new PlainTexts(router, deps.peerExists);
  const catalogParameters = new Map<string, string>();
  const { host, port, tls, limits } = deps.config;
  const logins = new Logins();
  const boards = new Set<Switchboard>();
  const unwatch = deps.onNames(({ peers, users }) => {
    logins.compare(users);
    for (const board of boards) board.comparePeers(peers);
  });
  await runListener(
    {
      host,
      port,
      tls,
      limits: { ...defaultLimits, ...limits },
      log: deps.log,
      identify: async (name) => {
        const user = await deps.user(name);
        if (user === undefined) return { verifier, account: undefined };
        return { verifier: user.verifier, account: { readOnly: user.access === 'read_only' } };
      },
      onListening: (address) => deps.onListening?.(address),
      open: async (client) => {
        logins.add(client);
        await checkStill(deps, client.login);
        return openSession(deps, { client, router, texts, boards, catalogParameters });
      },
    },
    signal,
  ).finally(unwatch);
}

/** What a login may do. */
export function accessOf({ account }: Login): Access {
  if (account === undefined) return 'owner';
  return account.readOnly ? 'read_only' : 'read_write';
}

/** Created users that are logged in: one who is dropped, or may do something else from now on, is logged out. */
class Logins {
  readonly #clients = new Set<Client>();

  add(client: Client): void {
    if (client.login.account === undefined) return;
    this.#clients.add(client);
    client.gone.addEventListener('abort', () => this.#clients.delete(client), { once: true });
  }

  compare(users: ReadonlyMap<string, UserAccess>): void {
    for (const client of this.#clients) {
      const { login } = client;
      const access = users.get(login.user);
      if (access === accessOf(login)) continue;
      this.#clients.delete(client);
      client.end(changedError(login, access));
    }
  }
}

/** A user may take its time to prove who it is, and be changed meanwhile. @throws `stopped` */
async function checkStill({ user }: GatewayDeps, login: Login): Promise<void> {
  if (login.account === undefined) return;
  const access = (await user(login.user))?.access;
  if (access !== accessOf(login)) throw changedError(login, access);
}

function changedError({ user }: Login, access: UserAccess | undefined): SluiceError {
  const what = access === undefined ? 'was dropped' : 'was altered';
  return new SluiceError('stopped', `terminating connection because user "${user}" ${what}`, { sqlstate: '57P01' });
}

interface SessionParts {
  readonly client: Client;
  readonly router: Router;
  readonly texts: PlainTexts;
  /** Of all sessions. */
  readonly boards: Set<Switchboard>;
  /** What the catalog reports of its settings, once a session has asked it. */
  readonly catalogParameters: Map<string, string>;
}

async function openSession(deps: GatewayDeps, parts: SessionParts): Promise<ServedSession> {
  const { client, router, texts, catalogParameters } = parts;
  const { database } = client.login;
  // Not what is remembered: a peer that another process has just made is there.
  const home = (await deps.peer(database)) === undefined ? catalogName : database;
  const placeOf = async (name: string) =>
    name === catalogName ? { config: await deps.catalog() } : await deps.peer(name);
  const access = accessOf(client.login);
  const board = new Switchboard({
    client,
    home,
    readOnly: access === 'read_only',
    placeOf,
    versionOf: deps.peerVersion,
  });
  parts.boards.add(board);
  client.gone.addEventListener('abort', () => parts.boards.delete(board), { once: true });
  const own = new OwnStatements({ run: deps.run, client, access });
  const relay = new Relay({ client, board, own, router, texts, isPeer: deps.peerExists });
  try {
    // A client that looks at a peer wants to know at once if it is there; one that talks to us needs no connection yet.
    const told = home === catalogName ? toldAtLogin(client.login.parameters, catalogParameters) : undefined;
    const { parameters } = told === undefined ? await board.join(home) : { parameters: told };
    for (const [name, value] of parameters) board.parameters.set(name, value);
    // Only what nobody has set is true for the next client as well.
    if (home === catalogName && told === undefined && asksForNothing(client.login.parameters)) {
      for (const [name, value] of parameters) catalogParameters.set(name, value);
    }
  } catch (error) {
    board.abandon();
    throw error;
  }
  board.parameters.set('session_authorization', client.login.user);
  return {
    backend: relay,
    parameters: new Map(board.parameters),
    get insideRow() {
      return board.insideRow;
    },
    cancel: () => {
      own.cancel();
      return board.cancel();
    },
    abandon: () => {
      own.cancel();
      board.abandon();
    },
  };
}
