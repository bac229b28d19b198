// Pinned SSH host keys, in every form in which people have them.
import { createHash } from 'node:crypto';
import ssh2 from 'ssh2';
import { expect, test } from 'vitest';
import { fingerprint, hostKeyMatches, readHostKey } from '../../../src/peers/ssh.ts';

const pair = ssh2.utils.generateKeyPairSync('ed25519');
const blob = pair.public.split(' ')[1] ?? '';
const key = Buffer.from(blob, 'base64');
const other = Buffer.from(ssh2.utils.generateKeyPairSync('ed25519').public.split(' ')[1] ?? '', 'base64');
const print = `SHA256:${createHash('sha256').update(key).digest('base64').replaceAll('=', '')}`;

test('a fingerprint is what ssh-keygen -l prints', () => {
  expect(fingerprint(key)).toBe(print);
});

test.each([
  ['bare base64', blob],
  ['a line of a .pub file', pair.public],
  ['a line of known_hosts', `[bastion.example]:2222,10.0.0.1 ssh-ed25519 ${blob}`],
  ['a fingerprint', print],
  ['a line of ssh-keygen -l', `256 ${print} root@bastion (ED25519)`],
])('%s pins the key and no other', (_form, text) => {
  const pinned = readHostKey(text);
  expect(hostKeyMatches(pinned, key)).toBe(true);
  expect(hostKeyMatches(pinned, other)).toBe(false);
});

test.each(['', 'ssh-ed25519', 'SHA256:short', 'AAAA', 'MD5:aa:bb'])('%j is refused with what is taken', (text) => {
  expect(() => readHostKey(text)).toThrow(expect.objectContaining({ kind: 'invalid_option' }));
});
