// The fingerprint of our TLS certificate that SCRAM-SHA-256-PLUS binds a login to (tls-server-end-point).
import { createHash, X509Certificate } from 'node:crypto';

// The hash is that of the certificate's own signature, SHA-256 in place of MD5 and SHA-1:
// https://datatracker.ietf.org/doc/html/rfc5929#section-4.1. Object identifiers in DER, in hex.
const hashOfSignature: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/** The binding data of the first certificate in a PEM file; undefined where its signature has no single hash (Ed25519, PSS). */
export function serverEndPoint(pem: string | Buffer): Buffer | undefined {
  const der = new X509Certificate(pem).raw;
  const name = signatureAlgorithm(der);
  const hash = name === undefined ? undefined : hashOfSignature[name];
  return hash === undefined ? undefined : createHash(hash).update(der).digest();
}

interface Element {
  readonly start: number;
  readonly end: number;
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, … }, signature } */
function signatureAlgorithm(der: Buffer): string | undefined {
  const certificate = element(der, 0);
  const signed = certificate && element(der, certificate.start);
  const algorithm = signed && element(der, signed.end);
  const name = algorithm && element(der, algorithm.start);
  return name && der.toString('hex', name.start, name.end);
}

function element(der: Buffer, at: number): Element | undefined {
  const first = der[at + 1];
  if (first === undefined) return undefined;
  if (first < 0x80) return { start: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  if (count < 1 || count > 4 || at + 2 + count > der.length) return undefined;
  const start = at + 2 + count;
  return { start, end: start + der.readUIntBE(at + 2, count) };
}
