import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeFields } from '../../../src/wire/fields.ts';
import { code } from '../../../src/wire/frames.ts';
import {
  beginHandshake,
  type HandshakePolicy,
  type HandshakeState,
  type HandshakeStep,
  identified,
  advance as step,
} from '../../../src/wire/handshake.ts';
import { challenge, createVerifier, type ScramVerifier } from '../../../src/wire/scram.ts';

let verifier: ScramVerifier;
let policy: HandshakePolicy;
beforeAll(async () => {
  verifier = await createVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
  policy = { tlsOffered: false, tlsRequired: false, channelBinding: undefined };
});

/** One step, and who the user is if that is asked. */
function advance(state: HandshakeState, packet: { type: number; body: Buffer }, under: HandshakePolicy): HandshakeStep {
  const next = step(state, packet, under);
  return next.action === 'identify' ? identified(next.state, { verifier, account: undefined }) : next;
}

const request = (number: number) => {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(number);
  return { type: 0, body };
};
const startup = (minor: number, parameters: Readonly<Record<string, string>>) => {
  const body = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  return { type: 0, body: Buffer.from(`\0\x03\0${String.fromCharCode(minor)}${body.join('')}\0`, 'latin1') };
};
const password = (text: string) => ({ type: code('p'), body: Buffer.from(text, 'latin1') });
const replies = (step: HandshakeStep) => Buffer.concat('replies' in step ? [...step.replies] : []).toString('latin1');
const stateOf = (step: HandshakeStep) => {
  if (!('state' in step)) throw new Error(step.action);
  return step.state;
};

/** A client that knows the protocol, written from RFC 5802 and nothing of ours. */
function proof(clientPassword: string, bare: string, serverFirst: string, header = 'n,,'): string {
  const [, nonce = '', salt = '', count = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? [];
  const salted = pbkdf2Sync(clientPassword, Buffer.from(salt, 'base64'), Number(count), 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest();
  const withoutProof = `c=${Buffer.from(header).toString('base64')},r=${nonce}`;
  const signature = createHmac('sha256', storedKey).update(`${bare},${serverFirst},${withoutProof}`).digest();
  return `${withoutProof},p=${Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!)).toString('base64')}`;
}

function login(user: string, clientPassword: string): HandshakeStep {
  const greeted = advance(beginHandshake(), startup(0, { user, database: 'db' }), policy);
  expect(replies(greeted)).toContain('SCRAM-SHA-256\0\0');
  const bare = 'n=,r=abc';
  const first = password(`SCRAM-SHA-256\0\0\0\0${String.fromCharCode(bare.length + 3)}n,,${bare}`);
  const asked = advance(stateOf(greeted), first, policy);
  return advance(stateOf(asked), password(proof(clientPassword, bare, replies(asked).slice(9))), policy);
}

describe('the login', () => {
  test("the example of RFC 7677 comes out to the RFC's own bytes", () => {
    const asked = challenge('n,,n=user,r=rOprNGfwEbeRWgbNEkqO', {
      verifier,
      mechanism: 'SCRAM-SHA-256',
      channelBinding: undefined,
      serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    });
    expect(asked.message).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    const answer =
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';
    expect(asked.finish(answer)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  test('the right password opens the door under any name', () => {
    for (const user of ['postgres', 'someone else', 'Ä']) {
      const step = login(user, 'pencil');
      expect(step.action).toBe('welcome');
      expect(replies(step)).toContain('v=');
    }
  });

  test('a wrong password is refused by name, whatever the name', () => {
    for (const user of ['postgres', 'nobody']) {
      expect(() => login(user, 'pencils')).toThrow(
        expect.objectContaining({ sqlstate: '28P01', message: `password authentication failed for user "${user}"` }),
      );
    }
  });

  test('a password with a no-break space or a composed letter is taken as either form', async () => {
    const odd = await createVerifier('a\u00a0b\u2460');
    expect(odd.keys).toHaveLength(2);
    for (const form of ['a\u00a0b\u2460', 'a b1']) {
      const asked = challenge('n,,n=,r=abc', { verifier: odd, mechanism: 'SCRAM-SHA-256', channelBinding: undefined });
      expect(asked.finish(proof(form, 'n=,r=abc', asked.message))).toMatch(/^v=/);
    }
  });

  test('a proof for another nonce, another header or of another length is refused', () => {
    const options = { verifier, mechanism: 'SCRAM-SHA-256', channelBinding: undefined };
    const asked = challenge('n,,n=,r=abc', options);
    const right = proof('pencil', 'n=,r=abc', asked.message);
    expect(() => asked.finish(right.replace('r=abc', 'r=abd'))).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
    expect(() => asked.finish(right.replace('c=biws', 'c=eSws'))).toThrow(
      expect.objectContaining({ sqlstate: '28000' }),
    );
    expect(() => asked.finish(right.replace(/p=.*/, 'p=AAAA'))).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
    expect(() => challenge('hello', options)).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });

  test('a login that is bound to another certificate, or whose offer of binding was taken out, is refused', () => {
    const binding = Buffer.from('our certificate');
    const plus = challenge('p=tls-server-end-point,,n=,r=abc', {
      verifier,
      mechanism: 'SCRAM-SHA-256-PLUS',
      channelBinding: binding,
    });
    const bound = (data: string) => proof('pencil', 'n=,r=abc', plus.message, `p=tls-server-end-point,,${data}`);
    expect(plus.finish(bound('our certificate'))).toMatch(/^v=/);
    expect(() => plus.finish(bound('another one'))).toThrow(expect.objectContaining({ sqlstate: '28000' }));
    const options = { verifier, mechanism: 'SCRAM-SHA-256', channelBinding: binding };
    expect(() => challenge('y,,n=,r=abc', options)).toThrow(expect.objectContaining({ sqlstate: '28000' }));
  });
});

describe('the first packets', () => {
  test('TLS and GSS are refused with N where there is no certificate, and the login goes on', () => {
    const tls = advance(beginHandshake(), request(80877103), policy);
    expect(replies(tls)).toBe('N');
    const gss = advance(stateOf(tls), request(80877104), policy);
    expect(replies(gss)).toBe('N');
    expect(advance(stateOf(gss), startup(0, { user: 'me' }), policy).action).toBe('go_on');
  });

  test('a client that goes on asking for encryption is sent away', () => {
    let state = beginHandshake();
    for (let i = 0; i < 2; i += 1) state = stateOf(advance(state, request(80877104), policy));
    expect(() => advance(state, request(80877103), policy)).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });

  test('TLS is taken once, and required of remote clients', () => {
    const secure = { ...policy, tlsOffered: true, tlsRequired: true };
    const step = advance(beginHandshake(), request(80877103), secure);
    expect([step.action, replies(step)]).toEqual(['tls', 'S']);
    expect(replies(advance(stateOf(step), request(80877103), secure))).toBe('N');
    expect(() => advance(beginHandshake(), startup(0, { user: 'me' }), secure)).toThrow(
      expect.objectContaining({ sqlstate: '28000' }),
    );
    expect(advance(stateOf(step), startup(0, { user: 'me' }), secure).action).toBe('go_on');
  });

  test('a newer minor version and unknown protocol options are negotiated down to 3.0', () => {
    const step = advance(beginHandshake(), startup(2, { user: 'me', '_pq_.odd': '1', DateStyle: 'ISO' }), policy);
    expect(replies(step)).toMatch(/^v.{4}\0\x03\0\0\0\0\0\x01_pq_\.odd\0R/s);
    const state = stateOf(step);
    expect(state.at === 'mechanism' && Object.fromEntries(state.login.parameters)).toEqual({ DateStyle: 'ISO' });
    expect(replies(advance(beginHandshake(), startup(0, { user: 'me' }), policy))).toMatch(/^R/);
  });

  test('another major version, no user, and replication are refused', () => {
    const other = { type: 0, body: Buffer.from([0, 2, 0, 0]) };
    expect(() => advance(beginHandshake(), other, policy)).toThrow(expect.objectContaining({ sqlstate: '0A000' }));
    expect(() => advance(beginHandshake(), startup(0, { database: 'x' }), policy)).toThrow(
      expect.objectContaining({ sqlstate: '28000' }),
    );
    const replication = startup(0, { user: 'me', replication: 'database' });
    expect(() => advance(beginHandshake(), replication, policy)).toThrow(
      expect.objectContaining({ sqlstate: '0A000' }),
    );
  });

  test('a cancel request gives the key that it carries', () => {
    const body = Buffer.alloc(12);
    body.writeUInt32BE(80877102);
    body.writeUInt32BE(77, 4);
    body.writeUInt32BE(88, 8);
    expect(advance(beginHandshake(), { type: 0, body }, policy)).toEqual({
      action: 'cancel',
      pid: 77,
      secret: body.subarray(8),
    });
  });

  test('an error field never ends early', () => {
    expect(decodeFields(Buffer.from('SERROR\0Mtext')).get('M')).toBe('text');
  });
});
