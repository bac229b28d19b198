// What a copy has done so far and how fast, table by table, so that the time which is left can be told. Pure: time is handed in.
import {
  type Came,
  cameOf,
  densityOf,
  noParts,
  type Pace,
  type PartState,
  type Price,
  partPaces,
  priceOf,
  type Rates,
  Speed,
  type TableState,
  type TalliedPart,
  tablePace,
  throughOf,
} from './copy-state.ts';
import { FinishTally, type LaterObject } from './finish-tally.ts';
import type { ObjectLine } from './object.ts';

/** How a copy may go about it. */
export interface CopyLimits {
  /** Parts that are copied at the same time, and parts of one table. */
  readonly workers: number;
  readonly partsPerTable: number;
  /** Objects that are made at the same time after the load. */
  readonly builders: number;
  /** Bytes per second; null: no limit. */
  readonly throttle: number | null;
}

/** By showTable; bytes as they came. */
export interface FinishedTable extends Pick<Came, 'rows' | 'bytes'> {
  readonly table: string;
}

export interface CopyEstimate {
  /** Since the copy began; and what was copied before it was taken up again would have taken at the present speed. */
  readonly seconds: number;
  readonly secondsKept: number;
  /** Those copied, and all that there will be. */
  readonly rows: number;
  readonly rowsTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
  /** Over the last seconds. */
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly loadSecondsLeft: number;
  /** For keys, indexes and constraints after the load. */
  readonly finishSecondsLeft: number;
  readonly objectsMade: number;
  readonly objectsTotal: number;
  /** Of what is being copied now. */
  readonly tables: ReadonlyMap<string, Pace>;
  readonly parts: ReadonlyMap<string, ReadonlyMap<number, Pace>>;
}

const rateWindowMs = 10_000;
const leastWindowSeconds = 3;
const smallBytes = 256 * 1024;
const smallSeconds = 0.004;
// Wire bytes per byte on the source's disk, as long as nothing is known.
const usualRatio = 0.9;

export class CopyTally {
  readonly #tables = new Map<string, TableState>();
  /** What came of small tables that are copied: of ten thousand nearly all are soon, and nothing more is reckoned of them. */
  readonly #over = new Map<string, Came>();
  readonly #finish = new FinishTally();
  #limits: CopyLimits;
  /** Of the workers that it may have; null: all. */
  #atWork: number | null = null;
  #beganAt: number | null = null;
  #small = new Speed(0);
  /** Of those that are over, what came before the copy went on. */
  readonly #earlier = { tables: 0, rows: 0, bytes: 0 };
  /** Of the parts that are copied: what they took on the disk, and what came. */
  #done = { bytes: 0, wire: 0 };
  #rows = 0;
  #bytes = 0;
  /** What had come when; the first is what speeds are reckoned from. */
  #samples: { readonly at: number; readonly rows: number; readonly bytes: number }[] = [];
  #lastPace: Rates = { rowsPerSecond: 0, bytesPerSecond: 0 };

  constructor(limits: CopyLimits) {
    this.#limits = limits;
  }

  /** Whether anything was planned. */
  get begun(): boolean {
    return this.#beganAt !== null;
  }

  limit(limits: CopyLimits): void {
    if (limits.throttle !== this.#limits.throttle) {
      for (const { speed } of this.#tables.values()) speed.doubt();
      this.#samples = this.#samples.slice(-1);
    }
    this.#limits = limits;
  }

  /** How many of the workers are at work from now on. */
  workers(atWork: number): void {
    this.#atWork = atWork;
  }

  get #working(): number {
    return Math.max(1, Math.min(this.#limits.workers, this.#atWork ?? this.#limits.workers));
  }

  /** What a second of one that is at work is worth in seconds of all: fewer on the same cores are each as much faster. */
  get #share(): number {
    return this.#limits.workers / this.#working;
  }

  /** Tables that were copied before the copy was taken up again, as far as they are not known. */
  before(finished: readonly FinishedTable[], at: number): void {
    for (const { table, rows, bytes } of finished) {
      if (this.#tables.has(table) || this.#over.has(table)) continue;
      this.#over.set(table, { rows, bytes, earlier: true });
      this.#count({ rows, bytes, earlier: true }, 1);
    }
    this.#reckonFrom(at);
  }

  #count(came: Came, sign: 1 | -1): void {
    this.#rows += sign * came.rows;
    this.#bytes += sign * came.bytes;
    if (came.earlier !== true) return;
    this.#earlier.tables += sign;
    this.#earlier.rows += sign * came.rows;
    this.#earlier.bytes += sign * came.bytes;
  }

  /** A table that is to be copied, or anew. */
  planned(table: string, parts: readonly TalliedPart[], at: number): void {
    if (this.#beganAt === null) {
      this.#beganAt = at;
      this.#small = new Speed(at);
      this.#reckonFrom(at);
    }
    this.#forget(table, at);
    this.#tables.set(table, {
      waiting: new Map(parts.map((part) => [part.part, part])),
      copying: noParts,
      done: { bytes: 0, wire: 0, rows: 0, estimated: 0, parts: 0 },
      kept: 0,
      left: {
        bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
        rows: parts.reduce((sum, part) => sum + part.rows, 0),
        largest: parts.reduce((most, part) => Math.max(most, part.bytes), 0),
      },
      speed: new Speed(this.#beganAt),
    });
  }

  // What came of a table that is copied anew.
  #forget(table: string, at: number): void {
    const state = this.#tables.get(table);
    const came = state === undefined ? this.#over.get(table) : cameOf(state);
    if (came === undefined) return;
    this.#over.delete(table);
    this.#count(came, -1);
    this.#reckonFrom(at);
  }

  part(
    table: string,
    number: number,
    now: { readonly state: 'copying' | 'copied'; readonly rows: number; readonly bytes: number; readonly at: number },
  ): void {
    const state = this.#tables.get(table);
    if (state === undefined) return;
    const begun = state.copying.get(number);
    const part = begun ?? this.#start(state, number, now.at);
    if (part === undefined) return;
    // It was copied before this copy was taken up again: how long that took nobody knows.
    const kept = begun === undefined && now.state === 'copied';
    this.#rows += now.rows - part.copiedRows;
    this.#bytes += now.bytes - part.copiedBytes;
    part.copiedRows = now.rows;
    part.copiedBytes = now.bytes;
    const before = part.through;
    part.through = now.state === 'copied' ? part.bytes : throughOf(state, part, this.#ratio(state));
    const seconds = Math.max(0, now.at - part.lastAt) / 1_000;
    if (kept) {
      state.kept += part.bytes;
      this.#reckonFrom(now.at);
    } else this.#learn(state, part, { seconds, before, copied: now.state === 'copied', at: now.at });
    part.lastAt = now.at;
    if (now.state !== 'copied') return;
    state.copying.delete(number);
    const { done } = state;
    for (const sum of [done, this.#done]) {
      sum.bytes += part.bytes;
      sum.wire += now.bytes;
    }
    done.rows += now.rows;
    done.estimated += part.rows;
    done.parts++;
    if (state.copying.size === 0 && state.waiting.size === 0) this.#close(table, state);
  }

  #close(table: string, state: TableState): void {
    if (state.kept > 0 || state.speed.work > 0) {
      [state.waiting, state.copying] = [noParts, noParts];
      return;
    }
    this.#tables.delete(table);
    this.#over.set(table, cameOf(state));
  }

  /** What is to be made after the load, as far as the source tells before it; and bytes of the tables that are analyzed then. */
  later(objects: readonly LaterObject[], analyzed: readonly number[]): void {
    this.#finish.later(objects);
    this.#finish.analyzed(analyzed);
  }

  /** Lines of the ledger, as they come. */
  objects(lines: readonly ObjectLine[], at: number): void {
    // A process that takes over after the load.
    if (lines.some(({ stage, state }) => state === 'making' && stage !== 'before' && stage !== 'needs'))
      this.#beganAt ??= at;
    this.#finish.objects(lines, at);
  }

  /** Null before there is anything to judge by. */
  estimate(at: number): CopyEstimate | null {
    if (this.#beganAt === null) return null;
    for (const { speed } of this.#tables.values()) speed.fade(at);
    const price = priceOf([...this.#tables.values()]);
    const left = [...this.#tables].map(([name, state]) => ({ name, state, ...this.#left(state, price) }));
    const bytes = left.reduce((sum, each) => sum + each.wire, 0);
    const pace = this.#pace(at);
    if (price === null && left.some(({ seconds }) => seconds === null)) return null;
    const load = this.#load(left, { bytes, pace });
    const loadCost = this.#limits.throttle === null ? (price?.perByte ?? null) : null;
    const finish = this.#finish.left(at, { builders: this.#limits.builders, loadCost });
    const active = left.filter(({ state }) => state.copying.size > 0);
    return {
      seconds: (at - this.#beganAt) / 1_000,
      secondsKept: left.reduce((sum, each) => sum + each.kept, this.#earlierSeconds(price)) / this.#limits.workers,
      rows: this.#rows,
      rowsTotal: this.#rows + Math.round(left.reduce((sum, each) => sum + each.rows, 0)),
      bytes: this.#bytes,
      bytesTotal: this.#bytes + Math.round(bytes),
      ...pace,
      loadSecondsLeft: load,
      finishSecondsLeft: finish.seconds,
      objectsMade: finish.made,
      objectsTotal: finish.total,
      tables: new Map(active.map((each) => [each.name, tablePace(each, at, this.#share)])),
      parts: new Map(active.map((each) => [each.name, partPaces(each, at)])),
    };
  }

  /** What tables that were copied before would take one worker now. */
  #earlierSeconds(price: Price | null): number {
    const { tables, rows, bytes } = this.#earlier;
    const ratio = this.#done.bytes > 0 ? this.#done.wire / this.#done.bytes : usualRatio;
    const small = tables * Math.max(0.001, this.#small.cost ?? smallSeconds);
    return price === null ? small : small + (bytes / ratio) * price.perByte + rows * price.perRow;
  }

  #start(state: TableState, number: number, at: number): PartState | undefined {
    const planned = state.waiting.get(number);
    if (planned === undefined) return undefined;
    state.waiting.delete(number);
    state.left.bytes -= planned.bytes;
    state.left.rows -= planned.rows;
    const part = { ...planned, copiedRows: 0, copiedBytes: 0, through: 0, startedAt: at, lastAt: at };
    if (state.copying === noParts) state.copying = new Map();
    state.copying.set(number, part);
    return part;
  }

  #learn(
    state: TableState,
    part: PartState,
    now: { seconds: number; before: number; copied: boolean; at: number },
  ): void {
    const through = Math.max(0, part.through - now.before);
    if (part.bytes > smallBytes) {
      state.speed.add(now.seconds * this.#share, through, now.at);
      return;
    }
    // Small tables that travel together are copied when the last of them is: till then they only wait.
    const waited = now.copied && now.before > 0;
    const share = part.bytes > 0 ? through / part.bytes : Number(now.copied);
    this.#small.add(waited ? 0 : now.seconds * this.#share, share, now.at);
  }

  #ratio(state: TableState): number {
    const { done } = state.done.bytes > 0 ? state : { done: this.#done };
    return done.bytes > 0 ? done.wire / done.bytes : usualRatio;
  }

  /** What is left of a table: seconds of one of all workers, and what will come. */
  #left(state: TableState, price: Price | null): TableLeft {
    const { waiting, copying, done, left } = state;
    const open = [...copying.values()].map((part) => Math.max(part.bytes - part.through, part.bytes * 0.01));
    const opened = open.reduce((sum, bytes) => sum + bytes, 0);
    const own = state.speed.seconds > 0.2 && (done.parts > 0 || state.speed.seconds > 1) ? state.speed.cost : null;
    const cost = own ?? (price === null ? null : price.perByte + price.perRow * densityOf(state));
    const small = left.largest <= smallBytes;
    const seconds = small
      ? waiting.size * Math.max(0.001, this.#small.cost ?? smallSeconds)
      : cost === null
        ? null
        : (left.bytes + opened) * cost;
    const bytes = left.bytes + opened;
    const ratio = this.#wireRatio(state);
    const density = done.bytes > 0 ? done.rows / done.bytes : null;
    const rows =
      density === null
        ? left.rows + [...copying.values()].reduce((sum, part) => sum + Math.max(0, part.rows - part.copiedRows), 0)
        : density * bytes;
    const largest = (Math.max(waiting.size > 0 ? left.largest : 0, ...open) * (cost ?? 0)) / this.#share;
    return { seconds, wire: bytes * ratio, rows, largest: small ? 0 : largest, kept: state.kept * (cost ?? 0) };
  }

  #wireRatio(state: TableState): number {
    if (state.done.bytes > 0) return this.#ratio(state);
    const parts = [...state.copying.values()];
    const through = parts.reduce((sum, part) => sum + part.through, 0);
    const wire = parts.reduce((sum, part) => sum + part.copiedBytes, 0);
    return through > smallBytes ? wire / through : this.#ratio(state);
  }

  #load(left: readonly TableLeft[], now: { readonly bytes: number; readonly pace: Rates }): number {
    const { workers, partsPerTable, throttle } = this.#limits;
    const all = left.reduce((sum, each) => sum + (each.seconds ?? 0), 0) / workers;
    const ofOne = Math.min(this.#working, partsPerTable) * this.#share;
    const longest = left.reduce((most, each) => Math.max(most, (each.seconds ?? 0) / ofOne, each.largest), 0);
    const free = Math.max(all, longest);
    if (throttle === null) return free;
    const held = now.bytes / throttle;
    // Where the limit holds the workers up, their own speed says nothing.
    return now.pace.bytesPerSecond > 0.75 * throttle ? held : Math.max(free, held);
  }

  #pace(at: number): Rates {
    this.#samples.push({ at, rows: this.#rows, bytes: this.#bytes });
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? at) <= at - rateWindowMs) this.#samples.shift();
    const [first] = this.#samples;
    const seconds = first === undefined ? 0 : (at - first.at) / 1_000;
    // What comes, comes in lumps: after a moment without one it is too early to say that nothing comes any more.
    const early = seconds < leastWindowSeconds && this.#bytes <= (first?.bytes ?? 0);
    if (first === undefined || seconds < 0.2 || early) return this.#lastPace;
    this.#lastPace = {
      rowsPerSecond: Math.max(0, this.#rows - first.rows) / seconds,
      bytesPerSecond: Math.max(0, this.#bytes - first.bytes) / seconds,
    };
    return this.#lastPace;
  }

  #reckonFrom(at: number): void {
    this.#samples = [{ at, rows: this.#rows, bytes: this.#bytes }];
  }
}

interface TableLeft {
  /** Null: nothing is known of any table. */
  readonly seconds: number | null;
  readonly wire: number;
  readonly rows: number;
  readonly largest: number;
  /** Seconds of one worker that were spent before. */
  readonly kept: number;
}
