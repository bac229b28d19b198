// Which column of a table each column of a relation is: the stream names columns in the order of their numbers, not the numbers. Pure.

export interface NamedColumn {
  readonly name: string;
  readonly type: string;
}

/** A column that the relation may have had at its place in the stream. */
export interface Candidate {
  /** Null: it was dropped, and nothing is known of it but that it was. */
  readonly attnum: number | null;
  /** What it was or is called, and what its type was or is; none: it came and went, and was never seen. */
  readonly names: readonly string[];
  readonly types: readonly string[];
  /** It has got another name, or another type, since: it may have had more of them on the way. */
  readonly renamed?: boolean;
  readonly retyped?: boolean;
  /**
   * `there`: it was there before and is still; `gone`: it was, and is not any more, or came and went; `new`: it was not there
   * before; `silent`: the stream may leave it out.
   */
  readonly when: 'there' | 'gone' | 'new' | 'silent';
}

/** The candidate of each column; `unknown`: none fits; `two ways`: another answer is about as good. */
export type Alignment = readonly Candidate[] | 'unknown' | 'two ways';

/** Of the columns so far, the last one's candidate and what came before it. */
interface Path {
  readonly candidate: Candidate;
  readonly before: Path | null;
}

/** How columns may be placed. `cost`: changes that would have to have come and gone unseen. */
interface Way {
  readonly cost: number;
  readonly path: Path | null;
}

// The best way and the next one, which tells how sure the best is.
type Ways = readonly Way[];
const none: Ways = [];

/**
 * Columns come in the order of their numbers, a column that was there before and is there now was there in between, and one is
 * made after all that have a lower number. Where that leaves a choice, names and types decide; but columns that come, go and get
 * each other's names leave no trace of what they were called in between, so that the best answer must be better by far.
 * @param candidates in the order of their numbers
 * @param of.rewritten the table's rows were written anew since, as most changes of a type do
 */
export function align(
  columns: readonly NamedColumn[],
  candidates: readonly Candidate[],
  of: { readonly rewritten: boolean },
): Alignment {
  // ways[i] closed: the first i columns are placed, and a new column was not there yet, so none after it was.
  let row: Row = start(columns.length);
  for (const candidate of candidates) row = step(row, columns, { candidate, ...of });
  const [best, next] = better(row.open[columns.length] ?? [], row.closed[columns.length] ?? []);
  if (best === undefined) return 'unknown';
  if (next !== undefined && next.cost <= 2 * best.cost + 2) return 'two ways';
  const list: Candidate[] = [];
  for (let path = best.path; path !== null; path = path.before) list.unshift(path.candidate);
  return list;
}

interface Row {
  readonly open: Ways[];
  readonly closed: Ways[];
}

interface Step {
  readonly candidate: Candidate;
  readonly rewritten: boolean;
}

function start(count: number): Row {
  const empty = (): Ways[] => Array.from({ length: count + 1 }, () => none);
  const open = empty();
  open[0] = [{ cost: 0, path: null }];
  return { open, closed: empty() };
}

function step({ open, closed }: Row, columns: readonly NamedColumn[], of: Step): Row {
  const { candidate } = of;
  const { when } = candidate;
  const taken = (i: number): Ways => {
    const column = columns[i - 1];
    const before = open[i - 1] ?? none;
    if (column === undefined || before.length === 0) return none;
    const cost = costOf(column, of);
    return before.map((way) => ({ cost: way.cost + cost, path: { candidate, before: way.path } }));
  };
  const next: Row = { open: [], closed: [] };
  for (let i = 0; i <= columns.length; i++) {
    const skippedOpen = when === 'there' || when === 'new' ? none : (open[i] ?? none);
    next.open.push(better(skippedOpen, taken(i)));
    const skippedClosed = when === 'there' ? none : (closed[i] ?? none);
    const closing = when === 'new' ? (open[i] ?? none) : none;
    // A column of unknown age may stand among those that were not there yet; it was not there either, then.
    next.closed.push(better(skippedClosed, closing));
  }
  return next;
}

function better(a: Ways, b: Ways): Ways {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  return [...a, ...b].toSorted((one, other) => one.cost - other.cost).slice(0, 2);
}

// A change that left no trace; one that cannot well have been.
const unseen = 1;
const unlikely = 4;

function costOf(column: NamedColumn, { candidate, rewritten }: Step): number {
  const { names, types, when, renamed, retyped } = candidate;
  if (names.length === 0) return 0;
  const passing = when === 'gone' || when === 'new';
  let cost = 0;
  // One that is there under one name before and after got another and its old one back.
  if (!names.includes(column.name)) cost += passing || renamed ? unseen : when === 'silent' ? unlikely : 2 * unseen;
  if (!types.includes(column.type)) {
    const possible = rewritten || types.some((type) => sameRows(type, column.type));
    cost += !possible ? unlikely : passing || retyped ? unseen : 2 * unseen;
  }
  return cost;
}

const bare = (type: string) => type.replace(/\([^)]*\)/, '');
const texts = ['text', 'character varying', 'character'];

// Whether one may become the other without that rows are written anew.
function sameRows(a: string, b: string): boolean {
  return bare(a) === bare(b) || (texts.includes(bare(a)) && texts.includes(bare(b)));
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
