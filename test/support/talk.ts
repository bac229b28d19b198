// Conversations that look random and are the same for the same seed: all kinds of messages and statements, errors everywhere.
import { asSaid, asSent } from './statements-of-peers.ts';
import { type Heard, said, type WireSession } from './wire.ts';

/** What a client says before it waits for an answer. */
export interface Turn {
  /** Marked texts of what is parsed, in order: error positions count in them. */
  readonly texts: readonly string[];
  /** The messages; `as` makes a marked text what is said. */
  readonly messages: (as: (marked: string) => string) => readonly Buffer[];
  /** What is said when the server asks for COPY data. */
  readonly copy: readonly Buffer[];
  /** No Sync was said: it follows when the server has answered. */
  readonly open: boolean;
}

/** Numbers that look random and are the same every time. */
function* numbers(seed: number): Generator<number> {
  for (let x = seed * 7919 + 17; ; ) {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield x / 2_147_483_648;
  }
}

// Statements that name a table of the peer `db`. A query that names none is answered by the session's home.
const named: readonly string[] = [
  "insert into «db.»s.t values (1, 'a')",
  "insert into «db.»s.t values (2, 'b') on conflict do nothing returning *",
  "insert into «db.»s.t select i, 'x' from generate_series(10, 12) i on conflict do nothing",
  'delete from «db.»s.t',
  'delete from «db.»s.t where id = 1 returning «db.»s.t.*',
  "update «db.»s.t set what = what || '!' where id < 3",
  'select count(*) from «db.»s.t',
  'select * from «db.»s.t order by id',
  'select nope from «db.»s.t',
  'select 1/(count(*) - count(*)) from «db.»s.t',
  'select * from «db.»s.nope',
  "select current_setting('work_mem'), current_setting('timezone') from «db.»s.one",
  "select current_setting('transaction_isolation'), current_setting('transaction_read_only') from «db.»s.one",
  'truncate «db.»s.t',
  'create temp table tt as select * from «db.»s.t',
  'lock «db.»s.t in share mode',
  "select «db.»s.shout('x')",
  "select «db.»s.fail('x')",
  'insert into «db.»s.child values (1) /* no such parent: told at COMMIT */',
  'copy «db.»s.t to stdout',
  'copy (select * from «db.»s.t order by id) to stdout with (format csv, header)',
  'copy (select id from «db.»s.one) to stdout (format binary)',
  'explain (costs off) select * from «db.»s.t',
  'prepare p as select count(*) from «db.»s.t',
  'prepare q (int) as select what from «db.»s.t where id = $1',
  'declare c cursor for select * from «db.»s.t order by id',
  'declare c scroll cursor with hold for select i from «db.»s.one, generate_series(1, 4) i',
];

// Statements that say who they are for by what they are about.
const neutral: readonly string[] = [
  'commit',
  'rollback',
  'end',
  'abort',
  'commit and chain',
  'rollback and chain',
  'savepoint a',
  'savepoint b',
  'rollback to a',
  'rollback to savepoint b',
  'release a',
  "prepare transaction 'x'",
  "rollback prepared 'x'",
  "commit prepared 'x'",
  "set work_mem = '2MB'",
  "set local work_mem = '1MB'",
  "set work_mem = '7MB'",
  'reset work_mem',
  'reset all',
  "set timezone = 'Asia/Tokyo'",
  "set local timezone = 'UTC'",
  "set application_name = 'same'",
  'set session characteristics as transaction read only',
  'set session characteristics as transaction read write',
  'set session characteristics as transaction isolation level serializable',
  'set nonsense = 1',
  "set work_mem = 'much'",
  'fetch 1 from c',
  'fetch 1 from far',
  'fetch all from c',
  'move 1 in c',
  'close c',
  'close all',
  'execute p',
  'execute q(1)',
  'explain (costs off) execute q(2)',
  'deallocate p',
  'deallocate all',
  'discard all',
  'discard temp',
  'discard plans',
  'syntax error here',
  '',
  ' -- nothing',
];

// Statements that name nobody: only where the session is at home with the peer are they the peer's.
const atHome: readonly string[] = [
  'begin',
  'start transaction isolation level repeatable read, read only',
  'begin read write',
  'begin deferrable isolation level serializable',
  'set transaction isolation level serializable',
  'set transaction read only',
  'select 1',
  "select 'é', null::int, 1.5::numeric, true, '{1,null}'::int[], now() - now()",
  'select 1/0',
  'show work_mem',
  'show timezone',
  'show all_of_it',
  'select * from tt',
  'drop table tt',
  "select set_config('work_mem', '9MB', false)",
  "select set_config('work_mem', '8MB', true)",
  "set client_encoding = 'LATIN1'",
  'reset client_encoding',
  'listen x',
  "notify x, 'knock'",
  'unlisten *',
  "do $$begin raise notice 'hey' using hint = 'h'; end$$",
  "do $$begin raise exception 'no' using errcode = 'P7777', detail = 'd', table = 't'; end$$",
  'values (1), (2), (3)',
  'call s.nothing()',
  'checkpoint_ of nothing',
  'vacuum s.one',
];

// Transactions that belong to the peer from their first statement on.
const began: readonly string[] = [
  'begin; select count(*) from «db.»s.t',
  "begin read only; insert into «db.»s.t values (6, 'f')",
  'start transaction isolation level repeatable read; select id from «db.»s.one',
  "begin; set local work_mem = '3MB'; savepoint a; select current_setting('work_mem') from «db.»s.one",
];

// A portal that lasts as long as its transaction. Others are not asked again in a later turn: where Bind has failed half way,
// PostgreSQL itself (14 to 18) reads freed memory if such a portal is executed in the failed transaction.
const lasting = 'far';

const copies: readonly { readonly text: string; readonly data: readonly Buffer[] }[] = [
  { text: 'copy «db.»s.t from stdin', data: [said.copyData('31\tone\n3'), said.copyData('2\ttwo\n'), said.copyDone] },
  { text: 'copy «db.»s.t from stdin', data: [said.copyData('x\tone\n'), said.copyDone] },
  { text: 'copy «db.»s.t (id) from stdin csv', data: [said.copyData('41\n'), said.copyData('42'), said.copyDone] },
  { text: 'copy «db.»s.t from stdin', data: [said.copyData('51\tx\n'), said.copyFail('enough')] },
  { text: 'copy «db.»s.t from stdin', data: [said.copyDone] },
  { text: 'copy «db.»s.t from stdin (format binary)', data: [said.copyData('not binary'), said.copyDone] },
  { text: 'copy «db.»s.nope from stdin', data: [said.copyDone] },
  { text: 'copy «db.»s.t from stdin', data: [said.flush, said.copyData('1\tone\n'), said.sync, said.copyDone] },
];

/** Conversations of so many turns. `home`: the session is at home with the peer; else each statement says whose it is. */
export function conversation(seed: number, length: number, home: boolean): readonly Turn[] {
  const random = numbers(seed);
  const draw = () => random.next().value as number;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(draw() * items.length)]!;
  const statement = () => {
    const luck = draw();
    if (luck < 0.4) return pick(named);
    return luck < 0.75 || !home ? pick(neutral) : pick(atHome);
  };
  // At home the peer's name may be said or not.
  const marked = () => {
    const text = statement();
    return home && draw() < 0.7 ? asSent(text) : text;
  };
  const simple = (): Turn => {
    const luck = draw();
    let text = luck < 0.2 && !home ? pick(began) : marked();
    // In a session at home elsewhere a run of statements ends where the next is another's.
    if (home && luck > 0.75) text = Array.from({ length: 2 + Math.floor(draw() * 3) }, marked).join('; ');
    return { texts: [text], messages: (as) => [said.query(as(text))], copy: [], open: false };
  };
  const copy = (): Turn => {
    const { text, data } = pick(copies);
    if (draw() < 0.6) return { texts: [text], messages: (as) => [said.query(as(text))], copy: data, open: false };
    // Not unnamed: to bind it again in a pipeline is an error that ends the connection.
    const messages = (as: (text: string) => string) => [
      said.close('S', 'copying'),
      said.parse(as(text), 'copying'),
      said.bind({ statement: 'copying' }),
      said.execute(),
      said.flush,
    ];
    return { texts: [text], messages, copy: data, open: true };
  };
  const extended = (): Turn => {
    const texts: string[] = [];
    const parts: ((as: (text: string) => string) => readonly Buffer[])[] = [];
    const count = draw() < 0.6 ? 1 : 1 + Math.floor(draw() * 4);
    for (let i = 0; i < count; i += 1) parts.push(step(texts, count > 1));
    return { texts, messages: (as) => [...parts.flatMap((part) => part(as)), said.sync], copy: [], open: false };
  };
  const step = (texts: string[], pipelined: boolean): ((as: (text: string) => string) => readonly Buffer[]) => {
    const luck = draw();
    const [statementName, portal] = [draw() < 0.7 ? '' : pick(['one', 'two']), ''];
    const results = pick([[], [0], [1]]);
    const rows = pick([0, 0, 0, 1, 2]);
    if (luck < 0.08) {
      const closed = said.close(pick(['S', 'P'] as const), pick(['', 'one', 'po', 'p', lasting]));
      return () => [closed];
    }
    if (luck < 0.16) return () => [said.describe('S', statementName), said.flush];
    if (luck < 0.24) return () => [said.execute(lasting, rows)];
    if (luck < 0.28) {
      const text = 'select i, id from «db.»s.one, generate_series(1, 5) i';
      texts.push(text);
      return (as) => [said.parse(as(text)), said.bind({ portal: lasting, results }), said.execute(lasting, 1)];
    }
    if (luck < 0.34) return () => [said.bind({ statement: statementName, portal }), said.execute(portal, rows)];
    if (luck < 0.5) {
      const text = 'select $1::int, what, $2::text from «db.»s.t where id >= $1 order by id';
      texts.push(text);
      const [values, formats] = pick<readonly [readonly (string | Buffer | null)[], readonly number[]]>([
        [['1', 'é'], []],
        [
          [Buffer.of(0, 0, 0, 1), null],
          [1, 0],
        ],
        [['x', 'y'], [0]],
        [['1'], []],
        [
          [Buffer.of(0, 1), 'y'],
          [1, 0],
        ],
      ]);
      const types = pick([[], [23], [23, 25]]);
      const bound = { statement: statementName, portal, values, formats, results };
      return (as) => [
        said.parse(as(text), statementName, types),
        said.bind(bound),
        said.describe('P', portal),
        said.execute(portal, rows),
        said.execute(portal, 0),
      ];
    }
    let text = marked();
    // A pipeline's own transaction is the peer's, but not the settings', which are the session's.
    if (!home && pipelined && /^(set|reset|discard)|prepared|prepare transaction/.test(text)) text = 'deallocate p';
    texts.push(text);
    const described = pick([[], [said.describe('S', statementName)], [said.flush]]);
    return (as) => [
      said.parse(as(text), statementName),
      ...described,
      said.bind({ statement: statementName, portal, results }),
      said.describe('P', portal),
      said.execute(portal, rows),
    ];
  };
  // Texts are made at once, so that both sides say the same.
  return Array.from({ length }, () => {
    const luck = draw();
    // Else most of it would be said in transactions that have failed.
    if (luck > 0.9) return { texts: [''], messages: () => [said.query('rollback')], copy: [], open: false };
    const turn = luck < 0.1 ? copy() : luck < 0.55 ? simple() : extended();
    const [spoken, bare] = [turn.messages(asSaid), turn.messages(asSent)];
    return { ...turn, messages: (as) => (as === asSaid ? spoken : bare) };
  });
}

/** Says a turn and gives what is heard. */
export async function play(
  session: WireSession,
  turn: Turn,
  as: (marked: string) => string,
): Promise<readonly Heard[]> {
  const from = session.heard.length;
  session.send(...turn.messages(as));
  const last = () => session.heard.slice(from).findLast(({ type }) => 'GEZC'.includes(type))?.type;
  if (turn.open) {
    await session.until('COPY or an error', () => last() !== undefined, from);
    session.send(...(last() === 'G' ? turn.copy : []), said.sync);
    return session.ready(from);
  }
  // A COPY may also begin where an old statement is bound again; its Sync has been read as part of the COPY.
  const data = turn.copy.length > 0 ? turn.copy : [said.copyFail('no data'), said.sync];
  await session.until('COPY or the end', () => last() === 'G' || last() === 'Z', from);
  if (last() === 'G') session.send(...data);
  return session.ready(from);
}
