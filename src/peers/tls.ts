// libpq's six sslmodes in Node's words: which attempt uses TLS, what of the certificate is checked, and what a failure means.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { SluiceError } from '../base/errors.ts';
import type { PeerConfig, SslMode } from '../mirror/peer.ts';

type TlsPeer = Pick<PeerConfig, 'host' | 'sslMode' | 'rootCa' | 'tlsHost' | 'clientTls'>;

/** A socket file is reached without TLS whatever the mode, as libpq does: `host` is then its folder. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith('/');
}

/**
 * Which ways to try, in order: true is with TLS. Only `allow` and `prefer` have a second one.
 * https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLMODE
 */
export function tlsAttempts(peer: Pick<PeerConfig, 'host' | 'sslMode'>): readonly [boolean, ...boolean[]] {
  if (isSocketFolder(peer.host)) return [false];
  const attempts: Readonly<Record<SslMode, readonly [boolean, ...boolean[]]>> = {
    disable: [false],
    allow: [false, true],
    prefer: [true, false],
    require: [true],
    'verify-ca': [true],
    'verify-full': [true],
  };
  return attempts[peer.sslMode];
}

/**
 * What Node's TLS must check. A root_ca has the certificate's chain checked in every mode, as libpq does where the file
 * exists; the name is checked in verify-full only.
 * @throws `invalid_option` if root_ca or client_tls is not PEM
 */
export function tlsOptions(peer: TlsPeer): ConnectionOptions {
  const name = tlsName(peer);
  const chain = peer.rootCa !== undefined || peer.sslMode === 'verify-ca' || peer.sslMode === 'verify-full';
  const options: ConnectionOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: chain,
    checkServerIdentity: peer.sslMode === 'verify-full' ? (_host, shown) => checkName(name, shown) : () => undefined,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(peer.rootCa === undefined ? {} : { ca: peer.rootCa }),
    ...(peer.clientTls === undefined ? {} : { cert: peer.clientTls.certificate, key: peer.clientTls.privateKey }),
  };
  checkPem(peer);
  return options;
}

/** The name that the server's certificate must carry. */
export function tlsName(peer: Pick<PeerConfig, 'host' | 'tlsHost'>): string {
  return peer.tlsHost ?? peer.host;
}

// libpq takes an address from the common name too, where the certificate has no alternative names; Node does not.
function checkName(name: string, shown: PeerCertificate): Error | undefined {
  const error = checkServerIdentity(name, shown);
  const byCommonName = isIP(name) !== 0 && shown.subjectaltname === undefined && shown.subject?.CN === name;
  return byCommonName ? undefined : error;
}

// Node skips what is not a certificate in `ca` without a word; the error would then name the server's certificate.
function checkPem(peer: TlsPeer): void {
  const refuse = (what: string, cause: unknown) =>
    new SluiceError('invalid_option', `peer option "${what}" cannot be read`, {
      hint: 'It holds PEM text: -----BEGIN CERTIFICATE----- … (the private key without a passphrase).',
      cause,
    });
  if (peer.rootCa !== undefined) {
    try {
      new X509Certificate(peer.rootCa);
    } catch (cause) {
      throw refuse('root_ca', cause);
    }
  }
  if (peer.clientTls === undefined) return;
  try {
    createSecureContext({ cert: peer.clientTls.certificate, key: peer.clientTls.privateKey });
  } catch (cause) {
    throw refuse('client_tls', cause);
  }
}

/** Says what a TLS failure's code means, with what to do; undefined if the code is not one of TLS. */
export function tlsFailure(
  code: string,
  peer: TlsPeer,
): { readonly message: string; readonly hint: string } | undefined {
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        message: `the server's certificate is not for "${tlsName(peer)}"`,
        hint: 'Give tls_host the name that the certificate carries, or sslmode verify-ca, which checks no name.',
      };
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return {
        message: "the server's certificate is not valid at this time",
        hint: 'Renew it, or look at the clocks.',
      };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
    case 'INVALID_PURPOSE':
      return {
        message:
          peer.rootCa === undefined
            ? "the server's certificate is not signed by an authority that this machine trusts"
            : "the server's certificate is not signed by root_ca",
        hint: "Give root_ca the certificate of the authority that signed the server's.",
      };
    default:
      return /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO$)/.test(code)
        ? {
            message: `the TLS handshake failed (${code})`,
            hint: "Look at the server's ssl_min_protocol_version and at what its log says.",
          }
        : undefined;
  }
}

/** TLS was wanted and the server answered N to SSLRequest. https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL */
export function tlsNotOffered(peer: Pick<PeerConfig, 'host' | 'port' | 'sslMode'>): SluiceError {
  return new SluiceError(
    'unreachable',
    `${peer.host}:${peer.port} does not offer TLS, and sslmode is ${peer.sslMode}`,
    {
      hint: "Set ssl = on on the server, or sslmode = 'prefer' or 'disable' for the peer.",
    },
  );
}
