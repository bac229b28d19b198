// The promise in one test: whatever is said in whatever order, the answers are those of the server itself.

import type pg from 'pg';
import { expect, test } from 'vitest';
import { testGateway } from '../support/relay.ts';
import { addressOf, alterDatabase, type TestDatabase, testDatabase } from '../support/servers.ts';
import { asSaid, asSent, placeInSaid } from '../support/statements-of-peers.ts';
import { conversation, play, type Turn } from '../support/talk.ts';
import { type Heard, said, WireSession } from '../support/wire.ts';

// `SLUICE_SAME_SEEDS=100-400` plays other conversations than those that every run plays.
const [first = 1, last = 4] = (process.env.SLUICE_SAME_SEEDS ?? '1-4').split('-').map(Number);
const seeds = Array.from({ length: last - first + 1 }, (_, i) => first + i);
const turns = 120;

const groundwork = `
  create schema s; create table s.t (id int primary key, what text); create table s.one as select 1 as id;
  create table s.parent (id int primary key);
  create table s.child (id int references s.parent deferrable initially deferred);
  create function s.shout(t text) returns text language plpgsql as $$begin raise notice 'shout %', t; return upper(t); end$$;
  create function s.fail(t text) returns text language plpgsql as $$begin raise exception 'fail %', t; end$$;
  create procedure s.nothing() language sql as ''`;

async function prepare(db: TestDatabase): Promise<void> {
  // A row of a transaction that was prepared is locked until somebody ends that.
  await alterDatabase(db, 'lock_timeout', '30ms');
  await db.exec(groundwork);
}

/** What is heard, with error positions moved to where they are in what is said with the peer's name. */
function written(heard: readonly Heard[], { texts }: Turn, moved: boolean): readonly string[] {
  let parsed = 0;
  // In which order a server tells of several settings differs from session to session.
  const told = heard.filter(({ type }) => type === 'S').toSorted((a, b) => (a.text < b.text ? -1 : 1));
  return heard.map((each) => {
    const { type, text } = each.type === 'S' ? told.shift()! : each;
    if (type === '1') parsed += 1;
    const marked = texts[Math.min(parsed, texts.length - 1)];
    // A warning that nothing is to be committed may be another server's, and its line another.
    if (type === 'N') return `N ${text.replace(/\|L=\d+/, '')}`;
    if (!moved || type !== 'E' || marked === undefined) return `${type} ${text}`;
    return `E ${text.replace(/(^|\|)P=(\d+)/, (_, before, at) => `${before}P=${placeInSaid(marked, Number(at))}`)}`;
  });
}

interface Played {
  readonly said: readonly string[];
  readonly heard: readonly string[];
}

async function playAll(session: WireSession, all: readonly Turn[], as: typeof asSaid): Promise<readonly Played[]> {
  const played: Played[] = [];
  for (const turn of all) {
    const heard = await play(session, turn, as).catch((error: Error) => {
      const last = played.slice(-6).map(({ said, heard }) => `${said}  ==>  ${heard.join(' ; ')}`);
      throw new Error(`${error.message}\nin ${turn.messages(as).join(' ')}\nafter ${last.join('\n')}`, {
        cause: error,
      });
    });
    const spoken = turn.messages(as).map((bytes) => bytes.toString('latin1').replace(/[\0-\x1f]+/g, ' '));
    played.push({ said: spoken, heard: written(heard, turn, as === asSent) });
  }
  return played;
}

/** Our own errors say the same, but not in which line of PostgreSQL's source. */
function isSame(expected: readonly string[], got: readonly string[]): boolean {
  const said = (message: string, other: string) =>
    /^[EN] /.test(other) && !other.includes('|F=') ? message.replace(/\|F=.*$/s, '') : message;
  // Where another server answers, or another message, it is another line.
  const bare = (message: string) => message.replace(/\|L=\d+/, '');
  return expected.length === got.length && expected.every((each, i) => bare(said(each, got[i]!)) === bare(got[i]!));
}

/** The first turn that was answered otherwise, with those before it. */
function firstDifference(expected: readonly Played[], got: readonly Played[]): unknown {
  const at = expected.findIndex(({ heard }, i) => !isSame(heard, got[i]?.heard ?? []));
  if (at < 0) return undefined;
  const show = ({ said, heard }: Played) => `${said}  ==>  ${heard.join(' ; ')}`;
  const before = expected.slice(Math.max(0, at - 15), at).map(show);
  return { before, expected: show(expected[at]!), got: show(got[at]!) };
}

/** Plays each seed's conversation to the server itself and through the gateway. */
async function compare(major: 14 | 18, home: boolean): Promise<void> {
  await using catalog = await testDatabase(18);
  await using db = await testDatabase(major);
  await using gateway = await testGateway({ catalog, peers: { db } });
  await prepare(db);
  await alterDatabase(catalog, 'lock_timeout', '30ms');
  for (const seed of seeds) {
    const all = conversation(seed, turns, home);
    const play = async (config: pg.ClientConfig, as: typeof asSaid) => {
      using session = await WireSession.open(config);
      const played = await playAll(session, all, as);
      await session.ask([said.query('rollback')]);
      for (const each of [db, catalog]) await each.exec("rollback prepared 'x'").catch(() => {});
      await db.exec('delete from s.t; delete from s.child');
      return played;
    };
    const expected = await play(addressOf(db), asSent);
    const got = await play(gateway.config(home ? 'db' : 'sluice'), asSaid);
    expect({ seed, difference: firstDifference(expected, got) }).toEqual({ seed, difference: undefined });
  }
}

// Many seeds take long.
const patience = 60_000 + seeds.length * 10_000;

test.each([14, 18] as const)(
  'a session on a peer answers like the peer itself (%i)',
  (major) => compare(major, true),
  patience,
);

test(
  'a session that names the peer in its statements answers like the peer itself',
  () => compare(18, false),
  patience,
);
