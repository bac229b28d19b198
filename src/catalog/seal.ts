// Secrets at rest: sealed with AES-256-GCM under a key that never enters the catalog.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';

// A sealed value: version (1 byte), nonce (12), ciphertext, tag (16).
const version = 1;
const nonceBytes = 12;
const tagBytes = 16;

/** Seals and opens texts. What a text belongs to is bound to it: a sealed value copied to another row does not open. */
export class Seal {
  readonly #key: Buffer;

  /** @param secretKey text of any length; the key is derived from it */
  constructor(secretKey: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secretKey, 'sluice', 'seal', 32));
  }

  seal(text: string, belongsTo: string): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(belongsTo));
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(version), nonce, body, cipher.getAuthTag()]);
  }

  /** @throws `invalid_option` if the key is another one, or the value was changed or moved */
  open(sealed: Buffer, belongsTo: string): string {
    if (sealed[0] !== version || sealed.length < 1 + nonceBytes + tagBytes) throw notOurs(belongsTo);
    const nonce = sealed.subarray(1, 1 + nonceBytes);
    const body = sealed.subarray(1 + nonceBytes, sealed.length - tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(belongsTo)).setAuthTag(sealed.subarray(sealed.length - tagBytes));
    try {
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw notOurs(belongsTo, cause);
    }
  }

  /** A password that two processes with one key make alike, for a role that only we use. */
  derivedPassword(purpose: string): string {
    return createHmac('sha256', this.#key).update(purpose).digest('base64url');
  }
}

function notOurs(belongsTo: string, cause?: unknown): SluiceError {
  return new SluiceError('invalid_option', `SLUICE_SECRET_KEY does not open the secrets of ${belongsTo}`, {
    hint: 'Start with the key that the catalog was made with; it is SLUICE_SECRET_KEY or the file secret.key in the data folder.',
    cause,
  });
}
