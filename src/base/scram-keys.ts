// What a server keeps of a password for SCRAM-SHA-256. RFC 5802 and 7677.
import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

/** What the server keeps in the password's place. */
export interface ScramKeys {
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const deriveKey = promisify(pbkdf2);

/** @param iterations how often the password is hashed: thousands for one that people choose, once for one drawn by lot */
export async function deriveScramKeys(password: string, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await deriveKey(password, salt, iterations, 32, 'sha256');
  const hmac = (data: string) => createHmac('sha256', salted).update(data).digest();
  return { storedKey: createHash('sha256').update(hmac('Client Key')).digest(), serverKey: hmac('Server Key') };
}
