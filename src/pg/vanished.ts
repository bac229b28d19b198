// What a server says of a thing that goes between the look at its name and that at itself.
import type { SluiceError } from '../base/errors.ts';

/**
 * Whether a server's answer is that something was dropped while it was looked at: asked again, it does not meet it any more.
 * Its words are told by their beginnings, as internal errors have one code for all and are never translated.
 */
export function isVanished({ sqlstate, message }: SluiceError): boolean {
  return sqlstate === 'XX000' && words.test(message);
}

const words = /could not open relation with OID|cache lookup failed for|could not map filenumber/;
