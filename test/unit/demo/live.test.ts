// The demo's live picture: what stands in it, how it is drawn over itself on a terminal, and what is left of it elsewhere.
import { expect, test } from 'vitest';
import { type LiveCopy, livePanel } from '../../../demo/live.ts';
import { Screen } from '../../../demo/screen.ts';

const copy: LiveCopy = {
  phase: 'snapshotting',
  whole: { rows: 250_000, ofRows: 1_000_000, bytes: 12_345_678, elapsedMs: 2_000, secondsLeft: 8 },
  objectsMade: 0,
  objectsTotal: 0,
  tables: [
    { table: 'shop.customers', state: 'copied', rows: 20_000, ofRows: 20_000, secondsLeft: null },
    { table: 'shop.orders', state: 'copying', rows: 50_000, ofRows: 100_000, secondsLeft: 3.2 },
    { table: 'shop.page_views', state: 'waiting', rows: 0, ofRows: 880_000, secondsLeft: null },
  ],
  making: [],
};

const size = { columns: 120, rows: 40 };

test('the picture has the whole first, then tables that are being copied, those that wait, and those that are done', () => {
  expect(livePanel(copy, size).map(({ text }) => text)).toEqual([
    '  ███████░░░░░░░░░░░░░░░░░░░░░   25 %  250,000 of 1,000,000 rows  125,000 rows/s  ETA 8.0 s  12.3 MB',
    '    shop.orders      ███████░░░░░░░    50 %  50,000 rows  ETA 3.2 s',
    '    shop.page_views  ░░░░░░░░░░░░░░   waits  about 880,000 rows',
    '    shop.customers   ██████████████    done  20,000 rows',
  ]);
});

test('after the rows it shows what is built, with its phase', () => {
  const making = [
    { kind: 'index', name: 'orders_note', doing: 'building index: scanning table', percent: 45 },
    { kind: 'foreign key', name: 'orders_customer', doing: null, percent: null },
  ];
  const now = { ...copy, phase: 'finishing', objectsMade: 6, objectsTotal: 12, making };
  expect(livePanel(now, { ...size, columns: 80 }).map(({ text }) => text)).toEqual([
    '  ███████░░░░░░░   50 %  6 of 12 keys, indexes and constraints  ETA 8.0 s',
    '    index orders_note: building index: scanning table 45 %',
    '    foreign key orders_customer',
  ]);
});

test('a picture that is too tall says how much it leaves out', () => {
  const tables = Array.from({ length: 50 }, (_, n) => ({ ...copy.tables[2]!, table: `t${n}` }));
  const lines = livePanel({ ...copy, tables }, { columns: 80, rows: 10 });
  expect(lines).toHaveLength(9);
  expect(lines.at(-1)?.text).toBe('    and 43 more');
});

function terminal(more: { readonly isTTY?: boolean; readonly columns?: number } = {}) {
  const written: string[] = [];
  const write = (text: string) => written.push(text) > 0;
  const out = { isTTY: true, columns: 40, rows: 24, write, ...more } as unknown as NodeJS.WriteStream;
  return { out, text: () => written.splice(0).join('') };
}

test('on a terminal the picture is drawn over itself, no line longer than the terminal', () => {
  const { out, text } = terminal();
  const screen = new Screen(out, {});
  screen.panel(livePanel(copy, screen.size));
  expect(text()).toMatch(/^\r\x1b\[J/);
  screen.panel(livePanel(copy, screen.size));
  const second = text();
  expect(second).toMatch(/^\x1b\[4A\r\x1b\[J/);
  const lines = second.replaceAll(/\x1b\[[0-9;]*[A-Za-z]|\r/g, '').split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
  screen.line('next');
  expect(text()).toBe('next\n');
  screen.panel([{ text: 'new' }]);
  expect(text()).toBe('\r\x1b[Jnew\n');
});

test('with NO_COLOR nothing is coloured, and it still moves', () => {
  const { out, text } = terminal();
  const screen = new Screen(out, { NO_COLOR: '1' });
  screen.panel(livePanel(copy, screen.size));
  screen.panel(livePanel(copy, screen.size));
  const all = text();
  expect(all).not.toMatch(/\x1b\[[0-9;]*m/);
  expect(all).toContain('\x1b[4A');
});

test('where it is no terminal there are plain lines: the whole now and then, and at the end', () => {
  const { out, text } = terminal({ isTTY: false });
  const screen = new Screen(out, {});
  screen.panel(livePanel(copy, screen.size));
  screen.panel(livePanel(copy, screen.size));
  const first = text();
  expect(first).not.toContain('\x1b');
  expect(first.split('\n').filter((line) => line !== '')).toHaveLength(1);
  expect(first).toContain('25 %');
  screen.panel(livePanel({ ...copy, whole: { ...copy.whole, rows: 1_000_000 } }, screen.size), true);
  expect(text()).toMatch(/100 %.*done/);
});
