// How far the heap may grow before it is swept: little while tables are copied, more while changes are followed.
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

interface Growth {
  /** That much may come before the next sweep, where it lies between these percents of what lives. */
  readonly bytes: number;
  readonly least: number;
  readonly most: number;
}

// Rows pass in buffers outside of the heap, and what lives in it is small: without a bound V8 lets it grow to several times that
// (a copy of 500 tables held 25 MB and took 190). With a quarter of that alone, a quarter of our processor time went into sweeping.
const copying: Growth = { bytes: 14 * 1024 * 1024, least: 25, most: 100 };
// What is known of a batch lives as long as the batch, a few MB: where 8 MB may come before the next sweep, half of our processor
// time goes into sweeping.
const following: Growth = { bytes: 30 * 1024 * 1024, least: 40, most: 200 };
// What lives is what is left after a sweep: the least of some looks.
const lookEveryMs = 1_000;
const looks = 3;

const holders = { copying: 0, following: 0 };
const seen: number[] = [];
let timer: NodeJS.Timeout | undefined;

/** To be called once, early: from then on the heap is small unless something is followed. */
export function boundHeap(): void {
  setPercent(growthPercent(growth(), getHeapStatistics().used_heap_size));
  if (holders.copying + holders.following > 0) timer ??= setInterval(look, lookEveryMs).unref();
  else {
    clearInterval(timer);
    timer = undefined;
    seen.length = 0;
  }
}

function growth(): Growth {
  return holders.following > 0 && holders.copying === 0 ? following : copying;
}

/** Says what the process does, until it is disposed of. Where mirrors copy and others follow, the copies count. */
export function heapFor(doing: keyof typeof holders): Disposable {
  holders[doing]++;
  boundHeap();
  return {
    [Symbol.dispose]() {
      holders[doing]--;
      boundHeap();
    },
  };
}

function growthPercent({ bytes, least, most }: Growth, liveBytes: number): number {
  return Math.min(most, Math.max(least, Math.round((bytes / liveBytes) * 100)));
}

/** Percent by which a heap may grow while changes are followed, of which so much lives. */
export function followingPercent(liveBytes: number): number {
  return growthPercent(following, liveBytes);
}

/** The same while tables are copied. */
export function copyingPercent(liveBytes: number): number {
  return growthPercent(copying, liveBytes);
}

function look(): void {
  seen.push(getHeapStatistics().used_heap_size);
  if (seen.length > looks) seen.shift();
  setPercent(growthPercent(growth(), Math.min(...seen)));
}

function setPercent(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
