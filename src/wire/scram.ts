// SCRAM-SHA-256, the server's half: proves that the client knows the password without ever seeing it.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import { deriveScramKeys, type ScramKeys } from '../base/scram-keys.ts';

// RFC 5802 and 7677; https://www.postgresql.org/docs/18/sasl-authentication.html

export const scramMechanism = 'SCRAM-SHA-256';
export const scramPlusMechanism = 'SCRAM-SHA-256-PLUS';

/** A password's verifier; two pairs of keys where clients disagree on how the password is prepared. */
export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly keys: readonly ScramKeys[];
}

const iterations = 4096;
const hmac = (key: Buffer, data: string | Buffer): Buffer => createHmac('sha256', key).update(data).digest();
const hash = (data: Buffer): Buffer => createHash('sha256').update(data).digest();

/** Makes the verifier of a password. Costs some milliseconds; do it once. */
export async function createVerifier(password: string, salt: Buffer = randomBytes(16)): Promise<ScramVerifier> {
  const forms = [...new Set([password, prepared(password)])];
  const keys = await Promise.all(forms.map((form) => deriveScramKeys(form, salt, iterations)));
  return { salt, iterations, keys };
}

/**
 * A verifier in PostgreSQL's own notation, `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`; undefined if the text is
 * none, and so a password. https://www.postgresql.org/docs/18/catalog-pg-authid.html
 */
export function readVerifier(text: string): ScramVerifier | undefined {
  const base64 = '([A-Za-z0-9+/]+={0,2})';
  const match = new RegExp(`^SCRAM-SHA-256\\$(\\d{1,9}):${base64}\\$${base64}:${base64}$`).exec(text);
  if (match === null) return undefined;
  const [salt, storedKey, serverKey] = match.slice(2).map((each) => Buffer.from(each, 'base64'));
  if (Number(match[1]) < 1 || storedKey?.length !== 32 || serverKey?.length !== 32) return undefined;
  return { salt: salt!, iterations: Number(match[1]), keys: [{ storedKey, serverKey }] };
}

// https://datatracker.ietf.org/doc/html/rfc4013: spaces become a space, marks without width vanish, the rest is NFKC. A
// password that is not allowed by the letter of it is used as it is, as libpq does.
function prepared(password: string): string {
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC');
}

/** What the server has said first and waits for an answer to. */
export interface ScramChallenge {
  readonly message: string;
  /** Checks the client's answer; gives the server's last word, or undefined if the password is wrong. @throws `protocol` */
  finish(answer: string): string | undefined;
}

export interface ScramOptions {
  readonly verifier: ScramVerifier;
  readonly mechanism: string;
  /** tls-server-end-point data of our certificate, where PLUS was offered. */
  readonly channelBinding: Buffer | undefined;
  /** For tests. */
  readonly serverNonce?: string | undefined;
}

const malformed = (detail: string) => new SluiceError('protocol', 'malformed SCRAM message', { detail });

/** Reads the client's first message. @throws `protocol` */
export function challenge(clientFirst: string, options: ScramOptions): ScramChallenge {
  const match = /^(n|y|p=([A-Za-z0-9.-]+)),(a=[^,]*)?,((?:m=[^,]*,)?n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(
    clientFirst,
  );
  if (match === null) throw malformed('The first message is not one.');
  const [, flag = '', binding, authzid = '', bare = '', clientNonce = ''] = match;
  if (bare.startsWith('m=')) throw malformed('The client needs an extension that is not there.');
  const plus = options.mechanism === scramPlusMechanism;
  if (plus !== flag.startsWith('p')) throw malformed('Mechanism and channel binding flag do not agree.');
  if (plus && binding !== 'tls-server-end-point') throw malformed(`Channel binding "${binding}" is not supported.`);
  // "I could bind, but you cannot": someone in the middle has taken our offer out.
  if (flag === 'y' && options.channelBinding !== undefined) {
    throw new SluiceError('protocol', 'SCRAM channel binding negotiation error', {
      sqlstate: '28000',
      detail: 'The client supports SCRAM channel binding but thinks the server does not, yet it does.',
    });
  }
  const nonce = clientNonce + (options.serverNonce ?? randomBytes(18).toString('base64'));
  const { verifier } = options;
  const message = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`;
  const expected = Buffer.concat([
    Buffer.from(`${flag},${authzid},`),
    plus && options.channelBinding !== undefined ? options.channelBinding : Buffer.alloc(0),
  ]);
  return {
    message,
    finish(answer) {
      const final = /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[^p].*)?),p=([A-Za-z0-9+/=]+)$/s.exec(answer);
      if (final === null) throw malformed('The final message is not one.');
      const [, withoutProof = '', bound = '', answeredNonce, proof = ''] = final;
      if (answeredNonce !== nonce) throw malformed('The nonce is not the one that was agreed on.');
      if (!Buffer.from(bound, 'base64').equals(expected)) {
        throw new SluiceError('protocol', 'SCRAM channel binding check failed', { sqlstate: '28000' });
      }
      return verify(verifier, Buffer.from(proof, 'base64'), `${bare},${message},${withoutProof}`);
    },
  };
}

/** Every key is tried, whichever is right, so that the time tells nothing. */
function verify(verifier: ScramVerifier, proof: Buffer, authMessage: string): string | undefined {
  if (proof.length !== 32) throw malformed('The proof has the wrong length.');
  let word: string | undefined;
  for (const { storedKey, serverKey } of verifier.keys) {
    const signature = hmac(storedKey, authMessage);
    const clientKey = Buffer.from(signature.map((byte, i) => byte ^ proof[i]!));
    const matches = timingSafeEqual(hash(clientKey), storedKey);
    const answer = `v=${hmac(serverKey, authMessage).toString('base64')}`;
    if (matches) word = answer;
  }
  return word;
}
