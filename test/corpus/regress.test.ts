// Scripts over everything that PostgreSQL's own regression suite is about: through Sluice each answer is the server's, byte for byte.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ClientConfig } from '../../src/pg/client.ts';
import { splitBatch } from '../../src/sql/split.ts';
import { Conversation, type Said, say, show } from '../support/conversation.ts';
import { testGateway } from '../support/relay.ts';
import { testDatabase } from '../support/servers.ts';

const folder = new URL('regress/', import.meta.url);
const scripts = readdirSync(folder)
  .filter((file) => file.endsWith('.sql'))
  .sort();

/** What one message says, and what a COPY in it gets. */
interface Paragraph {
  readonly text: string;
  readonly copy: readonly Buffer[] | undefined;
}

/** A script's paragraphs. Behind `<<<` stands the data of a COPY, whose backslashes are PostgreSQL's. */
function paragraphs(file: string): readonly Paragraph[] {
  const parts = readFileSync(new URL(file, folder), 'utf8').trim().split(/\n\n+/);
  return parts.map((part) => {
    const [text = '', data] = part.split('\n<<<\n');
    if (data === undefined) return { text, copy: undefined };
    const bytes = Buffer.from(`${data}\n`);
    // In pieces that end in the middle of rows.
    return { text, copy: [bytes.subarray(0, 5), bytes.subarray(5)] };
  });
}

type Protocol = 'simple' | 'extended';

/** A text as one Query, or its statements one by one as extended queries. */
function messagesOf(text: string, protocol: Protocol, results: number): readonly Buffer[] {
  if (protocol === 'simple') return [say.query(text)];
  const single = splitBatch(text).map((piece) => piece.text);
  return (single.length === 0 ? [text] : single).map((each) =>
    Buffer.concat([
      say.parse('', each),
      say.describe('S', ''),
      say.bind('', '', { resultFormats: [results] }),
      say.describe('P', ''),
      say.execute(''),
      say.sync,
    ]),
  );
}

/** Two databases differ in the oids of what is made in them, and two sessions in their process and their temporary schema. */
class Masked {
  readonly #oids = new Map<number, number>();

  say({ type, body }: Said): Said {
    switch (type) {
      case 'T':
        return { type, body: this.#columns(Buffer.from(body)) };
      case 't':
        return { type, body: this.#types(Buffer.from(body)) };
      case 'A':
        return { type, body: body.subarray(4) };
      case 'E':
      case 'N':
      case 'D':
        return body.includes('pg_temp_')
          ? { type, body: Buffer.from(body.toString('latin1').replaceAll(/pg_temp_\d+/g, 'pg_temp'), 'latin1') }
          : { type, body };
      default:
        return { type, body };
    }
  }

  /** An oid of this database becomes the number of its first appearance. */
  #oid(body: Buffer, at: number): void {
    const oid = body.readUInt32BE(at);
    if (oid < 16384) return;
    if (!this.#oids.has(oid)) this.#oids.set(oid, 1_000_000 + this.#oids.size);
    body.writeUInt32BE(this.#oids.get(oid)!, at);
  }

  #columns(body: Buffer): Buffer {
    for (let at = 2, left = body.readInt16BE(0); left > 0; left -= 1) {
      at = body.indexOf(0, at) + 1;
      this.#oid(body, at);
      this.#oid(body, at + 6);
      at += 18;
    }
    return body;
  }

  #types(body: Buffer): Buffer {
    for (let at = 2; at < body.length; at += 4) this.#oid(body, at);
    return body;
  }
}

interface Answer {
  readonly text: string;
  readonly said: readonly string[];
}

async function play(config: ClientConfig, protocol: Protocol): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const masked = new Masked();
  for (const script of scripts) {
    await using conversation = await Conversation.open(config);
    let turn = 0;
    for (const { text, copy } of paragraphs(script)) {
      for (const messages of messagesOf(text, protocol, turn % 2)) {
        const said = await conversation.ask(messages, copy);
        answers.push({ text: `${script}: ${text}`, said: said.map((each) => show(masked.say(each))) });
      }
      turn += 1;
    }
  }
  return answers;
}

test('the scripts hold some hundreds of statements', () => {
  const pieces = scripts.flatMap((script) => paragraphs(script).flatMap(({ text }) => splitBatch(text)));
  expect(pieces.length).toBeGreaterThan(500);
});

test.each([
  [14, 'simple'],
  [14, 'extended'],
  [18, 'simple'],
  [18, 'extended'],
] as const)(
  'scripts on PostgreSQL %i, as %s queries, are answered through Sluice as by the server',
  async (major, protocol) => {
    await using direct = await testDatabase(major);
    await using behind = await testDatabase(major);
    await using gateway = await testGateway({ catalog: behind, peers: { behind } });
    const { host, port, user, password, database } = direct;
    const expected = await play({ host, port, user, password, database }, protocol);
    const got = await play(gateway.config('behind') as ClientConfig, protocol);
    const differences = expected.flatMap(({ text, said }, i) => {
      const through = got[i]!.said;
      const at = Array.from({ length: Math.max(said.length, through.length) }).findIndex(
        (_, j) => said[j] !== through[j],
      );
      return at < 0 ? [] : [{ text, direct: said.slice(at, at + 3), through: through.slice(at, at + 3) }];
    });
    expect(differences).toEqual([]);
  },
);
