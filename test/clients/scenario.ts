// What every client does, step by step, and what must come of it whatever the client's way of showing it.

/** The sums over the big result's rows, as every script forms them: of `i`, in order of `j`, and of the length of `t`. */
function bigSums(rows: number): string {
  let sum = 0;
  let hash = 0;
  let length = 0;
  for (let i = 1; i <= rows; i++) {
    sum += i;
    hash = (hash * 31 + ((i * 7919) % 1_000_003)) % 1_000_000_007;
    length += i % 50;
  }
  return [rows, sum, hash, length].join('|');
}

/** The steps in their order. The transcripts of the two servers are equal; these patterns show that a step did its work. */
export const steps = {
  login: /18/,
  'wrong password': /^28P01$|password authentication failed for user/,
  settings: /UTC/,
  ddl: /CREATE TABLE|DROP TABLE|-1|0|ok/,
  parameters: /42.*O'Reilly \\ ü€.*1\.5.*(t|T|1)/s,
  nulls: /(t|T|1).*NULL/s,
  numeric: /12345678901234567890\.123456789.*NaN/is,
  timestamptz: /34.56.789/,
  json: /ü/,
  bytea: /000100ff5c27/,
  arrays: /1.*3.*b,c/s,
  uuid: /a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11/,
  enum: /happy/,
  types: /./,
  prepared: /1.*4.*9/s,
  counts: /3.*2.*1/s,
  transaction: /0.*(23505|duplicate key).*(25P02|current transaction is aborted).*1/s,
  error: /(22012|division by zero).*(23502|null value).*(42601|syntax error).*1/s,
  multi: /1/,
  cancel: /^(57014|canceling statement due to user request)\|in time\n1$/,
  chunks: new RegExp(bigSums(100_000).replaceAll('|', '\\|')),
  'copy in': /a,b.*q\\?"q/s,
  'copy out': /301.*a,b/s,
  'copy error': /(22P02|invalid input syntax for type integer).*0/s,
  notice: /hello 1/,
  notify: /clients/,
} as const satisfies Readonly<Record<string, RegExp>>;

export type Step = keyof typeof steps;

/** Through Sluice only. */
export const verbs = /42.*(42704|does not exist)/s;
/** Where the client shows tags. */
export const verbTags = /CREATE PEER.*DROP PEER/s;

export interface Transcript {
  /** What each step printed; its lines joined, in the order of the steps. */
  readonly results: ReadonlyMap<string, string>;
  /** As it was printed, for people. */
  readonly text: string;
}

/** Lines of `step<TAB>result`; a step may have several. */
export function readTranscript(text: string): Transcript {
  const results = new Map<string, string>();
  for (const line of text.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab < 0) continue;
    const step = line.slice(0, tab);
    const before = results.get(step);
    results.set(step, (before === undefined ? '' : `${before}\n`) + line.slice(tab + 1));
  }
  return { results, text };
}
