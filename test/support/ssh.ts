// An SSH host for tests: takes a password or a key, and forwards to whatever it is asked for on 127.0.0.1.
import { connect } from 'node:net';
import ssh2 from 'ssh2';
import { fingerprint } from '../../src/peers/ssh.ts';

export interface SshHost extends AsyncDisposable {
  readonly port: number;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
  readonly fingerprint: string;
  /** The key that the user "key" logs in with. */
  readonly userKey: string;
  /** Sessions that are open now. */
  readonly sessions: number;
  /** Breaks every session off. */
  cut(): void;
}

interface Behaviour {
  /** Answers a password only through keyboard-interactive, as PAM does. */
  readonly keyboardOnly?: boolean;
  /** Refuses to forward, as AllowTcpForwarding no does. */
  readonly noForwarding?: boolean;
}

// One of 256 that ssh2 makes of ed25519 has lost a leading zero, and is none that it can read: https://github.com/mscdex/ssh2/issues/1513
function makeEd25519(): { readonly private: string; readonly public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    const read = [pair.private, pair.public].map((text) => ssh2.utils.parseKey(text));
    if (!read.some((key) => key instanceof Error)) return pair;
  }
}

/** Users: "pass" with the password `ssh-secret`, "key" with userKey. */
export async function sshHost(behaviour: Behaviour = {}): Promise<SshHost> {
  const hostKeys = [ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }), makeEd25519()];
  const [, ed25519] = hostKeys;
  const userKey = makeEd25519();
  const userPublic = Buffer.from(userKey.public.split(' ')[1] ?? '', 'base64');
  const sessions = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: hostKeys.map((pair) => pair.private) }, (client) => {
    sessions.add(client);
    client.on('close', () => sessions.delete(client));
    client.on('error', () => sessions.delete(client));
    client.on('authentication', (request) => authenticate(request, { ...behaviour, userPublic }));
    client.on('ready', () =>
      client.on('tcpip', (accept, reject, info) => forward({ accept, reject, info, behaviour })),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as { port: number }).port,
    publicKey: ed25519?.public ?? '',
    fingerprint: fingerprint(Buffer.from(ed25519?.public.split(' ')[1] ?? '', 'base64')),
    userKey: userKey.private,
    get sessions() {
      return sessions.size;
    },
    cut() {
      for (const each of sessions) each.end();
    },
    async [Symbol.asyncDispose]() {
      for (const each of sessions) each.end();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

function authenticate(request: ssh2.AuthContext, rules: Behaviour & { readonly userPublic: Buffer }): void {
  if (request.method === 'password' && !rules.keyboardOnly && request.username === 'pass') {
    if (request.password === 'ssh-secret') request.accept();
    else request.reject(['password']);
    return;
  }
  if (request.method === 'keyboard-interactive' && rules.keyboardOnly && request.username === 'pass') {
    request.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
      answers[0] === 'ssh-secret' ? request.accept() : request.reject(),
    );
    return;
  }
  if (request.method === 'publickey' && request.username === 'key' && request.key.data.equals(rules.userPublic)) {
    request.accept();
    return;
  }
  request.reject(rules.keyboardOnly ? ['keyboard-interactive'] : ['password', 'publickey']);
}

function forward(asked: {
  readonly accept: () => ssh2.ServerChannel;
  readonly reject: () => void;
  readonly info: ssh2.TcpipRequestInfo;
  readonly behaviour: Behaviour;
}): void {
  const { accept, reject, info, behaviour } = asked;
  if (behaviour.noForwarding) {
    reject();
    return;
  }
  const socket = connect(info.destPort, info.destIP);
  socket.once('error', () => reject());
  socket.once('connect', () => {
    socket.removeAllListeners('error');
    const channel = accept();
    socket.pipe(channel).pipe(socket);
    socket.on('close', () => channel.close());
    socket.on('error', () => channel.close());
    channel.on('close', () => socket.destroy());
    channel.on('error', () => socket.destroy());
  });
}
