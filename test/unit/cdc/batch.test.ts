// The stream gathered into whole transactions.
import { describe, expect, test } from 'vitest';
import { Gatherer } from '../../../src/cdc/batch.ts';
import { decide, type Situation } from '../../../src/cdc/decide.ts';
import type { GathererOptions } from '../../../src/cdc/stops.ts';
import { pieceEffects, prepareEffects } from '../../../src/peers/apply-merge.ts';
import type { AppliedTable } from '../../../src/peers/apply-table.ts';
import { eachChange, type Piece, type TableCounts } from '../../../src/peers/apply-walk.ts';
import { type Relation, rowEnd } from '../../../src/peers/pgoutput.ts';
import { keyOf, netEffect } from '../../../src/peers/staging.ts';
import * as make from './messages.ts';

const id = { schema: 'public', name: 't' };

function table(over: Partial<AppliedTable> = {}): AppliedTable {
  const columns = ['id', 'a', 'b'].map((name, index) => ({ name, index, type: 'text', always: false }));
  return {
    id: 1,
    from: id,
    to: id,
    width: 3,
    columns,
    key: columns.slice(0, 1),
    identity: 'key',
    integerKey: null,
    binary: false,
    agreed: null,
    filter: null,
    others: [],
    indexed: true,
    kind: 'r',
    partitions: null,
    snapshotLsn: null,
    marks: { deleted: null, synced: null, syncedByDefault: false },
    ...over,
  };
}

const relation: Relation = { kind: 'relation', oid: 1, schema: 'public', name: 't', identity: 'd', columns: [] };

function gatherer(over: Partial<GathererOptions> = {}, known = table()): Gatherer {
  const made = new Gatherer({
    limits: { changes: 100, piece: 100, bytes: 1e6 },
    checkpoint: 0n,
    truncate: true,
    isEcho: (origin) => origin === 'echo',
    ...over,
  });
  made.know(relation, known);
  return made;
}

const stream = (...messages: readonly Buffer[]) => Buffer.concat(messages.map((m) => make.frame(m)));
const tx = (lsn: bigint, ...changes: readonly Buffer[]) =>
  stream(make.begin(lsn), ...changes, make.commit(lsn, lsn + 5n));

// The values of the second column, in order, with a mark for the kind of change.
function changes(piece: Piece | null): string[] {
  const seen: string[] = [];
  for (const step of piece?.steps ?? []) {
    if (step.kind === 'truncate') seen.push('truncate');
    else {
      eachChange(step, ({ change, buffer }) => {
        const row = change.kind === 'delete' ? change.old : change.row;
        seen.push(`${change.kind} ${buffer.toString('utf8', row + 7, row + 8)}`);
      });
    }
  }
  return seen;
}

const echoAt = (lsn: bigint) =>
  stream(make.begin(lsn), make.origin(0n, 'echo'), make.insert(1, ['9', 'x', 'y']), make.commit(lsn, lsn + 5n));

describe('what is taken next is seen before', () => {
  test('the steps are those that are taken, unless something came after them', () => {
    const made = gatherer();
    made.gather(tx(10n, make.insert(1, ['1', 'x', 'y'])), 0, 0);
    const seen = made.peek();
    expect(made.peek()).toBe(seen);
    expect(made.take()?.steps).toBe(seen);
    made.gather(tx(20n, make.insert(1, ['2', 'x', 'y'])), 0, 0);
    const before = made.peek();
    made.gather(tx(30n, make.insert(1, ['3', 'x', 'y'])), 0, 0);
    const taken = made.take();
    expect(taken?.steps).not.toBe(before);
    expect(changes(taken)).toEqual(['insert 2', 'insert 3']);
  });

  test('so are those of a transaction that is taken in pieces, and not those of one like it', () => {
    const piece = (key: string) => stream(make.begin(10n), make.insert(1, [key, 'x', 'y']));
    const made = gatherer({ limits: { changes: 1, piece: 1, bytes: 1e6 } });
    made.gather(piece('1'), 0, 0);
    const seen = made.peek();
    const taken = made.takeCut();
    expect(taken.steps).toBe(seen);
    expect(changes(taken)).toEqual(['insert 1']);
    const other = gatherer({ limits: { changes: 1, piece: 1, bytes: 1e6 } });
    other.gather(piece('1'), 0, 0);
    other.peek();
    other.abandon();
    other.gather(piece('2'), 0, 0);
    expect(changes(other.takeCut())).toEqual(['insert 2']);
  });

  test('what was added up before is what is added up when it is applied, once', () => {
    const made = gatherer();
    const bytes = tx(10n, make.insert(1, ['1', 'x', 'y']), make.insert(1, ['2', 'z', 'y']));
    made.gather(bytes, 0, 0);
    const steps = made.peek();
    prepareEffects(steps);
    const [first, second] = [new Map<AppliedTable, TableCounts>(), new Map<AppliedTable, TableCounts>()];
    const prepared = pieceEffects({ steps }, first);
    const anew = pieceEffects({ steps }, second);
    expect(prepared).not.toBe(anew);
    expect(prepared).toEqual(anew);
    expect(first).toEqual(second);
    expect([...first.values()]).toMatchObject([{ inserts: 2 }]);
  });
});

describe('gathering', () => {
  test('holds a transaction back until its commit has come, wherever the bytes are cut', () => {
    const bytes = Buffer.concat([tx(10n, make.insert(1, ['1', 'x', 'y'])), tx(20n, make.insert(1, ['2', 'x', 'y']))]);
    const first = tx(10n, make.insert(1, ['1', 'x', 'y'])).length;
    // Chunks hold whole frames; each boundary between frames is tried.
    for (let cut = 0, next = 0; cut < bytes.length; cut = next) {
      next = cut + bytes.readUInt32BE(cut + 1) + 1;
      const g = gatherer();
      g.gather(bytes.subarray(0, cut), 0, 1);
      const early = g.take();
      expect(changes(early)).toEqual(cut >= first ? ['insert 1'] : []);
      g.gather(bytes.subarray(cut), 0, 2);
      const late = g.take();
      expect([...changes(early), ...changes(late)]).toEqual(['insert 1', 'insert 2']);
      expect(late?.endLsn).toBe(25n);
    }
  });

  test('skips what the checkpoint has, to the byte', () => {
    const g = gatherer({ checkpoint: 15n });
    const bytes = Buffer.concat(
      [10n, 15n, 20n].map((lsn) => tx(lsn, make.insert(1, [String(lsn)[0] ?? '', 'x', 'y']))),
    );
    g.gather(bytes, 0, 1);
    // The first ends at 15; the second begins there.
    expect(g.take()?.transactions).toBe(2);
  });

  test('skips a table’s transactions that its own copy holds', () => {
    const g = gatherer({}, table({ snapshotLsn: 20n }));
    g.gather(Buffer.concat([tx(19n, make.insert(1, ['1', 'x', 'y'])), tx(20n, make.insert(1, ['2', 'x', 'y']))]), 0, 1);
    expect(changes(g.take())).toEqual(['insert 2']);
  });

  test('gives a transaction over the limit in pieces, and none of them ends it but the last', () => {
    const g = gatherer({ limits: { changes: 2, piece: 2, bytes: 1e6 } });
    const bytes = stream(
      make.begin(10n),
      ...['1', '2', '3', '4', '5'].map((key) => make.insert(1, [key, 'x', 'y'])),
      make.commit(10n, 15n),
    );
    const seen: string[][] = [];
    const ends: unknown[] = [];
    for (let at = 0; ; ) {
      const stop = g.gather(bytes, at, 1);
      if (stop === null) break;
      at = stop.at;
      const batch = g.overflows ? g.takeCut() : g.take();
      seen.push(changes(batch));
      ends.push(batch?.endLsn);
      expect(g.idleLsn).toBeNull();
    }
    expect(seen).toEqual([['insert 1', 'insert 2'], ['insert 3', 'insert 4'], ['insert 5']]);
    expect(ends).toEqual([null, null, 15n]);
  });

  test('ends a cut transaction even when nothing of it is left', () => {
    const g = gatherer({ limits: { changes: 1, piece: 1, bytes: 1e6 } });
    const bytes = stream(make.begin(10n), make.insert(1, ['1', 'x', 'y']), make.commit(10n, 15n));
    const cut = g.gather(bytes, 0, 1);
    expect(g.takeCut().endLsn).toBeNull();
    expect(g.gather(bytes, cut?.at ?? 0, 1)?.kind).toBe('full');
    expect(g.take()?.endLsn).toBe(15n);
  });

  test('stops at whole transactions when a batch is full', () => {
    const g = gatherer({ limits: { changes: 3, piece: 3, bytes: 1e6 } });
    const two = (lsn: bigint) => tx(lsn, make.insert(1, ['1', 'x', 'y']), make.remove(1, 'K', ['1', null, null]));
    const one = tx(15n, make.insert(1, ['2', 'x', 'y']));
    const bytes = Buffer.concat([two(10n), one, two(20n), two(30n)]);
    const stop = g.gather(bytes, 0, 1);
    expect(stop?.kind).toBe('full');
    expect(g.overflows).toBe(false);
    expect(g.take()).toMatchObject({ startLsn: 10n, endLsn: 20n, transactions: 2, changes: 3 });
    expect(g.gather(bytes, stop?.at ?? 0, 2)?.kind).toBe('full');
    // The next would have made it too large: it waits for its turn.
    expect(g.take()).toMatchObject({ startLsn: 20n, endLsn: 25n, transactions: 1, changes: 2 });
    expect(g).toMatchObject({ changes: 2, transactions: 1, reached: 35n, idleLsn: null, waitingSince: 2 });
    expect(g.take()).toMatchObject({ startLsn: 30n, endLsn: 35n, transactions: 1, changes: 2 });
    expect(g.take()).toBeNull();
    expect(g.idleLsn).toBeNull();
  });

  test('leaves out what came from the target, wherever the bytes are cut, and moves over it', () => {
    const echo = stream(
      make.begin(20n),
      make.origin(0n, 'echo'),
      make.insert(1, ['2', 'x', 'y']),
      make.truncate([1]),
      make.commit(20n, 25n),
    );
    const other = stream(
      make.begin(30n),
      make.origin(0n, 'other'),
      make.insert(1, ['3', 'x', 'y']),
      make.commit(30n, 35n),
    );
    const bytes = Buffer.concat([tx(10n, make.insert(1, ['1', 'x', 'y'])), echo, other, echoAt(40n)]);
    for (let cut = 0, next = 0; cut < bytes.length; cut = next) {
      next = cut + bytes.readUInt32BE(cut + 1) + 1;
      const g = gatherer();
      g.gather(bytes.subarray(0, cut), 0, 1);
      g.gather(bytes.subarray(cut), 0, 2);
      const batch = g.take();
      expect(changes(batch)).toEqual(['insert 1', 'insert 3']);
      expect(batch?.transactions).toBe(2);
      expect(g.reached).toBe(45n);
    }
    const g = gatherer();
    g.gather(echo, 0, 1);
    expect(g).toMatchObject({ idleLsn: 25n, changes: 0 });
    expect(g.take()).toBeNull();
  });

  test('keeps TRUNCATE in its place', () => {
    const g = gatherer();
    g.gather(tx(10n, make.insert(1, ['1', 'x', 'y']), make.truncate([1, 99]), make.insert(1, ['2', 'x', 'y'])), 0, 1);
    expect(changes(g.take())).toEqual(['insert 1', 'truncate', 'insert 2']);
  });

  test('asks about a relation of ours whenever it comes, and about another’s once', () => {
    const g = gatherer();
    const r = (columns: number) =>
      make.relation(
        2,
        'u',
        Array.from({ length: columns }, (_, i) => ({ name: `c${i}`, key: false })),
      );
    const bytes = stream(
      make.begin(10n),
      r(1),
      r(1),
      make.insert(2, ['x']),
      r(2),
      make.insert(2, ['x', 'y']),
      make.commit(10n, 15n),
    );
    const asked: number[] = [];
    for (let at = 0; ; ) {
      const stop = g.gather(bytes, at, 1);
      if (stop === null) break;
      at = stop.at;
      if (stop.kind !== 'relation') throw new Error('not a relation');
      asked.push(stop.relation.columns.length);
      g.know(stop.relation, table({ id: stop.relation.columns.length }));
    }
    expect(asked).toEqual([1, 1, 2]);
    const others: number[] = [];
    const other = gatherer();
    for (let at = 0, stop = other.gather(bytes, at, 1); stop !== null; stop = other.gather(bytes, at, 1)) {
      at = stop.at;
      if (stop.kind !== 'relation') throw new Error('not a relation');
      others.push(stop.relation.columns.length);
      other.know(stop.relation, null);
    }
    expect(others).toEqual([1, 2]);
    const batch = g.take();
    const ids: number[] = [];
    for (const step of batch?.steps ?? [])
      if (step.kind === 'changes') eachChange(step, ({ table }) => ids.push(table.id));
    expect(ids).toEqual([1, 2]);
  });

  test('follows the server’s word only when nothing waits', () => {
    const g = gatherer();
    g.gather(make.keepalive(50n), 0, 1);
    expect(g.idleLsn).toBe(50n);
    g.gather(stream(make.begin(60n)), 0, 1);
    expect(g.idleLsn).toBeNull();
    g.gather(make.keepalive(55n), 0, 1);
    g.gather(stream(make.insert(1, ['1', 'x', 'y']), make.commit(60n, 65n)), 0, 1);
    g.gather(make.keepalive(70n), 0, 1);
    expect(g.idleLsn).toBeNull();
    expect(g.take()?.endLsn).toBe(65n);
    expect(g.idleLsn).toBe(70n);
    // A transaction of tables that are not ours is only a position.
    g.gather(tx(80n), 0, 1);
    expect(g.take()).toBeNull();
    expect(g.idleLsn).toBe(85n);
  });
});

describe('deciding', () => {
  const idle: Situation = {
    applying: false,
    changes: 1,
    waitingSince: 1_000,
    full: false,
    flowing: false,
    now: 1_000,
    syncIntervalMs: 0,
  };

  test('a change on a quiet stream is applied at once', () => {
    expect(decide(idle)).toEqual({ kind: 'apply' });
    expect(decide({ ...idle, changes: 0, waitingSince: null })).toEqual({ kind: 'wait', ms: null });
    expect(decide({ ...idle, applying: true })).toEqual({ kind: 'wait', ms: null });
  });

  test('while a backlog flows, batches fill up, but not for ever', () => {
    expect(decide({ ...idle, flowing: true })).toMatchObject({ kind: 'wait' });
    expect(decide({ ...idle, flowing: true, now: 1_200 })).toEqual({ kind: 'apply' });
    expect(decide({ ...idle, flowing: true, full: true })).toEqual({ kind: 'apply' });
  });

  test('sync_interval lets changes wait, and no longer', () => {
    expect(decide({ ...idle, syncIntervalMs: 500, now: 1_100 })).toEqual({ kind: 'wait', ms: 400 });
    expect(decide({ ...idle, syncIntervalMs: 500, now: 1_500 })).toEqual({ kind: 'apply' });
    expect(decide({ ...idle, syncIntervalMs: 500, full: true })).toEqual({ kind: 'apply' });
  });
});

describe('the net effect', () => {
  function effect(...messages: readonly Buffer[]) {
    const g = gatherer();
    g.gather(tx(10n, ...messages), 0, 1);
    const step = g.take()?.steps[0];
    if (step?.kind !== 'changes') throw new Error('no changes');
    const net = netEffect(step, new Map());
    const shown = [...net.tables.values()].flatMap(({ table, keys }) =>
      Array.from({ length: keys.size }, (_, entry) => {
        const [buffer, row] = [keys.bufferAfter(entry), keys.rowAfter(entry)];
        return [
          keyOf(table, keys.bufferOfKey(entry), keys.rowOfKey(entry)),
          keys.wasThere(entry),
          buffer === null ? null : buffer.toString('latin1', row, rowEnd(buffer, row)).replaceAll(/[^a-z0-9]/g, ''),
        ];
      }),
    );
    return { inOrder: net.inOrder, shown };
  }

  test('of insert and delete is nothing, of delete and insert a replacement', () => {
    expect(effect(make.insert(1, ['1', 'a', 'b']), make.remove(1, 'K', ['1', null, null])).shown).toEqual([
      ['1', false, null],
    ]);
    expect(effect(make.remove(1, 'K', ['1', null, null]), make.insert(1, ['1', 'a', 'b'])).shown).toEqual([
      ['1', true, 't1tatb'],
    ]);
  });

  test('of swapped keys is an update of each', () => {
    const moved = (from: string, to: string, v: string) =>
      make.update(1, [to, v, 'z'], { kind: 'K', cells: [from, null, null] });
    const { shown, inOrder } = effect(moved('1', '9', 'p'), moved('2', '1', 'q'), moved('9', '2', 'p'));
    expect(inOrder).toBe(false);
    expect(shown).toEqual([
      ['1', true, 't1tqtz'],
      ['9', false, null],
      ['2', true, 't2tptz'],
    ]);
  });

  test('takes an unchanged value from the earlier row, and leaves it out where there is none', () => {
    expect(effect(make.insert(1, ['1', 'a', 'b']), make.update(1, ['1', 'c', make.unchanged])).shown).toEqual([
      ['1', false, 't1tctb'],
    ]);
    expect(
      effect(make.update(1, ['1', 'a', make.unchanged]), make.update(1, ['1', make.unchanged, 'd'])).shown,
    ).toEqual([['1', true, 't1tatd']]);
    expect(effect(make.update(1, ['1', 'a', make.unchanged])).shown).toEqual([['1', true, 't1tau']]);
  });

  test('of a key change whose large value only the target knows must be made in order', () => {
    expect(effect(make.update(1, ['2', 'a', make.unchanged], { kind: 'K', cells: ['1', null, null] })).inOrder).toBe(
      true,
    );
  });
});
