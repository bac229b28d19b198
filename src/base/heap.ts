// How far the heap may grow before it is swept: little while tables are copied, more while changes are followed.
import { setFlagsFromString } from 'node:v8';

// Rows pass in buffers outside of the heap, and what lives in it is small: without a bound V8 lets it grow to several times that
// (a copy of 500 tables held 25 MB and took 190).
const smallPercent = 40;
// What is known of a batch lives as long as the batch, a few MB: with the small bound half of our processor time went into
// sweeping, for 20 MB less.
const largePercent = 150;

const holders = { copying: 0, following: 0 };

/** To be called once, early: from then on the heap is small unless something is followed. */
export function boundHeap(): void {
  const percent = holders.following > 0 && holders.copying === 0 ? largePercent : smallPercent;
  setFlagsFromString(`--heap-growing-percent=${percent}`);
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
