// The gateway: a listener whose sessions run our statements and relay everything else.
import type { Log } from '../base/log.ts';
import type { ClientConfig } from '../pg/client.ts';
import { type Client, defaultLimits, type ListenerLimits, type ServedSession } from '../wire/house.ts';
import { runListener } from '../wire/listener.ts';
import { createVerifier } from '../wire/scram.ts';
import { OwnStatements, type RunStatement } from './own.ts';
import { loadParser } from './parser.ts';
import { Relay } from './relay.ts';
import { Router } from './route.ts';
import { Switchboard } from './switchboard.ts';
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
  readonly peer: (name: string) => Promise<ClientConfig | undefined>;
  /** Asked for every name in a statement that may be a peer's. */
  readonly peerExists: (name: string) => Promise<boolean>;
  /** Called once, with the port that was bound. */
  readonly onListening?: ((address: { readonly host: string; readonly port: number }) => void) | undefined;
}

/**
 * Serves clients until the signal is aborted; then lets those that are busy finish for a moment and returns when all are gone.
 * @throws `unreachable` if the address cannot be listened on
 */
export async function runGateway(deps: GatewayDeps, signal: AbortSignal): Promise<void> {
  const [verifier] = await Promise.all([createVerifier(deps.config.password), loadParser()]);
  const router = new Router();
  const catalogParameters = new Map<string, string>();
  const { host, port, tls, limits } = deps.config;
  await runListener(
    {
      host,
      port,
      tls,
      limits: { ...defaultLimits, ...limits },
      log: deps.log,
      verifier: () => verifier,
      onListening: (address) => deps.onListening?.(address),
      open: (client) => openSession(deps, { client, router, catalogParameters }),
    },
    signal,
  );
}

interface SessionParts {
  readonly client: Client;
  readonly router: Router;
  /** What the catalog reports of its settings, once a session has asked it. */
  readonly catalogParameters: Map<string, string>;
}

async function openSession(deps: GatewayDeps, parts: SessionParts): Promise<ServedSession> {
  const { client, router, catalogParameters } = parts;
  const { database } = client.login;
  const home = (await deps.peerExists(database)) ? database : catalogName;
  const configOf = (name: string) => (name === catalogName ? deps.catalog() : deps.peer(name));
  const board = new Switchboard({ client, home, configOf });
  const own = new OwnStatements(deps.run, client);
  const relay = new Relay({ client, board, own, router, isPeer: deps.peerExists });
  try {
    // A client that looks at a peer wants to know at once if it is there; one that talks to us needs no connection yet.
    if (home !== catalogName || catalogParameters.size === 0) {
      const upstream = await board.join(home);
      for (const [name, value] of upstream.parameters) board.parameters.set(name, value);
      // Only what nobody has set is true for the next client as well.
      const untouched = [...client.login.parameters.keys()].every((name) => harmless.has(name));
      if (home === catalogName && untouched) {
        for (const [name, value] of upstream.parameters) catalogParameters.set(name, value);
      }
    } else {
      for (const [name, value] of catalogParameters) board.parameters.set(name, value);
    }
  } catch (error) {
    board.abandon();
    throw error;
  }
  board.parameters.set('session_authorization', client.login.user);
  for (const [name, value] of reportedAtStartup(client)) board.parameters.set(name, value);
  return {
    backend: relay,
    parameters: new Map(board.parameters),
    cancel: () => {
      own.cancel();
      board.cancel();
    },
    abandon: () => {
      own.cancel();
      board.abandon();
    },
  };
}

const harmless: ReadonlySet<string> = new Set(['application_name', 'client_encoding']);

// https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-ASYNC
const settable = ['application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone'] as const;

/** What a client sets in its startup packet and is told of, by the name that PostgreSQL reports it under. */
function reportedAtStartup({ login }: Client): ReadonlyMap<string, string> {
  const reported = new Map<string, string>([
    ['application_name', ''],
    ['client_encoding', 'UTF8'],
  ]);
  for (const [name, value] of login.parameters) {
    const known = settable.find((each) => each.toLowerCase() === name.toLowerCase());
    if (known !== undefined) reported.set(known, value);
  }
  return reported;
}
