// What our objects on the source are called: made of the mirror's name, within what PostgreSQL takes, the same every time.
import { createHash } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';

/** NAMEDATALEN - 1: https://www.postgresql.org/docs/18/limits.html */
const maxBytes = 63;
const slotPrefix = 'peerflow_slot_';
const publicationPrefix = 'peerflow_pub_';

/** @throws `name_too_long`, `syntax` for an empty name */
export function checkMirrorName(name: string): void {
  if (name === '') throw new SluiceError('syntax', 'a mirror needs a name');
  const bytes = Buffer.byteLength(name);
  if (bytes <= maxBytes) return;
  throw new SluiceError('name_too_long', `mirror name "${name}" is too long`, {
    detail: `It has ${bytes} bytes; ${maxBytes} are allowed.`,
    hint: 'Use a shorter name.',
  });
}

/** Names of slots take lower case letters, digits and underscores only; any other name gets a hash, so that no two meet. */
export function slotName(mirror: string): string {
  const plain = slotPrefix + mirror;
  if (/^[a-z0-9_]+$/.test(plain) && plain.length <= maxBytes) return plain;
  return shortened(slotPrefix, mirror.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_'), mirror);
}

/** Any name is good for a publication, if it is short enough. */
export function publicationName(mirror: string): string {
  const plain = publicationPrefix + mirror;
  return Buffer.byteLength(plain) <= maxBytes ? plain : shortened(publicationPrefix, mirror, mirror);
}

function shortened(prefix: string, readable: string, mirror: string): string {
  const hash = createHash('sha256').update(mirror).digest('hex').slice(0, 8);
  const room = maxBytes - prefix.length - 1 - hash.length;
  let kept = '';
  for (const character of readable) {
    if (Buffer.byteLength(kept + character) > room) break;
    kept += character;
  }
  return `${prefix}${kept}_${hash}`;
}
