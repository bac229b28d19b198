// What the JavaScript clients share: what to ask, and how a line of the transcript is printed.
import { createRequire } from 'node:module';

const env = process.env;
export const schema = env.SCHEMA;
export const things = `${schema}.things`;
export const peer = env.VERBS_PEER;
export const peerOptions = env.VERBS_OPTIONS;

/** Loads a package that `.ci/clients` has installed. */
export const installed = createRequire(`${env.SLUICE_CLIENTS_CACHE}/npm/package.json`);

export const odd = "O'Reilly \\ ü€";
export const digits = '12345678901234567890.123456789';
export const doc = '{"a": [1, 2.50, null], "b": "ü"}';
export const bytes = Buffer.from([0, 1, 0, 255, 92, 39]);
export const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
export const words = ['a', 'b,c', null, 'd"e', ''];
export const big =
  "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";

function show(value) {
  if (value === null || value === undefined) return 'NULL';
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Date) return value.toISOString();
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll('\t', '<tab>').replaceAll('\n', '<newline>');
}

export function say(step, ...values) {
  console.log(`${step}\t${values.map(show).join('|')}`);
}

/** Sees every row of the big result, in order. */
export class Sums {
  rows = 0;
  first = 0;
  hash = 0;
  length = 0;
  add(i, j, t) {
    this.rows += 1;
    this.first += Number(i);
    this.hash = (this.hash * 31 + Number(j)) % 1_000_000_007;
    this.length += t.length;
  }
  say(step = 'chunks') {
    say(step, [this.rows, this.first, this.hash, this.length].join('|'));
  }
}

/** Runs what takes long, and cancels it again and again until it ends. */
export async function cancelled(run, cancel, code) {
  const began = Date.now();
  let outcome;
  const running = run().then(
    () => {
      outcome = 'not cancelled';
    },
    (error) => {
      outcome = code(error);
    },
  );
  while (outcome === undefined) {
    await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 200))]);
    if (outcome === undefined) await cancel();
  }
  return [outcome, Date.now() - began < 10_000 ? 'in time' : 'late'];
}
