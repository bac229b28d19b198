import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser, parseTree } from '../../../src/gateway/parser.ts';
import { Router, shiftOf, withoutCuts } from '../../../src/gateway/route.ts';

const router = new Router();
const isPeer = (name: string) => ['source', 'target', 'My "Peer"', 'größe'].includes(name);
beforeAll(loadParser);

function sent(text: string): string {
  const route = router.route(text, isPeer);
  return `${route.peer ?? '-'}: ${withoutCuts(text, route.cuts)}`;
}

describe('the peer of a statement', () => {
  test.each([
    ['select * from source.public.t', 'source: select * from public.t'],
    ['select * from public.t', '-: select * from public.t'],
    ['select * from other.public.t', '-: select * from other.public.t'],
    ['SELECT * FROM SOURCE.public.t', 'source: SELECT * FROM public.t'],
    ['select * from "source".public.t', 'source: select * from public.t'],
    ['select * from "Source".public.t', '-: select * from "Source".public.t'],
    ['select * from "My ""Peer""".s.t', 'My "Peer": select * from s.t'],
    ['select * from größe.s."tä"', 'größe: select * from s."tä"'],
    ['select * from U&"\\0073ource".s.t', 'source: select * from s.t'],
    ['select * from source /* a */ . -- b\n s /* c */ . t', 'source: select * from  /* a */  -- b\n s /* c */ . t'],
    ['select source.s.t.a, source.s.t.* from source.s.t', 'source: select s.t.a, s.t.* from s.t'],
    ['select a.source.public.x, source.b.c from source.s.t', 'source: select a.source.public.x, source.b.c from s.t'],
    [
      "select 'source.public.t', $$source.public.t$$ -- source.public.t",
      "-: select 'source.public.t', $$source.public.t$$ -- source.public.t",
    ],
    ['insert into source.s.t select * from source.s.u', 'source: insert into s.t select * from s.u'],
    [
      'with x as (delete from source.s.t returning *) select * from x',
      'source: with x as (delete from s.t returning *) select * from x',
    ],
    ['update source.s.t set a = 1 from only source.s.u', 'source: update s.t set a = 1 from only s.u'],
    ['drop table source.s.t, source.s.u', 'source: drop table s.t, s.u'],
    ["comment on column source.s.t.a is 'x'", "source: comment on column s.t.a is 'x'"],
    ['comment on table source.s.t is null', 'source: comment on table s.t is null'],
    ['alter table source.s.t rename to u', 'source: alter table s.t rename to u'],
    ['truncate source.s.t, source.s.u cascade', 'source: truncate s.t, s.u cascade'],
    ['copy source.s.t (a) to stdout', 'source: copy s.t (a) to stdout'],
    ['lock table source.s.t', 'source: lock table s.t'],
    ['grant select on source.s.t to me', 'source: grant select on s.t to me'],
    [
      'create table source.s.t (a source.s.kind references source.s.u)',
      'source: create table s.t (a s.kind references s.u)',
    ],
    ['select source.s.f(1), x::source.s.kind from source.s.g()', 'source: select s.f(1), x::s.kind from s.g()'],
    ['declare c cursor for select * from source.s.t', 'source: declare c cursor for select * from s.t'],
    ['prepare p as select * from source.s.t', 'source: prepare p as select * from s.t'],
    ['explain (analyze) select * from source.s.t', 'source: explain (analyze) select * from s.t'],
    ['select 1.5.x from source.s.t', 'source: select 1.5.x from s.t'],
    ['frobnicate the source.s.t and more', 'source: frobnicate the s.t and more'],
    ['select * from source.s.', '-: select * from source.s.'],
    ["select 'source.s.t", "-: select 'source.s.t"],
  ])('%s', (text, expected) => {
    expect(sent(text)).toBe(expected);
  });

  test('two peers in one statement are refused at the second', () => {
    const text = 'select * from source.a.b, größe.c.d';
    expect(() => router.route(text, isPeer, { charactersBefore: 100 })).toThrow(
      expect.objectContaining({ sqlstate: '0A000', position: 100 + 1 + text.indexOf('größe') }),
    );
  });

  test('what is no name of a relation belongs to no peer', () => {
    expect(sent('select source.b.c from source')).toBe('-: select source.b.c from source');
  });

  test('any text comes back whole, and cuts take nothing but names and dots', () => {
    const word = fc.constantFrom(
      'source',
      '"source"',
      'target.',
      '.',
      ' ',
      's',
      '.t',
      ',',
      "'x",
      '"',
      '$$',
      '--',
      '\n',
      '(',
      'é',
      '🐘',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        const text = words.join('');
        try {
          const { cuts } = router.route(text, isPeer);
          for (const { start, end } of cuts) expect(text.slice(start, end)).toMatch(/^(source|"source"|target)?\.?$/);
        } catch (error) {
          expect(error).toMatchObject({ sqlstate: '0A000' });
        }
      }),
    );
  });

  test('a long text is routed without being parsed', () => {
    const rows = Array.from({ length: 200_000 }, (_, i) => `(${i}, 'row')`).join(',');
    expect(sent(`insert into source.s.t values ${rows}`).slice(0, 40)).toBe("source: insert into s.t values (0, 'row'");
  });
});

describe('positions', () => {
  test('an error position in what was sent points to the same word in what the client wrote', () => {
    const text = "select '🐘' ; select é, wrong from source.s.t, source . s.u where wrong2";
    const start = text.indexOf(' select é');
    const { cuts } = router.route(text.slice(start), isPeer);
    const placed = cuts.map((cut) => ({ start: cut.start + start, end: cut.end + start }));
    const part = withoutCuts(text, placed, start);
    const shift = shiftOf(text, start, placed);
    for (const word of ['wrong', 'wrong2', 'é']) {
      const position = [...part.slice(0, part.lastIndexOf(word))].length + 1;
      expect([...text].slice((shift(position) ?? 0) - 1, (shift(position) ?? 0) - 1 + word.length).join('')).toBe(word);
    }
    const relation = [...part.slice(0, part.indexOf('s.t'))].length + 1;
    expect([...text].slice((shift(relation) ?? 0) - 1).join('')).toMatch(/^source\.s\.t/);
  });
});

describe('the parser', () => {
  test('a text that overflows its stack harms nobody who comes later', async () => {
    const deep = `select 1${'+1'.repeat(20_000)}`;
    for (let i = 0; i < 40; i += 1) {
      parseTree(deep);
      await loadParser();
      expect(parseTree('select 1')).toBeDefined();
    }
  });
});
