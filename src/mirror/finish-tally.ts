// What is to be made after the load and how fast it goes, so that its time can be told before the first index is begun. Pure.
import { digest } from '../base/digests.ts';
import { type ObjectLine, type ObjectName, type ObjectState, objectKey, objectStages } from './object.ts';

/** An object that the source tells of before the load. */
export interface LaterObject extends ObjectName {
  /** Of an index, as it is on the source; 0 for others. */
  readonly bytes: number;
  /** Of the table that is read for it; 0 where none is. */
  readonly tableBytes: number;
  /** Access method of an index. */
  readonly method: string | null;
}

// How much longer than a btree an index of the same size takes to build.
const methodFactor: Readonly<Record<string, number>> = { gin: 2.5, gist: 5, spgist: 4, hash: 5 };
// Work per byte of the table that is read, beside that of a byte of a btree, which is 1.
const readWork = 0.05;
const checkWork = 0.03;
const foreignKeyWork = 0.1;
const fillWork = 1.5;
// A builder's seconds for one unit of work, per a worker's for one byte of the load; and where the load does not tell, in seconds.
const perLoad = 1.5;
const usualCost = 2e-8;
// That much of the work must be done before its own speed counts as much as the guess.
const trustAfter = 0.05;
// What is being built tells less than what is: how much of it a phase is, we only guess.
const doubt = 0.3;
// ANALYZE reads a sample: so many bytes of a table at most, here and there.
const mostSampled = 256 * 1024 * 1024;
const sampleWork = 0.15;
const smallWork = 1024 * 1024;
const smallSeconds = 0.005;

interface Item {
  readonly work: number;
  /** What is made side by side with it. */
  readonly stage: string;
  /** Whether it is made before the tables are analyzed. */
  readonly early: boolean;
  /** Whether it is made in one go, so that its time tells how fast it goes. */
  readonly tells: boolean;
  state: ObjectState;
  startedAt: number | null;
  seconds: number;
  /** As the server says of an index build. */
  share: number | null;
}

export interface FinishLeft {
  readonly seconds: number;
  readonly made: number;
  readonly total: number;
}

/** ANALYZE of all tables, which is no object and has no line: it goes before the foreign keys. */
interface Analysis {
  readonly work: number;
  readonly tables: number;
  startedAt: number | null;
  over: boolean;
}

const beforeForeignKeys: ReadonlySet<string> = new Set(objectStages.slice(0, objectStages.indexOf('foreign keys')));

/** Objects of one kind that each take next to no time, and about as long as each other: they are counted, not held. */
interface SmallOnes {
  readonly stage: string;
  readonly early: boolean;
  /** Of all; and of those that are not over, with how many there are. */
  work: number;
  workLeft: number;
  left: number;
}

export class FinishTally {
  readonly #items = new Map<string, Item>();
  readonly #groups: SmallOnes[] = [];
  readonly #groupNumbers = new Map<string, number>();
  /** By digest of the key: twice the number of the group, and one if it is over. */
  readonly #small = new Map<string, number>();
  #smallMade = 0;
  #analysis: Analysis | null = null;

  later(objects: readonly LaterObject[]): void {
    for (const object of objects) {
      const key = objectKey(object);
      if (!this.#items.has(key) && !this.#small.has(digest(key))) this.#add(key, object, workOf(object));
    }
  }

  #add(key: string, name: ObjectName, work: number): void {
    if (work >= smallWork) {
      this.#items.set(key, item(name, work));
      return;
    }
    const { stage, early } = item(name, work);
    // Those that differ by a factor of two at most are taken for alike.
    const size = `${stage} ${early} ${Math.ceil(Math.log2(work + 1))}`;
    let number = this.#groupNumbers.get(size);
    if (number === undefined) {
      number = this.#groups.push({ stage, early, work: 0, workLeft: 0, left: 0 }) - 1;
      this.#groupNumbers.set(size, number);
    }
    const group = this.#groups[number];
    if (group === undefined) return;
    group.work += work;
    group.workLeft += work;
    group.left++;
    this.#small.set(digest(key), number * 2);
  }

  #moveSmall(key: string, over: boolean): boolean {
    const short = digest(key);
    const code = this.#small.get(short);
    if (code === undefined) return false;
    const group = this.#groups[code >> 1];
    if (group === undefined || over === (code % 2 === 1)) return true;
    const one = group.left > 0 ? group.workLeft / group.left : 0;
    group.left += over ? -1 : 1;
    group.workLeft = group.left === 0 ? 0 : group.workLeft + (over ? -one : one);
    this.#smallMade += over ? 1 : -1;
    this.#small.set(short, code + (over ? 1 : -1));
    return true;
  }

  /** Tables that will be analyzed, by their bytes. */
  analyzed(tables: readonly number[]): void {
    const work = tables.reduce((sum, bytes) => sum + Math.min(bytes, mostSampled) * sampleWork, 0);
    this.#analysis = { work, tables: tables.length, startedAt: null, over: false };
  }

  /** Lines of the ledger, as they come. */
  objects(lines: readonly ObjectLine[], at: number): void {
    for (const line of lines) {
      if (line.stage === 'before') continue;
      const begins = line.state === 'making' || line.state === 'created';
      if (this.#analysis !== null && begins && !beforeForeignKeys.has(line.stage)) this.#analysis.over = true;
      const key = objectKey(line);
      // Held back until the mirror no longer follows: nobody waits for it.
      const state = line.state === 'waiting' && line.reason !== undefined ? 'left_out' : line.state;
      if (!this.#items.has(key) && !this.#small.has(digest(key))) this.#add(key, line, workOfLine(line));
      if (this.#moveSmall(key, isOver(state))) continue;
      const known = this.#items.get(key);
      if (known === undefined) continue;
      if (line.state === 'making') {
        known.startedAt ??= at;
        known.share = shareOf(line.doing, line.percent) ?? known.share;
      } else if (known.startedAt !== null && known.state === 'making') {
        known.seconds = (at - known.startedAt) / 1_000;
      }
      known.state = state;
    }
  }

  /**
   * @param how.loadCost a worker's seconds for a byte of the load; null: not known, or not the machine's own
   */
  left(at: number, how: { readonly builders: number; readonly loadCost: number | null }): FinishLeft {
    const items = [...this.#items.values()];
    const smallWorks = this.#groups.reduce((sum, { work }) => sum + work, 0);
    const cost = costOf(items, { loadCost: how.loadCost, smallWorks }, at);
    const stages = new Map<string, { seconds: number; longest: number }>();
    const add = (stage: string, left: number, longest: number) => {
      const before = stages.get(stage) ?? { seconds: 0, longest: 0 };
      stages.set(stage, { seconds: before.seconds + left, longest: Math.max(before.longest, longest) });
    };
    let made = this.#smallMade;
    for (const each of items) {
      if (isOver(each.state)) {
        made++;
        continue;
      }
      const left = secondsLeft(each, cost, at);
      add(each.stage, left, left);
    }
    for (const { stage, workLeft, left } of this.#groups) {
      if (left === 0) continue;
      const one = Math.max((workLeft / left) * cost, smallSeconds);
      add(stage, left * one, one);
    }
    // One stage after another, each by all builders; what takes longest holds its stage up.
    const seconds = [...stages.values()].reduce(
      (sum, stage) => sum + Math.max(stage.seconds / how.builders, stage.longest),
      0,
    );
    const total = items.length + this.#small.size;
    return { seconds: seconds + this.#analysisLeft(at, cost, how.builders), made, total };
  }

  #analysisLeft(at: number, cost: number, builders: number): number {
    const analysis = this.#analysis;
    if (analysis === null || analysis.over) return 0;
    const waits =
      this.#groups.some(({ early, left }) => early && left > 0) ||
      [...this.#items.values()].some(({ early, state }) => early && !isOver(state));
    if (!waits) analysis.startedAt ??= at;
    const whole = (analysis.work * cost + analysis.tables * smallSeconds) / builders;
    const now = analysis.startedAt === null ? 0 : (at - analysis.startedAt) / 1_000;
    return Math.max(whole - now, whole * 0.1);
  }
}

function item({ kind }: ObjectName, work: number): Item {
  const tells = kind !== 'unique constraint' && kind !== 'foreign key';
  const early = earlyKinds.has(kind);
  return { work, stage: stageOf(kind), early, tells, state: 'waiting', startedAt: null, seconds: 0, share: null };
}

const earlyKinds: ReadonlySet<ObjectName['kind']> = new Set([
  ...(['primary key', 'index', 'unique constraint', 'exclusion constraint', 'check constraint'] as const),
  ...(['not-null constraint', 'statistics', 'inheritance'] as const),
]);

function stageOf(kind: ObjectName['kind']): string {
  switch (kind) {
    case 'unique constraint':
    case 'exclusion constraint':
      return 'index';
    case 'not-null constraint':
      return 'check constraint';
    default:
      return kind;
  }
}

function isOver(state: ObjectState): boolean {
  return state !== 'waiting' && state !== 'making';
}

function workOf({ kind, bytes, tableBytes, method }: LaterObject): number {
  switch (kind) {
    case 'foreign key':
      return foreignKeyWork * tableBytes;
    case 'check constraint':
    case 'not-null constraint':
      return checkWork * tableBytes;
    // Its query reads we do not know what; it is written like a table.
    case 'materialized rows':
      return fillWork * bytes;
    default:
      return readWork * tableBytes + (methodFactor[method ?? ''] ?? 1) * bytes;
  }
}

// Of an index the ledger has the size of the index; of a constraint that of its table.
function workOfLine({ kind, bytes = 0 }: ObjectLine): number {
  return workOf({ kind, bytes, tableBytes: bytes, method: null, schema: '', name: '', table: '' });
}

function costOf(
  items: readonly Item[],
  { loadCost, smallWorks }: { readonly loadCost: number | null; readonly smallWorks: number },
  at: number,
): number {
  const guess = loadCost === null ? usualCost : loadCost * perLoad;
  const all = items.reduce((sum, each) => sum + each.work, smallWorks);
  let seconds = guess * all * trustAfter;
  let work = all * trustAfter;
  for (const each of items) {
    if (!each.tells) continue;
    const now = each.state === 'making' && each.startedAt !== null ? (at - each.startedAt) / 1_000 : null;
    if (each.seconds > 0 && isOver(each.state)) {
      seconds += each.seconds;
      work += each.work;
    } else if (now !== null && each.share !== null && each.share > 0.05) {
      seconds += now * doubt;
      work += each.work * each.share * doubt;
    }
  }
  return work > 0 ? seconds / work : guess;
}

function secondsLeft(each: Item, cost: number, at: number): number {
  const whole = Math.max(each.work * cost, smallSeconds);
  if (each.state !== 'making' || each.startedAt === null) return whole;
  const now = (at - each.startedAt) / 1_000;
  if (each.share === null) return Math.max(whole - now, whole * 0.1);
  // How long its phases take beside each other differs: its share and its time each tell half. Late, only the share does.
  if (now >= whole) return each.share > 0.1 ? (now * (1 - each.share)) / each.share : whole * 0.5;
  return (whole * (1 - each.share) + (whole - now)) / 2;
}

// https://www.postgresql.org/docs/18/progress-reporting.html#CREATE-INDEX-PHASES
function shareOf(doing: string | undefined, percent: number | undefined): number | null {
  if (doing === undefined) return null;
  const share = (percent ?? 0) / 100;
  // Access methods that tell one phase only.
  if (doing === 'building index') return percent === undefined ? null : share;
  if (/scanning table/.test(doing)) return 0.5 * share;
  if (/sorting/.test(doing)) return 0.55;
  if (/loading tuples/.test(doing)) return 0.7 + 0.3 * share;
  return null;
}
