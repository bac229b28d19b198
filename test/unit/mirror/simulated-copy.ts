// A copy in a time of its own: workers take jobs as the real ones do, at speeds that the estimator is not told of.
import { CopyTally } from '../../../src/mirror/copy-tally.ts';
import type { LaterObject } from '../../../src/mirror/finish-tally.ts';
import type { ObjectLine } from '../../../src/mirror/object.ts';
import { type Job, makeJobs, type Part } from '../../../src/snapshot/plan.ts';
import { JobQueue } from '../../../src/snapshot/queue.ts';
import { WorkerCount } from '../../../src/snapshot/worker-count.ts';

export interface SimulatedTable {
  readonly name: string;
  readonly parts: number;
  readonly rows: number;
  readonly bytes: number;
  /** Of the statistics to the truth. */
  readonly rowsTold?: number;
  /** Bytes on the wire per byte on the disk. */
  readonly wire?: number;
  readonly indexes?: readonly { readonly bytes: number; readonly method?: string }[];
}

export interface World {
  readonly tables: readonly SimulatedTable[];
  readonly workers?: number;
  readonly partsPerTable?: number;
  /** As many workers bring something, more do not; then as many are at work as a copy itself finds right. Without: all are. */
  readonly cores?: number;
  readonly throttle?: number | null;
  /** Seconds of a worker for a byte of the disk, for a row, for a part. */
  readonly perByte?: number;
  readonly perRow?: number;
  readonly perPart?: number;
  /** Of the speed at a second of the copy. */
  readonly speed?: (second: number) => number;
  /** How much a build takes, of what a byte takes to load. */
  readonly build?: number;
  /** 0 to 1: how much each part's time is off the rule. */
  readonly noise?: number;
  readonly buildNoise?: number;
}

export interface Moment {
  readonly second: number;
  readonly left: number | null;
  readonly bytesTotal: number;
  readonly rowsTotal: number;
}

export interface Simulated {
  readonly total: number;
  readonly bytes: number;
  readonly rows: number;
  /** What was told, each second. */
  readonly moments: readonly Moment[];
}

const step = 0.25;

/** A generator of numbers from 0 to 1 that are the same in each run. */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Busy {
  readonly job: Job;
  at: number;
  /** Share of the part. */
  share: number;
  cost: number;
}

export function simulate(world: World, seed = 1): Simulated {
  const random = dice(seed);
  const {
    workers = 4,
    partsPerTable = 4,
    throttle = null,
    noise = 0.2,
    buildNoise = 0.05,
    speed = () => 1,
    build = 1,
  } = world;
  const { perByte = 6e-9, perRow = 6e-7, perPart = 0.004 } = world;
  const limits = { workers, partsPerTable, builders: workers, throttle };
  const tally = new CopyTally(limits);
  const byName = new Map(world.tables.map((table) => [table.name, table]));
  const jobs = makeJobs(world.tables.map(partsOf));
  const queue = new JobQueue(jobs, { tables: workers, partsPerTable });
  const count = world.cores === undefined ? null : new WorkerCount(workers, 1_000_000, { small: false, tables: 2 });
  let wanted = count?.wanted ?? workers;
  if (count !== null) tally.workers(wanted);
  const later = world.tables.flatMap(laterOf);
  tally.later(later, []);
  const ms = (second: number) => 1_000_000 + second * 1_000;
  for (const table of world.tables) {
    tally.planned(
      table.name,
      partsOf(table).map(({ number, rows, bytes }) => ({ part: number, rows, bytes })),
      ms(0),
    );
  }
  const moments: Moment[] = [];
  const busy: (Busy | null)[] = Array.from({ length: workers }, () => null);
  const truth = (part: Part) => {
    const table = byName.get(part.mapping.from.name)!;
    return { rows: table.rows / table.parts, wire: (table.bytes / table.parts) * (table.wire ?? 0.9) };
  };
  const costOf = (part: Part) => {
    const off = 1 + noise * (2 * random() - 1);
    return (perPart + part.bytes * perByte + truth(part).rows * perRow) * off;
  };
  let second = 0;
  let bytes = 0;
  let rows = 0;
  const tell = (part: Part, share: number, state: 'copying' | 'copied', at: number) => {
    const { rows: all, wire } = truth(part);
    tally.part(part.mapping.from.name, part.number, {
      ...{ state, rows: Math.round(all * share), bytes: Math.round(wire * share), at: ms(at) },
    });
  };
  const look = () => {
    if (second < moments.length) return;
    const now = tally.estimate(ms(second));
    moments.push({
      second,
      left: now === null ? null : now.loadSecondsLeft + now.finishSecondsLeft,
      bytesTotal: now?.bytesTotal ?? 0,
      rowsTotal: now?.rowsTotal ?? 0,
    });
  };
  while (queue.left > 0 || busy.some((each) => each !== null)) {
    const active = busy.filter((each) => each !== null).length || 1;
    let allowed = throttle === null ? Number.POSITIVE_INFINITY : (throttle * step) / active;
    const pace = Math.min(1, (world.cores ?? workers) / active);
    for (let worker = 0; worker < workers; worker++) {
      let time = step * speed(second) * pace;
      let budget = allowed;
      while (time > 0 && budget > 0) {
        let mine = busy[worker] ?? null;
        if (mine === null) {
          const job = worker < wanted ? queue.take() : undefined;
          if (job === undefined) break;
          mine = { job, at: 0, share: 0, cost: costOf(job.parts[0]!) };
          busy[worker] = mine;
          tell(job.parts[0]!, 0, 'copying', second + step - time / (speed(second) * pace));
        }
        const part = mine.job.parts[mine.at]!;
        const { wire } = truth(part);
        const share = Math.min(1 - mine.share, time / mine.cost, wire > 0 ? budget / wire : 1);
        time -= share * mine.cost;
        count?.passed(share * wire);
        budget -= share * wire;
        mine.share += share;
        const at = second + step - Math.max(0, time) / (speed(second) * pace);
        if (mine.share < 1 - 1e-9) {
          tell(part, mine.share, 'copying', at);
          break;
        }
        tell(part, 1, 'copying', at);
        bytes += wire;
        rows += truth(part).rows;
        mine.at++;
        mine.share = 0;
        const next = mine.job.parts[mine.at];
        if (next !== undefined) {
          mine.cost = costOf(next);
          tell(next, 0, 'copying', at);
          continue;
        }
        for (const each of mine.job.parts) tell(each, 1, 'copied', at);
        queue.done(mine.job);
        busy[worker] = null;
      }
    }
    allowed = 0;
    second += step;
    if (count !== null) {
      wanted = count.look(ms(second), queue.shareLeft);
      tally.workers(Math.max(wanted, busy.filter((each) => each !== null).length));
    }
    look();
  }
  const total = finish({
    tally,
    later,
    // All builders are at work, each as much slower as they are more than the cores.
    perByte: perByte * Math.max(1, workers / (world.cores ?? workers)),
    build,
    workers,
    random,
    noise: buildNoise,
    from: second,
    ms,
    look: (at) => {
      second = at;
      look();
    },
  });
  return { total, bytes, rows, moments };
}

function partsOf(table: SimulatedTable): readonly Part[] {
  const from = { schema: 'public', name: table.name };
  const mapping = { from, to: from, key: null, exclude: [], where: null };
  return Array.from({ length: table.parts }, (_, number) => ({
    ...{ mapping, number, from, only: true, into: from, range: { kind: 'whole' as const } },
    rows: (table.rows * (table.rowsTold ?? 1)) / table.parts,
    bytes: table.bytes / table.parts,
  }));
}

function laterOf(table: SimulatedTable): readonly LaterObject[] {
  return (table.indexes ?? []).map(({ bytes, method }, n) => ({
    ...{ kind: 'index' as const, schema: 'public', name: `${table.name}_${n}`, table: table.name },
    ...{ bytes, tableBytes: table.bytes, method: method ?? 'btree' },
  }));
}

interface Finishing {
  readonly tally: CopyTally;
  readonly later: readonly LaterObject[];
  readonly perByte: number;
  readonly build: number;
  readonly workers: number;
  readonly random: () => number;
  readonly noise: number;
  readonly from: number;
  readonly ms: (second: number) => number;
  readonly look: (second: number) => void;
}

function finish(world: Finishing): number {
  const { tally, ms } = world;
  const line = (object: LaterObject, more: Partial<ObjectLine>): ObjectLine => {
    const { kind, schema, name, table, bytes } = object;
    return { kind, schema, name, table, bytes, stage: 'indexes', state: 'waiting', ...more };
  };
  tally.objects(
    world.later.map((object) => line(object, {})),
    ms(world.from),
  );
  const left = world.later.toSorted((a, b) => b.bytes - a.bytes);
  const making: { object: LaterObject; cost: number; done: number }[] = [];
  const costs = (object: LaterObject) => {
    const work = 0.05 * object.tableBytes + (object.method === 'gin' ? 2.5 : 1) * object.bytes;
    return 0.005 + work * world.perByte * 1.5 * world.build;
  };
  let second = world.from;
  while (left.length > 0 || making.length > 0) {
    while (making.length < world.workers && left.length > 0) {
      const object = left.shift()!;
      const cost = costs(object) * (1 + world.noise * (2 * world.random() - 1));
      making.push({ object, cost, done: 0 });
      tally.objects([line(object, { state: 'making' })], ms(second));
    }
    for (const each of [...making]) {
      each.done += step;
      // What takes less than a step: several in one.
      for (
        let over = each.done - each.cost;
        over > 0 && left.length > 0 && costs(left[0]!) <= over;
        over -= costs(left.shift()!)
      ) {
        tally.objects([line(left[0]!, { state: 'making' })], ms(second));
        tally.objects([line(left[0]!, { state: 'created' })], ms(second + costs(left[0]!)));
      }
      const share = each.done / each.cost;
      const scanning = { doing: 'building index: scanning table', percent: Math.floor(share * 200) };
      const loading = { doing: 'building index: loading tuples in tree', percent: Math.floor((share - 0.7) * 333) };
      const phase = share < 0.5 ? scanning : share < 0.7 ? { doing: 'building index: sorting live tuples' } : loading;
      if (share < 1) tally.objects([line(each.object, { state: 'making', ...phase })], ms(second));
      else {
        tally.objects([line(each.object, { state: 'created' })], ms(second + step));
        making.splice(making.indexOf(each), 1);
      }
    }
    second += step;
    world.look(second);
  }
  return second;
}
