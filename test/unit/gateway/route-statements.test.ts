// Every kind of statement that can name something of a peer: the peer is found, and nothing but its name is cut.
import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser } from '../../../src/gateway/parser.ts';
import { Router, withoutCuts } from '../../../src/gateway/route.ts';
import {
  asSaid,
  asSent,
  statementsOfNobody,
  statementsOfPeers,
  statementsOfTomorrow,
} from '../../support/statements-of-peers.ts';

const router = new Router();
// A peer that is named like a part of other names, too.
const isPeer = (name: string) => ['source', 'target', 's'].includes(name);
beforeAll(loadParser);

function routed(text: string): { readonly peer: string | undefined; readonly sent: string } {
  const { peer, cuts } = router.route(text, isPeer);
  return { peer, sent: withoutCuts(text, cuts) };
}

describe('a peer is named, and cut', () => {
  test.each(Object.entries(statementsOfPeers))('in %s', (_, statements) => {
    for (const marked of statements) {
      const peer = marked.includes('«') ? 'source' : undefined;
      expect(routed(asSaid(marked))).toEqual({ peer, sent: asSent(marked) });
    }
  });

  test.each(statementsOfTomorrow)("in what PostgreSQL's parser of today does not take: %s", (marked) => {
    expect(routed(asSaid(marked))).toEqual({ peer: 'source', sent: asSent(marked) });
  });
});

test.each(statementsOfNobody)('nobody is named in: %s', (text) => {
  const { peer, sent } = routed(text);
  expect(sent).toBe(text);
  expect(peer).toBeUndefined();
});
