// One table of a copy: what it has done and how fast, what that costs, and what is left. Pure: time is handed in.

export interface TalliedPart {
  readonly part: number;
  readonly rows: number;
  /** What it takes on the source's disk. */
  readonly bytes: number;
}

export interface Pace {
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
}

// Speeds are rather those of late, as beginnings are slow and a machine's load changes; of a long copy, those of a longer while.
const leastMemoryMs = 15_000;
const mostMemoryMs = 600_000;
const memoryShare = 0.3;
// A row costs about as much as that many bytes, whatever is in it; until tables with wide and narrow rows have told how many.
const usualBytesPerRow = 100;
const mostBytesPerRow = 1_000;

export interface PartState extends TalliedPart {
  copiedRows: number;
  copiedBytes: number;
  /** Of `bytes`, how much is through. */
  through: number;
  startedAt: number;
  lastAt: number;
}

// Of ten thousand tables nearly all wait or are copied: each would hold two of its own that are empty. Nothing is put into it.
export const noParts = new Map<number, never>();

/** Rows, and bytes as they came. */
export interface Came {
  readonly rows: number;
  readonly bytes: number;
  /** Whether it came before this copy went on: how long that took nobody knows. */
  readonly earlier?: boolean;
}

export interface TableState {
  waiting: Map<number, TalliedPart>;
  copying: Map<number, PartState>;
  /** Parts that are copied: what they took on the disk, and what came. */
  done: { bytes: number; wire: number; rows: number; estimated: number; parts: number };
  /** Bytes of parts that were copied before. */
  kept: number;
  /** Of those that wait. */
  left: { bytes: number; rows: number; largest: number };
  speed: Speed;
}

/** Seconds of a worker and what it did in them, of which the past counts less and less. */
export class Speed {
  seconds = 0;
  work = 0;
  #at: number;
  readonly #beganAt: number;

  constructor(at: number) {
    this.#at = at;
    this.#beganAt = at;
  }

  add(seconds: number, work: number, at: number): void {
    this.fade(at);
    this.seconds += seconds;
    this.work += work;
  }

  fade(at: number): void {
    const memoryMs = Math.min(mostMemoryMs, Math.max(leastMemoryMs, (at - this.#beganAt) * memoryShare));
    const share = 0.5 ** (Math.max(0, at - this.#at) / memoryMs);
    this.seconds *= share;
    this.work *= share;
    this.#at = at;
  }

  /** As if it were long ago: what comes now counts, and until then this does. */
  doubt(): void {
    this.seconds *= 0.02;
    this.work *= 0.02;
  }

  get cost(): number | null {
    return this.work > 0 && this.seconds > 0 ? this.seconds / this.work : null;
  }
}

export interface Rates {
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** All that came of a table, of parts that are copied and of those that are not through. */
export function cameOf({ done, copying }: TableState): Came {
  const parts = [...copying.values()];
  return {
    rows: parts.reduce((sum, part) => sum + part.copiedRows, done.rows),
    bytes: parts.reduce((sum, part) => sum + part.copiedBytes, done.wire),
  };
}

/** Rows per byte of the disk. Until parts have told, the statistics are believed as far as they can be true. */
export function densityOf({ done, left, copying }: TableState): number {
  if (done.bytes > 0) return done.rows / done.bytes;
  const open = [...copying.values()];
  const bytes = left.bytes + open.reduce((sum, part) => sum + part.bytes, 0);
  const rows = left.rows + open.reduce((sum, part) => sum + part.rows, 0);
  return bytes > 0 ? Math.min(rows / bytes, 1 / 28) : 0;
}

export interface Price {
  readonly perByte: number;
  readonly perRow: number;
}

/** What a byte and a row cost, from the tables that were begun: a line through their costs over how narrow their rows are. */
export function priceOf(tables: readonly TableState[]): Price | null {
  const seen = tables.flatMap((state) => {
    const cost = state.speed.cost;
    return cost === null ? [] : [{ cost, density: densityOf(state), weight: state.speed.work }];
  });
  const weights = seen.reduce((sum, each) => sum + each.weight, 0);
  if (weights === 0) return null;
  const mean = (of: (each: (typeof seen)[number]) => number) =>
    seen.reduce((sum, each) => sum + each.weight * of(each), 0) / weights;
  const [density, cost] = [mean((each) => each.density), mean((each) => each.cost)];
  const spread = mean((each) => (each.density - density) ** 2);
  const slope = spread > 0 ? mean((each) => (each.density - density) * (each.cost - cost)) / spread : 0;
  // Of tables that are all alike the line says nothing.
  const said = spread / (spread + (0.3 * density) ** 2 + 1e-12);
  const perByte = Math.max(cost - slope * density, cost * 0.01);
  const bytesPerRow = said * Math.min(mostBytesPerRow, Math.max(0, slope / perByte)) + (1 - said) * usualBytesPerRow;
  const base = cost / (1 + bytesPerRow * density);
  return { perByte: base, perRow: base * bytesPerRow };
}

/**
 * How much of a part that is being copied is through, in bytes of the disk. By the bytes that came, once other parts of the table
 * have told how many come of one on the disk; else by rows, unless what came shows that the statistics are wrong.
 */
export function throughOf(state: TableState, part: PartState, ratio: number): number {
  if (part.bytes === 0) return 0;
  const byBytes = part.copiedBytes / ratio;
  if (state.done.bytes > 0 || part.rows <= 0 || part.copiedRows === 0) return Math.min(byBytes, part.bytes * 0.99);
  const wirePerRow = part.copiedBytes / part.copiedRows;
  const diskPerRow = part.bytes / part.rows;
  // More may come than lies on the disk, which is compressed; much less can only be because the rows are more than we are told.
  const plausible = wirePerRow > diskPerRow * 0.4 && wirePerRow < diskPerRow * 12;
  const through = plausible ? (part.copiedRows / part.rows) * part.bytes : byBytes;
  return Math.min(through, part.bytes * 0.99);
}

/** How fast a table is copied now, from when its parts were begun. */
export function tablePace(
  { state, seconds }: { readonly state: TableState; readonly seconds: number | null },
  at: number,
  share: number,
): Pace {
  const parts = [...state.copying.values()].map((part) => partRate(part, at));
  return {
    rowsPerSecond: parts.reduce((sum, part) => sum + part.rowsPerSecond, 0),
    bytesPerSecond: parts.reduce((sum, part) => sum + part.bytesPerSecond, 0),
    secondsLeft: seconds === null ? null : seconds / share / Math.max(1, parts.length),
  };
}

/** The same for each of its parts that is being copied, by number. */
export function partPaces({ state }: { readonly state: TableState }, at: number): ReadonlyMap<number, Pace> {
  return new Map(
    [...state.copying].map(([number, part]) => {
      const seconds = (at - part.startedAt) / 1_000;
      const left = part.through > 0 ? (seconds * (part.bytes - part.through)) / part.through : null;
      return [number, { ...partRate(part, at), secondsLeft: left }];
    }),
  );
}

function partRate(part: PartState, at: number): Rates {
  const seconds = (at - part.startedAt) / 1_000;
  if (seconds <= 0) return { rowsPerSecond: 0, bytesPerSecond: 0 };
  return { rowsPerSecond: part.copiedRows / seconds, bytesPerSecond: part.copiedBytes / seconds };
}
