// From the first packet to a proven login: messages in, messages out, no sockets.
import { SluiceError } from '../base/errors.ts';
import * as say from './backend.ts';
import { frontend } from './frames.ts';
import { decodeSaslInitial, decodeStartup } from './frontend.ts';
import { challenge, type ScramChallenge, type ScramVerifier, scramMechanism, scramPlusMechanism } from './scram.ts';

/** What the handshake must know of the server and of this connection. */
export interface HandshakePolicy {
  /** Whether a certificate is there. */
  readonly tlsOffered: boolean;
  /** Whether a login without TLS is refused on this connection. */
  readonly tlsRequired: boolean;
  readonly channelBinding: Buffer | undefined;
}

/** Who a login is, once it has proved that it knows the password. */
export interface Identity {
  /** Never undefined: a name that nobody has must look like a wrong password. */
  readonly verifier: ScramVerifier;
  /** Undefined: nobody was created by that name, and the owner's password opens the door. */
  readonly account: Account | undefined;
}

/** What is known of a created user. */
export interface Account {
  readonly readOnly: boolean;
}

export interface Login {
  readonly user: string;
  readonly database: string;
  /** The startup packet's other parameters, protocol options (_pq_.) left out. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Undefined: the owner. */
  readonly account: Account | undefined;
}

type Named = Omit<Login, 'account'>;

export type HandshakeState =
  | { readonly at: 'start'; readonly tls: boolean; readonly refusals: number }
  /** Nothing is read until it is known who that name is. */
  | { readonly at: 'named'; readonly tls: boolean; readonly login: Named; readonly replies: readonly Buffer[] }
  | { readonly at: 'mechanism'; readonly tls: boolean; readonly login: Login; readonly verifier: ScramVerifier }
  | { readonly at: 'proof'; readonly login: Login; readonly challenge: ScramChallenge };

export type HandshakeStep =
  | { readonly action: 'go_on'; readonly replies: readonly Buffer[]; readonly state: HandshakeState }
  /** Find out who the user is, then call `identified`. */
  | { readonly action: 'identify'; readonly user: string; readonly state: NamedState }
  /** Send the reply, then speak TLS. */
  | { readonly action: 'tls'; readonly replies: readonly Buffer[]; readonly state: HandshakeState }
  | { readonly action: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | { readonly action: 'close' }
  | { readonly action: 'welcome'; readonly replies: readonly Buffer[]; readonly login: Login };

/** The state of a new connection; `tls` if it speaks TLS from its first byte. */
export function beginHandshake(tls = false): HandshakeState {
  return { at: 'start', tls, refusals: 0 };
}

// A client may ask for GSS and then for TLS; one that goes on asking is up to no good.
const mostRequests = 2;

/**
 * One step: a packet (type 0 in the startup phase) and what follows from it.
 * @throws SluiceError to be sent as FATAL: `protocol`, `invalid_password`, `unsupported`
 */
export function advance(
  state: HandshakeState,
  packet: { readonly type: number; readonly body: Buffer },
  policy: HandshakePolicy,
): HandshakeStep {
  if (packet.type === frontend.terminate) return { action: 'close' };
  switch (state.at) {
    case 'start':
      return start(state, packet.body, policy);
    case 'named':
      throw new SluiceError('protocol', 'unexpected message before authentication');
    case 'mechanism':
      return chooseMechanism(state, packet.body, policy);
    case 'proof':
      return checkProof(state, packet.body);
    default:
      return state satisfies never;
  }
}

type At<K extends HandshakeState['at']> = Extract<HandshakeState, { at: K }>;
export type NamedState = At<'named'>;

function start(state: At<'start'>, body: Buffer, policy: HandshakePolicy): HandshakeStep {
  const packet = decodeStartup(body);
  switch (packet.kind) {
    case 'tls':
      if (policy.tlsOffered && !state.tls) {
        return { action: 'tls', replies: [Buffer.from('S')], state: { ...state, tls: true } };
      }
      return refuse(state);
    case 'gss':
      return refuse(state);
    case 'cancel':
      return { action: 'cancel', pid: packet.pid, secret: packet.secret };
    case 'startup':
      return greet(state, packet, policy);
    default:
      return packet satisfies never;
  }
}

function refuse(state: At<'start'>): HandshakeStep {
  if (state.refusals >= mostRequests) throw new SluiceError('protocol', 'too many requests for encryption');
  return { action: 'go_on', replies: [Buffer.from('N')], state: { ...state, refusals: state.refusals + 1 } };
}

function greet(
  state: At<'start'>,
  packet: { readonly major: number; readonly minor: number; readonly parameters: ReadonlyMap<string, string> },
  policy: HandshakePolicy,
): HandshakeStep {
  if (packet.major !== 3) {
    const asked = `${packet.major}.${packet.minor}`;
    throw new SluiceError('unsupported', `unsupported frontend protocol ${asked}: server supports 3.0`);
  }
  const { user = '', database, replication, ...others } = Object.fromEntries(packet.parameters);
  if (user === '') {
    throw new SluiceError('protocol', 'no PostgreSQL user name specified in startup packet', { sqlstate: '28000' });
  }
  if (policy.tlsRequired && !state.tls) {
    throw new SluiceError('invalid_password', 'this server takes remote logins over TLS only', {
      sqlstate: '28000',
      hint: "Connect with sslmode=require or stronger, and check the server's certificate.",
    });
  }
  if (replication !== undefined && !/^(false|off|no|0)$/i.test(replication)) {
    throw new SluiceError('unsupported', 'replication connections are not served here', {
      hint: 'Connect to the source itself.',
    });
  }
  const unknown = Object.keys(others).filter((name) => name.startsWith('_pq_.'));
  const known = Object.entries(others).filter(([name]) => !name.startsWith('_pq_.'));
  const login = { user, database: database || user, parameters: new Map(known) };
  const negotiation = packet.minor > 0 || unknown.length > 0 ? [say.negotiateProtocolVersion(0, unknown)] : [];
  const plus = state.tls && policy.channelBinding !== undefined;
  const mechanisms = plus ? [scramPlusMechanism, scramMechanism] : [scramMechanism];
  const replies = [...negotiation, say.authenticationSasl(mechanisms)];
  return { action: 'identify', user, state: { at: 'named', tls: state.tls, login, replies } };
}

/** Goes on with a login whose name is known to be somebody's. */
export function identified(
  { tls, login, replies }: NamedState,
  { verifier, account }: Identity,
): Extract<HandshakeStep, { readonly action: 'go_on' }> {
  return { action: 'go_on', replies, state: { at: 'mechanism', tls, login: { ...login, account }, verifier } };
}

function chooseMechanism(state: At<'mechanism'>, body: Buffer, policy: HandshakePolicy): HandshakeStep {
  const { mechanism, data } = decodeSaslInitial(body);
  const channelBinding = state.tls ? policy.channelBinding : undefined;
  const offered = mechanism === scramMechanism || (mechanism === scramPlusMechanism && channelBinding !== undefined);
  if (!offered) throw new SluiceError('protocol', 'client selected an invalid SASL authentication mechanism');
  const asked = challenge(data.toString('utf8'), { verifier: state.verifier, mechanism, channelBinding });
  return {
    action: 'go_on',
    replies: [say.authenticationSaslContinue(asked.message)],
    state: { at: 'proof', login: state.login, challenge: asked },
  };
}

function checkProof(state: At<'proof'>, body: Buffer): HandshakeStep {
  const word = state.challenge.finish(body.toString('utf8'));
  if (word === undefined) {
    throw new SluiceError('invalid_password', `password authentication failed for user "${state.login.user}"`);
  }
  return {
    action: 'welcome',
    replies: [say.authenticationSaslFinal(word), say.authenticationOk()],
    login: state.login,
  };
}
