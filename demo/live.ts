// The live picture of a copy: the whole, each table, and what is being built after the rows. Pure.
import { type PanelLine, type Progress, progressLine, shownCount, shownSeconds } from './screen.ts';

export interface LiveTable {
  readonly table: string;
  readonly state: 'waiting' | 'copying' | 'copied';
  readonly rows: number;
  readonly ofRows: number | null;
  readonly secondsLeft: number | null;
}

export interface LiveObject {
  readonly kind: string;
  readonly name: string;
  readonly doing: string | null;
  readonly percent: number | null;
}

export interface LiveCopy {
  readonly phase: string;
  readonly whole: Progress;
  readonly objectsMade: number;
  readonly objectsTotal: number;
  readonly tables: readonly LiveTable[];
  readonly making: readonly LiveObject[];
}

const order = { copying: 0, waiting: 1, copied: 2 } as const;
const barWidth = 14;

/** The lines of a panel of `columns` by at most `rows`: first the whole, which says enough alone where nothing can be redrawn. */
export function livePanel(copy: LiveCopy, { columns, rows }: { columns: number; rows: number }): readonly PanelLine[] {
  const wide = columns < 100 ? barWidth : 28;
  const whole = copy.phase === 'snapshotting' ? progressLine(copy.whole, wide) : objectsLine(copy, wide);
  const tables =
    copy.phase === 'snapshotting'
      ? copy.tables.toSorted((a, b) => order[a.state] - order[b.state] || a.table.localeCompare(b.table))
      : [];
  const width = Math.min(28, Math.max(0, ...tables.map(({ table }) => table.length)));
  const below: PanelLine[] = [
    ...tables.map((table): PanelLine => ({ text: tableLine(table, width), tone: tones[table.state] })),
    ...copy.making.map((object): PanelLine => ({ text: objectLine(object) })),
  ];
  const room = Math.max(1, rows - 2);
  const more = below.length - room;
  const shown = more > 0 ? below.slice(0, room - 1) : below;
  const rest: PanelLine[] = more > 0 ? [{ text: `    and ${below.length - shown.length} more`, tone: 'dim' }] : [];
  return [{ text: `  ${whole}`, tone: 'strong' }, ...shown, ...rest];
}

const tones = { copying: undefined, waiting: 'dim', copied: 'good' } as const;

function tableLine(table: LiveTable, width: number): string {
  const name = table.table.padEnd(width);
  switch (table.state) {
    case 'waiting':
      return `    ${name}  ${bar(0)}   waits${table.ofRows === null ? '' : `  about ${shownCount(table.ofRows)} rows`}`;
    case 'copied':
      return `    ${name}  ${bar(1)}    done  ${shownCount(table.rows)} rows`;
    case 'copying': {
      const share = table.rows / Math.max(table.ofRows ?? 0, table.rows, 1);
      const left = table.secondsLeft === null ? '' : `  ETA ${shownSeconds(table.secondsLeft)}`;
      const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
      return `    ${name}  ${bar(share)}   ${percent}  ${shownCount(table.rows)} rows${left}`;
    }
    default:
      return table.state satisfies never;
  }
}

function bar(share: number): string {
  const filled = Math.round(share * barWidth);
  return `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
}

function objectsLine({ objectsMade: made, objectsTotal: total, whole }: LiveCopy, width: number): string {
  const share = total === 0 ? 1 : made / total;
  const filled = Math.round(share * width);
  const eta = whole.secondsLeft === undefined || share === 1 ? '' : `  ETA ${shownSeconds(whole.secondsLeft)}`;
  const done = `${String(Math.floor(share * 100)).padStart(3)} %  ${made} of ${total} keys, indexes and constraints`;
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}  ${done}${eta}`;
}

function objectLine({ kind, name, doing, percent }: LiveObject): string {
  const phase = doing === null ? '' : `: ${doing}${percent === null ? '' : ` ${percent} %`}`;
  return `    ${kind} ${name}${phase}`;
}
