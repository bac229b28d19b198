// Each way to maltreat a gateway. An attack ends by itself, and fails if the gateway's answers are not the protocol's.
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { pause } from '../../src/base/retry.ts';
import { AnswerError, AnswerReader, fieldsOf } from '../support/answers.ts';
import type { Random } from '../support/random.ts';
import { ask, SpokenClient } from '../support/spoken.ts';
import {
  lyingFrame,
  mutated,
  opening,
  someFrame,
  someMechanism,
  someMessage,
  someOpening,
  someProof,
  someStatement,
  someText,
} from './speech.ts';
import type { FuzzWorld } from './world.ts';

/** Gives how many frames or packets were sent. */
export type Attack = (world: FuzzWorld, random: Random) => Promise<number>;

// What a gateway may take to end a connection that has said goodbye or broken the protocol.
const patienceMs = 60_000;

async function ended(what: { readonly closed: boolean }, problem: () => Error | undefined): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!what.closed) {
    const wrong = problem();
    if (wrong !== undefined) throw wrong;
    if (Date.now() > deadline) throw new Error('the connection was not ended');
    await pause(5);
  }
  const wrong = problem();
  if (wrong !== undefined) throw wrong;
}

/** Says it all, says goodbye, and reads to the end. */
async function converse(world: FuzzWorld, random: Random, pieces: readonly Buffer[]): Promise<SpokenClient> {
  const config = world.config(random.pick(['sluice', 'sluice', 'peer', 'other']));
  const tls = world.tls && random.chance(0.2);
  const client = await SpokenClient.open({ ...config, ...(tls ? { ssl: { rejectUnauthorized: false } } : {}) }, 1_000);
  try {
    for (const piece of pieces) {
      if (client.closed) break;
      client.say(piece);
      if (random.chance(0.05)) await pause(1);
    }
    client.say(ask.sync, ask.copyDone, ask.terminate);
    // One whose last message announces more than comes says no more than that.
    client.socket.end();
    await ended(client, () => client.problem);
    if (!client.heard.whole) throw new AnswerError('it ended inside a message');
    return client;
  } catch (error) {
    const said = Buffer.concat(pieces).subarray(0, 8_000).toString('latin1');
    throw new AnswerError(
      `${(error as Error).message}; said ${JSON.stringify(said.replace(/(.{1,12}?)\1{9,}/gs, '$1…'))}; heard ${client.heard.types.slice(-200)}`,
    );
  } finally {
    client[Symbol.dispose]();
  }
}

const frames: Attack = async (world, random) => {
  const count = random.int(100, 1_000);
  await converse(
    world,
    random,
    random.times(count, () => someFrame(random)),
  );
  return count;
};

const messages: Attack = async (world, random) => {
  const count = random.int(5, 60);
  await converse(
    world,
    random,
    random.times(count, () => someMessage(random)),
  );
  return count;
};

const mutations: Attack = async (world, random) => {
  const count = random.int(2, 30);
  const bytes = Buffer.concat(random.times(count, () => someMessage(random)));
  await converse(world, random, random.cut(mutated(random, bytes), 20_000));
  return count;
};

const lies: Attack = async (world, random) => {
  const before = random.times(random.int(0, 3), () => someMessage(random));
  await converse(world, random, [...before, lyingFrame(random)]);
  return before.length + 1;
};

const texts: Attack = async (world, random) => {
  const count = random.int(1, 20);
  const make = () => {
    const text = someText(random);
    return random.chance(0.5) ? ask.query(text) : Buffer.concat([ask.parse(text), ask.bind(), ask.execute(), ask.sync]);
  };
  await converse(world, random, random.times(count, make));
  return count;
};

// The same conversation, whole and in pieces: the same answers. Statements whose answers never differ.
const steady = [
  'select 1',
  'show peers',
  "select 'é' || repeat('x', 5000)",
  'selec',
  'select count(*) from peer.public.t where false',
  'begin; select 1/0',
  'rollback',
  'copy (select 1) to stdout',
] as const;

const cuts: Attack = async (world, random) => {
  const said = random.times(random.int(2, 8), () => {
    const text = random.pick(steady);
    if (random.chance(0.5)) return ask.query(text);
    return Buffer.concat([ask.parse(text), ask.bind(), ask.describe('P'), ask.execute(), ask.sync]);
  });
  const copy = [
    ask.query('begin; copy peer.public.t from stdin'),
    ask.copyData(Buffer.from('1\n2\n')),
    ask.copyData(Buffer.from('3\n')),
    ask.copyDone,
    ask.query('rollback'),
  ];
  const bytes = Buffer.concat([...said, ...(random.chance(0.5) ? copy : [])]);
  const most = random.pick([1, 1, 7, 100]);
  const seed = random.int(0, 0xffff);
  // Both on the same kind of connection.
  const way = (): Random =>
    Object.assign(Object.create(random) as Random, {
      chance: () => false,
      pick: <T>(from: readonly T[]) => from[seed % from.length]!,
    });
  const whole = await converse(world, way(), [bytes]);
  const pieces = await converse(world, way(), random.cut(bytes, most));
  const gist = (client: SpokenClient) =>
    client.heard.answers
      .map(({ type, body }) => `${type}${type === 'D' || type === 'C' ? body.toString('latin1') : ''}`)
      .join(' ');
  if (gist(whole) !== gist(pieces)) {
    throw new AnswerError(`cut, a conversation was answered otherwise: ${whole.heard.types} but ${pieces.heard.types}`);
  }
  return said.length * 2;
};

/** A bare connection that reads strictly once the startup's single letters are over. */
function bare(world: FuzzWorld): { readonly socket: Socket; readonly heard: Buffer[]; closed: boolean } {
  const socket = connectSocket({ host: '127.0.0.1', port: world.gateway.port, noDelay: true });
  const state = { socket, heard: [] as Buffer[], closed: false };
  socket.on('data', (chunk) => state.heard.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => {
    state.closed = true;
  });
  return state;
}

/** Before a login the gateway says N or S (to requests for encryption), then messages. */
function checkGreeting(heard: readonly Buffer[]): void {
  const all = Buffer.concat(heard);
  let at = 0;
  // N begins a NoticeResponse too, but no notice is sent before a login.
  while (at < all.length && all[at] === 78) at += 1;
  if (all[at] === 83) return; // TLS from here on
  if (all[0] === 0x15) return; // bytes that began like TLS were answered with its alert
  const reader = new AnswerReader();
  reader.push(all.subarray(at));
  if (!reader.whole)
    throw new AnswerError(`half a message before the login: ${all.subarray(at, at + 80).toString('latin1')}`);
  if (/[^REv]/.test(reader.types)) throw new AnswerError(`${reader.types} before the login`);
}

const openings: Attack = async (world, random) => {
  const client = bare(world);
  const count = random.int(1, 4);
  const bytes = Buffer.concat(random.times(count, () => someOpening(random)));
  for (const piece of random.cut(bytes, 3_000)) client.socket.write(piece);
  client.socket.end();
  await ended(client, () => undefined);
  checkGreeting(client.heard);
  return count;
};

const proofs: Attack = async (world, random) => {
  const client = bare(world);
  client.socket.write(opening.startup());
  const first = random.chance(0.7) ? someMechanism(random) : mutated(random, someMechanism(random));
  for (const piece of random.cut(first, 500)) client.socket.write(piece);
  const deadline = Date.now() + patienceMs;
  const challenge = () => Buffer.concat(client.heard).toString('latin1');
  while (!client.closed && !challenge().includes('r=') && !challenge().includes('SFATAL') && Date.now() < deadline) {
    await pause(2);
    if (random.chance(0.02)) break;
  }
  client.socket.write(random.chance(0.8) ? someProof(random, challenge()) : someFrame(random));
  client.socket.end();
  await ended(client, () => undefined);
  checkGreeting(client.heard);
  if (/\x00\x00\x00\x08\x00\x00\x00\x00/.test(challenge())) throw new Error('it was let in');
  return 3;
};

const resets: Attack = async (world, random) => {
  if (random.chance(0.3)) {
    const client = bare(world);
    const bytes = Buffer.concat([opening.startup(), someMechanism(random)]);
    client.socket.write(bytes.subarray(0, random.int(0, bytes.length)));
    await pause(random.int(0, 10));
    client.socket.resetAndDestroy();
    return 1;
  }
  const client = await SpokenClient.open(world.config(random.pick(['sluice', 'peer'])), 100);
  const count = random.int(1, 10);
  const bytes = Buffer.concat(random.times(count, () => someMessage(random)));
  client.say(bytes.subarray(0, random.int(0, bytes.length)));
  await pause(random.int(0, 30));
  if (random.chance(0.5)) client.socket.resetAndDestroy();
  else client.socket.destroy();
  if (client.problem !== undefined) throw client.problem;
  return count;
};

const drips: Attack = async (world, random) => {
  const client = bare(world);
  const bytes = Buffer.concat([opening.startup(), someMechanism(random)]);
  const stop = random.int(5, 60);
  for (let at = 0; at < Math.min(stop, bytes.length) && !client.closed; at += 1) {
    client.socket.write(bytes.subarray(at, at + 1));
    await pause(random.int(1, 8));
  }
  client.socket.destroy();
  return stop;
};

const cancels: Attack = async (world, random) => {
  const victim = await SpokenClient.open(world.config('peer'));
  victim.say(ask.query("select pg_sleep(0.2), 'undisturbed'"));
  const count = random.int(10, 60);
  await Promise.all(
    random.times(count, async () => {
      const client = bare(world);
      // The right process with a wrong key, or a wrong process.
      const pid = random.chance(0.7) ? victim.processId : random.int(1, 0x7fffffff);
      const key = Buffer.alloc(4);
      key.writeInt32BE(victim.secretKey ^ random.int(1, 0x7fffffff));
      client.socket.write(opening.cancel(pid, random.chance(0.8) ? key : random.bytes(random.int(0, 40))));
      await ended(client, () => undefined);
      if (client.heard.length > 0 && !Buffer.concat(client.heard).includes('C08P01'))
        throw new Error('a cancel was answered');
    }),
  );
  await victim.hear('Z');
  if (victim.heard.types !== 'TDCZ')
    throw new AnswerError(
      `a wrong key stopped a query: ${victim.heard.types} ${JSON.stringify(victim.heard.answers.filter(({ type }) => 'EN'.includes(type)).map(({ body }) => fieldsOf(body)))}`,
    );
  victim[Symbol.dispose]();
  return count;
};

/** Asks for much and reads nothing. */
const deaf: Attack = async (world, random) => {
  const client = await SpokenClient.open(world.config(random.pick(['sluice', 'peer'])), 10);
  client.socket.pause();
  const one = random.pick([
    ask.query("select repeat('x', 20000) from generate_series(1, 100)"),
    Buffer.concat([ask.parse('select 1 from peer.public.t'), ask.bind(), ask.describe('P'), ask.execute(), ask.sync]),
    ask.query('show peers'),
    ask.query(''),
    ask.sync,
    ask.parse('select 1', ''),
    ask.parse('begin', 'b'),
    Buffer.concat([ask.parse('selec'), ask.sync]),
    ask.query("do $$ begin for i in 1..1000 loop raise notice 'again %', repeat('x', 1000); end loop; end $$"),
  ]);
  const count = Math.min(20_000, Math.ceil(2_000_000 / one.length));
  client.say(...Array.from({ length: count }, () => one));
  await pause(random.int(50, 600));
  if (random.chance(0.5)) client.socket.resume();
  await pause(random.int(0, 100));
  client.socket.resetAndDestroy();
  return count;
};

const copies: Attack = async (world, random) => {
  const count = random.int(10, 200);
  const pieces = [ask.query(`copy ${random.pick(['peer', 'other'])}.public.t from stdin`)];
  for (let i = 0; i < count; i += 1) pieces.push(ask.copyData(Buffer.from('1\n'.repeat(random.size(20_000)))));
  pieces.push(
    random.pick([
      ask.copyDone,
      ask.copyData(Buffer.from('not a number\n')),
      someFrame(random),
      ask.query(someStatement(random)),
    ]),
  );
  if (random.chance(0.3)) {
    const client = await SpokenClient.open(world.config(), 100);
    client.say(...pieces.slice(0, -1));
    await pause(random.int(0, 50));
    client.socket.resetAndDestroy();
  } else await converse(world, random, pieces);
  return count;
};

/** Announces a gigabyte, sends a little of it, and is gone. */
const announcements: Attack = async (world, random) => {
  const client = await SpokenClient.open(world.config(), 100);
  const head = Buffer.from([random.pick([0x51, 0x50, 0x42, 0x46, 0x64]), 0x3f, 0xff, 0xff, 0xff]);
  client.say(head, random.bytes(random.size(200_000)));
  for (const byte of random.bytes(random.int(0, 200))) client.say(Buffer.of(byte));
  await pause(random.int(0, 50));
  client.socket.destroy();
  return 1;
};

const encrypted: Attack = async (world, random) => {
  if (!world.tls) return 0;
  const client = bare(world);
  client.socket.write(opening.tls);
  const deadline = Date.now() + patienceMs;
  while (client.heard.length === 0 && !client.closed && Date.now() < deadline) await pause(2);
  client.socket.removeAllListeners('data');
  if (random.chance(0.3)) {
    client.socket.write(
      random.chance(0.5) ? random.bytes(random.size(2_000)) : Buffer.from([0x16, 3, 1, 0xff, 0xff, 1]),
    );
    client.socket.end();
    await ended(client, () => undefined);
    return 1;
  }
  const options = {
    socket: client.socket,
    rejectUnauthorized: false,
    maxVersion: random.pick(['TLSv1.2', 'TLSv1.3'] as const),
  };
  const secure: TLSSocket = connectTls(options);
  secure.on('error', () => {});
  const ready = new Promise<boolean>((resolve) => {
    secure.once('secureConnect', () => resolve(true));
    secure.once('close', () => resolve(false));
  });
  if (random.chance(0.2)) {
    await pause(random.int(0, 5));
    client.socket.destroy();
    return 1;
  }
  if (!(await ready)) throw new Error('no TLS');
  const heard: Buffer[] = [];
  secure.on('data', (chunk) => heard.push(chunk));
  switch (random.int(0, 4)) {
    case 0: // not TLS any more
      client.socket.write(random.bytes(random.size(500)));
      break;
    case 1:
      secure.write(opening.startup());
      if (secure.getProtocol() === 'TLSv1.2') secure.renegotiate({ rejectUnauthorized: false }, () => {});
      break;
    case 2:
      secure.write(Buffer.concat([opening.tls, opening.gss, opening.tls, opening.tls]));
      break;
    default:
      secure.write(someOpening(random));
  }
  await pause(random.int(0, 20));
  if (random.chance(0.5)) secure.end();
  else client.socket.end();
  await pause(random.int(0, 20));
  client.socket.destroy();
  return 3;
};

export const attacks: Readonly<Record<string, Attack>> = {
  frames,
  messages,
  mutations,
  lies,
  texts,
  cuts,
  openings,
  proofs,
  resets,
  drips,
  cancels,
  deaf,
  copies,
  announcements,
  encrypted,
};
