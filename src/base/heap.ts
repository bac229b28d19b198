// How far the heap may grow before it is swept: little while tables are copied, more while changes are followed.
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

// Rows pass in buffers outside of the heap, and what lives in it is small: without a bound V8 lets it grow to several times that
// (a copy of 500 tables held 25 MB and took 190).
const copyingPercent = 25;
// What is known of a batch lives as long as the batch, a few MB: where 8 MB may come before the next sweep, half of our processor
// time goes into sweeping.
const followingBytes = 30 * 1024 * 1024;
const leastPercent = 40;
const mostPercent = 200;
// What lives is what is left after a sweep: the least of some looks.
const lookEveryMs = 1_000;
const looks = 10;

const holders = { copying: 0, following: 0 };
const seen: number[] = [];
let timer: NodeJS.Timeout | undefined;

/** To be called once, early: from then on the heap is small unless something is followed. */
export function boundHeap(): void {
  const isFollowing = holders.following > 0 && holders.copying === 0;
  setPercent(isFollowing ? followingPercent(getHeapStatistics().used_heap_size) : copyingPercent);
  if (isFollowing) timer ??= setInterval(look, lookEveryMs).unref();
  else {
    clearInterval(timer);
    timer = undefined;
    seen.length = 0;
  }
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

/** Percent by which a heap may grow, of which so much lives. */
export function followingPercent(liveBytes: number): number {
  return Math.min(mostPercent, Math.max(leastPercent, Math.round((followingBytes / liveBytes) * 100)));
}

function look(): void {
  seen.push(getHeapStatistics().used_heap_size);
  if (seen.length > looks) seen.shift();
  setPercent(followingPercent(Math.min(...seen)));
}

function setPercent(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
