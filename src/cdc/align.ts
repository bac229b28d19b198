// Which column of a table each column of a relation is: the stream names columns in the order of their numbers, not the numbers. Pure.

export interface NamedColumn {
  readonly name: string;
  readonly type: string;
}

/** A column that the relation may have had at its place in the stream. */
export interface Candidate {
  /** Null: it was dropped, and nothing is known of it but that it was. */
  readonly attnum: number | null;
  /** What it was or is called, and what its type was or is. */
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** It has got another name since: it may have had more of them on the way. */
  readonly renamed?: boolean;
  /**
   * `there`: it was there before and is still; `gone`: it was, and is not any more, or came and went; `new`: it was not there
   * before; `silent`: the stream may leave it out.
   */
  readonly when: 'there' | 'gone' | 'new' | 'silent';
}

/** The candidate of each column; `unknown`: none fits; `two ways`: more than one answer is as good. */
export type Alignment = readonly Candidate[] | 'unknown' | 'two ways';

interface Best {
  readonly score: number;
  readonly ways: number;
  /** Of the columns so far, the last one's candidate and what came before it. */
  readonly path: Path | null;
}
interface Path {
  readonly candidate: Candidate;
  readonly before: Path | null;
}

const none: Best = { score: Number.NEGATIVE_INFINITY, ways: 0, path: null };

/**
 * Columns come in the order of their numbers, a column that was there before and is there now was there in between, and one is
 * made after all that have a lower number. Where that leaves a choice, names and types decide.
 * @param candidates in the order of their numbers
 */
export function align(columns: readonly NamedColumn[], candidates: readonly Candidate[]): Alignment {
  // best[i][closed]: the first i columns are placed; closed: a new column was not there yet, so none after it was.
  let best = start(columns.length);
  for (const candidate of candidates) best = step(best, columns, candidate);
  const found = better(best.open[columns.length] ?? none, best.closed[columns.length] ?? none);
  if (found.ways === 0) return 'unknown';
  if (found.ways > 1) return 'two ways';
  const list: Candidate[] = [];
  for (let path = found.path; path !== null; path = path.before) list.unshift(path.candidate);
  return list;
}

interface Row {
  readonly open: Best[];
  readonly closed: Best[];
}

function start(count: number): Row {
  const open: Best[] = Array.from({ length: count + 1 }, () => none);
  open[0] = { score: 0, ways: 1, path: null };
  return { open, closed: Array.from({ length: count + 1 }, () => none) };
}

function step({ open, closed }: Row, columns: readonly NamedColumn[], candidate: Candidate): Row {
  const { when } = candidate;
  const taken = (from: readonly Best[], i: number): Best => {
    const before = from[i - 1];
    const column = columns[i - 1];
    if (before === undefined || column === undefined || before.ways === 0) return none;
    return {
      score: before.score + scoreOf(column, candidate),
      ways: before.ways,
      path: { candidate, before: before.path },
    };
  };
  const next: Row = { open: [], closed: [] };
  for (let i = 0; i <= columns.length; i++) {
    const skippedOpen = when === 'there' || when === 'new' ? none : (open[i] ?? none);
    next.open.push(better(skippedOpen, taken(open, i)));
    const skippedClosed = when === 'there' ? none : (closed[i] ?? none);
    const closing = when === 'new' ? (open[i] ?? none) : none;
    // A column of unknown age may stand among those that were not there yet; it was not there either, then.
    next.closed.push(better(skippedClosed, closing));
  }
  return next;
}

function better(a: Best, b: Best): Best {
  if (a.score !== b.score) return a.score > b.score ? a : b;
  if (a.ways === 0) return b;
  if (b.ways === 0) return a;
  return { ...a, ways: a.ways + b.ways };
}

function scoreOf(column: NamedColumn, { names, types, when, renamed }: Candidate): number {
  // It may have been of that name and type: then there are two ways, if another is.
  if (names.length === 0) return 5;
  const isType = types.includes(column.type);
  // It may have got the name before it went, or had it for a while.
  if ((when === 'gone' || renamed) && isType) return 5;
  return (names.includes(column.name) ? 4 : 0) + (isType ? 1 : 0);
}

/** As `align`, by names alone: for relations whose columns come in no known order or are not all published. */
export function alignByName(columns: readonly NamedColumn[], candidates: readonly Candidate[]): Alignment {
  const found: Candidate[] = [];
  for (const column of columns) {
    const same = candidates.filter((each) => each.names.includes(column.name) && !found.includes(each));
    const exact = same.filter((each) => each.types.includes(column.type));
    const list = exact.length > 0 ? exact : same;
    const [first, second] = list;
    if (first === undefined) return 'unknown';
    if (second !== undefined && first.attnum !== second.attnum) return 'two ways';
    found.push(first);
  }
  return found;
}
