// Every kind of statement through the gateway, answered as the peer itself answers it without the peer's name.
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { testGateway } from '../support/relay.ts';
import { addressOf, alterDatabase, testDatabase } from '../support/servers.ts';
import { asSaid, asSent, groundwork, placeInSaid, statementsOfPeers } from '../support/statements-of-peers.ts';
import { type Heard, run, said, WireSession } from '../support/wire.ts';

/** What a client hears; where the error's position counts in the text with the peer's name, it is moved there. */
function written(heard: readonly Heard[], marked?: string): readonly string[] {
  return heard.map(({ type, text }) => {
    const moved =
      type === 'E' && marked !== undefined
        ? text.replace(
            /(^|\|)P=(\d+)/,
            (_, before: string, at: string) => `${before}P=${placeInSaid(marked, Number(at))}`,
          )
        : text;
    // OIDs that the server gives out count up.
    return `${type} ${moved.replace(/pg_temp_\d+/g, 'pg_temp').replace(/\d{5,}/g, '<number>')}`;
  });
}

const majors = [14, 18] as const;
test.each(majors)('every statement that names a peer is answered as by PostgreSQL %i itself', async (major) => {
  await using catalog = await testDatabase(18);
  await using direct = await testDatabase(major);
  await using peer = await testDatabase(major);
  await using gateway = await testGateway({ catalog, peers: { source: peer } });
  for (const db of [direct, peer]) {
    await alterDatabase(db, 'statement_timeout', '30s');
    await db.exec(db === direct ? groundwork : groundwork.replace(/create role.*/, ''));
  }
  using straight = await WireSession.open(addressOf(direct));
  using through = await WireSession.open(gateway.config());
  const different: unknown[] = [];
  try {
    for (const [kind, statements] of Object.entries(statementsOfPeers)) {
      for (const [i, marked] of statements.entries()) {
        // Simple and extended in turn.
        const ask = (text: string) => (i % 2 === 0 ? [said.query(text)] : [...run(text), said.sync]);
        const expected = written(await straight.ask(ask(asSent(marked))), marked);
        const answer = written(await through.ask(ask(asSaid(marked))));
        if (!isDeepStrictEqual(answer, expected)) different.push({ kind, marked, expected, answer });
      }
    }
    expect(different).toEqual([]);
  } finally {
    await direct.exec('drop owned by routed_reader');
    await peer.exec('drop owned by routed_reader; drop role routed_reader');
  }
});
