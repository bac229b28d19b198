// What a peer is: a named PostgreSQL and how to reach it. The option declarations that SQL, HTTP and forms read.
import { SluiceError } from '../base/errors.ts';
import type { OptionDeclarations, Options, WrittenOption } from '../base/options.ts';
import { readOptions, shownValue } from '../base/options.ts';

/** https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

export const peerOptions = {
  host: { type: 'text', doc: 'Name or address of the server.' },
  port: { type: 'integer', min: 1, max: 65535, doc: 'Port of the server; 5432 unless told.' },
  user: { type: 'text', doc: 'Role to log in as.' },
  password: { type: 'text', secret: true, doc: 'Password of the role. Sealed at rest, never shown.' },
  database: { type: 'text', doc: 'Database to connect to; the name of the user unless told.' },
  url: {
    type: 'text',
    secret: true,
    doc: 'postgres://user:password@host:port/database?sslmode=… in place of the single options, which override it.',
  },
  sslmode: { type: 'choice', choices: sslModes, doc: "libpq's sslmode; prefer unless told." },
  root_ca: {
    type: 'text',
    doc: 'PEM certificates that sign the server certificate; verify-full without it trusts what this machine trusts.',
  },
  tls_host: { type: 'text', doc: 'Name that the server certificate must carry, if it is not the host.' },
  client_tls: {
    type: 'json',
    secret: true,
    doc: '{"certificate": PEM, "private_key": PEM}: the certificate that we show to the server.',
  },
  require_tls: { type: 'boolean', doc: "PeerDB's word for sslmode = 'require'." },
  disable_tls: { type: 'boolean', doc: "PeerDB's word for sslmode = 'disable'." },
  skip_cert_verification: { type: 'boolean', doc: "PeerDB's word: with TLS required, do not check the certificate." },
  ssh_config: {
    type: 'json',
    secret: true,
    doc: '{"host", "port", "user", "password", "private_key", "host_key"}: reach the server through this SSH host. host_key, if given, is checked.',
  },
  metadata_schema: {
    type: 'text',
    default: '_sluice',
    maxBytes: 63,
    doc: 'Schema on a target where checkpoints are kept.',
  },
} as const satisfies OptionDeclarations;

export type PeerOptions = Options<typeof peerOptions>;

export interface SshConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly privateKey?: string | undefined;
  /** Base64 of the key, an OpenSSH known_hosts/public key line, or SHA256:… fingerprint. */
  readonly hostKey?: string | undefined;
}

/** A peer's connection settings, complete and checked. Holds secrets: never log or show it; shownPeerOptions is for that. */
export interface PeerConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly rootCa: string | undefined;
  readonly tlsHost: string | undefined;
  readonly clientTls: { readonly certificate: string; readonly privateKey: string } | undefined;
  readonly ssh: SshConfig | undefined;
  readonly metadataSchema: string;
}

/** A peer as the catalog knows it. */
export interface Peer {
  readonly id: string;
  readonly name: string;
  readonly config: PeerConfig;
}

/**
 * Reads `WITH (…)` of CREATE PEER, or what mergePeerOptions made of ALTER PEER. An empty text is an option not given.
 * @throws `invalid_option`
 */
export function readPeerOptions(written: readonly WrittenOption[]): PeerConfig {
  return peerConfig(readOptions('peer', peerOptions, written.filter(isGiven)), written);
}

function isGiven(option: WrittenOption): boolean {
  return option.value !== '' || !Object.hasOwn(peerOptions, option.name);
}

// Ways to say the same thing: the later word replaces the earlier ones.
const replacedBy: Readonly<Record<string, readonly string[]>> = {
  url: ['host', 'port', 'user', 'password', 'database', 'sslmode', 'require_tls', 'disable_tls'],
  sslmode: ['require_tls', 'disable_tls', 'skip_cert_verification'],
  require_tls: ['sslmode', 'disable_tls'],
  disable_tls: ['sslmode', 'require_tls'],
};

/**
 * What a peer is made of after ALTER PEER … SET: options that were given before, under those that are given now. An empty
 * text takes an option back; a url takes the place of the single options that say the same.
 */
export function mergePeerOptions(
  before: readonly WrittenOption[],
  given: readonly WrittenOption[],
): readonly WrittenOption[] {
  const replaced = new Set(given.flatMap(({ name }) => [name, ...(replacedBy[name] ?? [])]));
  const kept = before.filter(({ name }) => !replaced.has(name));
  return [...kept, ...given.filter(isGiven)];
}

/** A peer's options as people may see them, in the order of their declaration; secrets as `********`. Unset ones are left out. */
export function shownPeerOptions(
  options: readonly WrittenOption[],
  config: PeerConfig,
): readonly { readonly name: string; readonly value: string }[] {
  const given = new Map(options.map((option) => [option.name, option.value]));
  const effective: Readonly<Record<string, string>> = {
    host: config.host,
    port: String(config.port),
    user: config.user,
    database: config.database,
    sslmode: config.sslMode,
    metadata_schema: config.metadataSchema,
    ...(config.password === undefined ? {} : { password: hidden }),
  };
  return Object.entries(peerOptions).flatMap(([name, declaration]) => {
    const value = given.get(name);
    const shown = value === undefined ? effective[name] : (effective[name] ?? shownValue(declaration, value));
    return shown === undefined ? [] : [{ name, value: shown }];
  });
}

const hidden = '********';

function peerConfig(options: PeerOptions, written: readonly WrittenOption[]): PeerConfig {
  const url = options.url === undefined ? {} : readUrl(options.url, written);
  const host = options.host ?? url.host;
  const user = options.user ?? url.user;
  if (host === undefined || host === '') throw missing('host');
  if (user === undefined || user === '') throw missing('user');
  const sslMode = readSslMode(options, url.sslMode);
  if (sslMode === 'verify-ca' && options.root_ca === undefined) {
    // Anybody can have a certificate of a public authority; libpq refuses it as well.
    throw new SluiceError('invalid_option', 'sslmode verify-ca needs root_ca', {
      hint: 'Give the PEM certificate of the authority that signed the server certificate, or sslmode verify-full.',
      position: written.find((option) => option.name === 'sslmode')?.valuePosition,
    });
  }
  return {
    host,
    port: options.port ?? url.port ?? 5432,
    user,
    password: options.password ?? url.password,
    database: options.database ?? url.database ?? user,
    sslMode,
    rootCa: options.root_ca,
    tlsHost: options.tls_host,
    clientTls: readClientTls(options.client_tls),
    ssh: readSsh(options.ssh_config),
    metadataSchema: options.metadata_schema,
  };
}

function missing(name: string): SluiceError {
  return new SluiceError('invalid_option', `peer option "${name}" is missing`, {
    hint: "Give it, or url = 'postgres://user:password@host:port/database'.",
  });
}

interface UrlParts {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: string | undefined;
  readonly sslMode?: SslMode | undefined;
}

function readUrl(text: string, written: readonly WrittenOption[]): UrlParts {
  const position = written.find((option) => option.name === 'url')?.valuePosition;
  // The text may hold a password, so the message does not repeat it.
  const refuse = (why: string) =>
    new SluiceError('invalid_option', `invalid value for option "url": ${why}`, {
      hint: 'postgres://user:password@host:port/database; percent-encode / @ : ? # of user and password (%2F %40 %3A %3F %23).',
      position,
    });
  if (!/^postgres(ql)?:\/\//i.test(text) || !URL.canParse(text)) throw refuse('not a postgres:// URL');
  const url = new URL(text);
  const decode = (part: string) => {
    try {
      return part === '' ? undefined : decodeURIComponent(part);
    } catch {
      throw refuse('bad percent-encoding');
    }
  };
  const parameters = url.searchParams;
  const sslMode = parameters.get('sslmode') ?? undefined;
  for (const name of parameters.keys()) {
    if (name !== 'sslmode') throw refuse(`parameter "${name}" is not known (known: sslmode)`);
  }
  if (sslMode !== undefined && !isSslMode(sslMode)) throw refuse(`sslmode is one of ${sslModes.join(', ')}`);
  return {
    host: decode(url.hostname.replace(/^\[|\]$/g, '')),
    port: url.port === '' ? undefined : Number(url.port),
    user: decode(url.username),
    password: decode(url.password),
    database: decode(url.pathname.slice(1)),
    sslMode,
  };
}

function isSslMode(word: string): word is SslMode {
  return (sslModes as readonly string[]).includes(word);
}

function readSslMode(options: PeerOptions, fromUrl: SslMode | undefined): SslMode {
  if (options.require_tls && options.disable_tls) {
    throw new SluiceError('invalid_option', 'require_tls and disable_tls contradict each other');
  }
  const mode = options.sslmode ?? fromUrl;
  if (mode !== undefined) return mode;
  if (options.disable_tls) return 'disable';
  // PeerDB checks the certificate when TLS is required, unless told not to.
  if (options.require_tls) return options.skip_cert_verification ? 'require' : 'verify-full';
  return 'prefer';
}

function readClientTls(text: string | undefined): PeerConfig['clientTls'] {
  if (text === undefined) return undefined;
  const value = JSON.parse(text) as Record<string, unknown>;
  const { certificate, private_key: privateKey, ...rest } = value;
  refuseUnknown('client_tls', rest, ['certificate', 'private_key']);
  if (typeof certificate !== 'string' || typeof privateKey !== 'string') {
    throw new SluiceError('invalid_option', 'client_tls needs "certificate" and "private_key"');
  }
  return { certificate, privateKey };
}

function readSsh(text: string | undefined): SshConfig | undefined {
  if (text === undefined) return undefined;
  const value = JSON.parse(text) as Record<string, unknown>;
  const { host, port = 22, user, password, private_key: privateKey, host_key: hostKey, ...rest } = value;
  refuseUnknown('ssh_config', rest, ['host', 'port', 'user', 'password', 'private_key', 'host_key']);
  const optional = (name: string, part: unknown) => {
    if (part === undefined || typeof part === 'string') return part;
    throw new SluiceError('invalid_option', `ssh_config: "${name}" must be a string`);
  };
  if (typeof host !== 'string' || typeof user !== 'string') {
    throw new SluiceError('invalid_option', 'ssh_config needs "host" and "user"');
  }
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new SluiceError('invalid_option', 'ssh_config: "port" must be an integer from 1 to 65535');
  }
  const secrets = {
    password: optional('password', password),
    privateKey: optional('private_key', privateKey),
    hostKey: optional('host_key', hostKey),
  };
  if (secrets.password === undefined && secrets.privateKey === undefined) {
    throw new SluiceError('invalid_option', 'ssh_config needs "password" or "private_key"');
  }
  return { host, port, user, ...secrets };
}

function refuseUnknown(option: string, rest: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unknown = Object.keys(rest)[0];
  if (unknown === undefined) return;
  throw new SluiceError('invalid_option', `${option}: unknown key "${unknown}"`, {
    hint: `Known keys: ${known.join(', ')}.`,
  });
}
