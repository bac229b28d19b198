// A way through an SSH host: one SSH session per connection, its host key checked, its channel handed to pg as a socket.
import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import { SluiceError } from '../base/errors.ts';
import type { PeerConfig, SshConfig } from '../mirror/peer.ts';

const readyTimeoutMs = 10_000;
const keepaliveIntervalMs = 15_000;

/** `SHA256:…`, as ssh-keygen -l prints it, of a host key's bytes. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** A pinned host key: its bytes, or only its fingerprint. */
export type PinnedKey = { readonly key: Buffer; readonly type: string } | { readonly fingerprint: string };

/**
 * Reads a host_key: `SHA256:…`, bare base64, or a line of known_hosts or of a .pub file.
 * @throws `invalid_option` if it is none of these
 */
export function readHostKey(text: string): PinnedKey {
  const words = text.trim().split(/\s+/);
  const print = words.find((word) => /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(word));
  if (print !== undefined) return { fingerprint: print.replace(/=+$/, '') };
  // The blob begins with its type as a string of a four-byte length: https://www.rfc-editor.org/rfc/rfc4253#section-6.6
  const blob = words.find((word) => /^AAAA[A-Za-z0-9+/]+=*$/.test(word));
  if (blob !== undefined) {
    const key = Buffer.from(blob, 'base64');
    const length = key.length < 4 ? 0 : key.readUInt32BE(0);
    if (length > 0 && length < 64 && key.length > 4 + length)
      return { key, type: key.toString('latin1', 4, 4 + length) };
  }
  throw new SluiceError('invalid_option', 'ssh_config: "host_key" cannot be read', {
    hint: 'Give SHA256:… as ssh-keygen -l prints it, or a line such as "ssh-ed25519 AAAA…" as ssh-keyscan prints it.',
  });
}

/** Whether the key that a host shows is the pinned one. */
export function hostKeyMatches(pinned: PinnedKey, shown: Buffer): boolean {
  return 'key' in pinned ? pinned.key.equals(shown) : pinned.fingerprint === fingerprint(shown);
}

// A host has several keys; the one that is pinned must be the one that it is asked for.
function algorithmsFor(pinned: PinnedKey | undefined): ssh2.ServerHostKeyAlgorithm[] | undefined {
  if (pinned === undefined || !('type' in pinned)) return undefined;
  const type = pinned.type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [pinned.type];
  return type as ssh2.ServerHostKeyAlgorithm[];
}

export interface TunnelEnds {
  readonly ssh: SshConfig;
  readonly to: Pick<PeerConfig, 'host' | 'port'>;
  /** Told the host key's fingerprint as soon as it is known. */
  readonly onFingerprint?: ((fingerprint: string) => void) | undefined;
}

/**
 * Opens an SSH session and, through it, a connection to the server. Closing the stream closes the session.
 * @throws `unreachable`, `login_refused` (of the SSH host), `invalid_option` (key that cannot be read), `stopped`
 */
export function openTunnel(ends: TunnelEnds, signal?: AbortSignal): Promise<Duplex> {
  const { ssh, to } = ends;
  const pinned = ssh.hostKey === undefined ? undefined : readHostKey(ssh.hostKey);
  checkPrivateKey(ssh);
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let shown: string | undefined;
    let refusedKey = false;
    const fail = (error: SluiceError) => {
      signal?.removeEventListener('abort', stop);
      client.destroy();
      reject(error);
    };
    const stop = () => fail(new SluiceError('stopped', 'stopped'));
    if (signal?.aborted) return stop();
    signal?.addEventListener('abort', stop, { once: true });
    client.on('error', (error) => fail(refusedKey ? wrongHostKey(ssh, shown) : sshError(error, ssh)));
    client.on('close', () => fail(unreachableSsh(ssh, 'it closed the connection')));
    // One-time codes and PAM often answer a password only this way.
    client.on('keyboard-interactive', (_name, _text, _lang, prompts, answer) =>
      answer(prompts.map(() => ssh.password ?? '')),
    );
    client.on('ready', () => {
      client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, channel) => {
        if (error !== undefined) return fail(forwardError(error, ends));
        signal?.removeEventListener('abort', stop);
        client.removeAllListeners('error');
        client.on('error', (lost) => {
          (channel as Duplex).destroy(lost);
        });
        client.on('close', () => channel.destroy());
        channel.once('close', () => client.end());
        resolve(channel);
      });
    });
    const serverHostKey = algorithmsFor(pinned);
    client.connect({
      host: ssh.host,
      port: ssh.port,
      username: ssh.user,
      readyTimeout: readyTimeoutMs,
      keepaliveInterval: keepaliveIntervalMs,
      tryKeyboard: ssh.password !== undefined,
      ...(ssh.password === undefined ? {} : { password: ssh.password }),
      ...(ssh.privateKey === undefined ? {} : { privateKey: ssh.privateKey }),
      ...(serverHostKey === undefined ? {} : { algorithms: { serverHostKey } }),
      hostVerifier: (key: Buffer) => {
        shown = fingerprint(key);
        ends.onFingerprint?.(shown);
        refusedKey = pinned !== undefined && !hostKeyMatches(pinned, key);
        return !refusedKey;
      },
    });
  });
}

function checkPrivateKey(ssh: SshConfig): void {
  if (ssh.privateKey === undefined) return;
  if (!(ssh2.utils.parseKey(ssh.privateKey) instanceof Error)) return;
  throw new SluiceError('invalid_option', 'ssh_config: "private_key" cannot be read', {
    hint: 'Give a private key in OpenSSH or PEM form without a passphrase.',
  });
}

function wrongHostKey(ssh: SshConfig, shown: string | undefined): SluiceError {
  return new SluiceError('unreachable', `the SSH host ${ssh.host}:${ssh.port} is not the one that host_key names`, {
    detail: `It shows the key ${shown ?? '(none)'}.`,
    hint: 'If the host got a new key, look at it on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub) and give that as host_key.',
  });
}

function unreachableSsh(ssh: SshConfig, why: string, cause?: unknown): SluiceError {
  return new SluiceError('unreachable', `cannot reach the SSH host ${ssh.host}:${ssh.port}: ${why}`, {
    hint: 'Look at host and port in ssh_config, and whether a firewall stands between.',
    cause,
  });
}

// ssh2 says by `level` where it failed; its README lists the words.
function sshError(error: Error, ssh: SshConfig): SluiceError {
  const { level, code } = error as { readonly level?: string; readonly code?: string };
  switch (level) {
    case 'client-authentication':
      return new SluiceError(
        'login_refused',
        `the SSH host ${ssh.host}:${ssh.port} refuses the login of "${ssh.user}"`,
        {
          hint: 'Look at user, password and private_key in ssh_config.',
          cause: error,
        },
      );
    case 'client-timeout':
      return unreachableSsh(ssh, `no answer within ${readyTimeoutMs / 1000} s`, error);
    case 'handshake':
      return unreachableSsh(ssh, `no common key or cipher, or it has no key of the type that host_key names`, error);
    default:
      return unreachableSsh(ssh, code ?? level ?? 'the connection failed', error);
  }
}

// Reasons of SSH_MSG_CHANNEL_OPEN_FAILURE: https://www.rfc-editor.org/rfc/rfc4254#section-5.1
function forwardError(error: Error, { ssh, to }: TunnelEnds): SluiceError {
  const { reason } = error as { readonly reason?: number | string };
  const prohibited = reason === 1 || reason === 'ADMINISTRATIVELY_PROHIBITED';
  return new SluiceError(
    'unreachable',
    `the SSH host ${ssh.host}:${ssh.port} ${prohibited ? 'does not allow to forward to' : 'cannot reach'} ${to.host}:${to.port}`,
    {
      hint: prohibited
        ? 'Set AllowTcpForwarding yes in its sshd_config for this user.'
        : 'Host and port of the peer are as the SSH host sees them.',
      cause: error,
    },
  );
}

/**
 * A socket as pg wants it (with `connect`, `setNoDelay` …) over a stream that is only opened when pg says connect. What
 * goes wrong on the way is its `error`.
 */
export function socketOver(open: (signal: AbortSignal) => Promise<Duplex>): Duplex {
  const opening = new AbortController();
  let inner: Duplex | undefined;
  const outer = new Duplex({
    allowHalfOpen: false,
    read() {
      inner?.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      if (inner === undefined) done(new Error('not connected'));
      else if (inner.write(chunk)) done();
      else inner.once('drain', done);
    },
    final(done) {
      inner?.end();
      done();
    },
    destroy(error, done) {
      opening.abort();
      inner?.destroy();
      done(error);
    },
  });
  const begin = async () => {
    const stream = await open(opening.signal);
    if (outer.destroyed) return void stream.destroy();
    inner = stream;
    stream.on('data', (chunk: Buffer) => {
      if (!outer.push(chunk)) stream.pause();
    });
    stream.on('end', () => outer.push(null));
    stream.on('error', (error) => outer.destroy(error));
    stream.on('close', () => outer.destroy());
    outer.emit('connect');
  };
  const nothing = () => outer;
  return Object.assign(outer, {
    connect: () => {
      begin().catch((error: unknown) => outer.destroy(error instanceof Error ? error : new Error(String(error))));
      return outer;
    },
    setNoDelay: nothing,
    setKeepAlive: nothing,
    ref: nothing,
    unref: nothing,
  });
}
