// A strict reader of what a server says: every message must be one that the protocol knows, and be well-formed to its last byte.

// https://www.postgresql.org/docs/18/protocol-message-formats.html

export interface Answer {
  /** The message's letter. */
  readonly type: string;
  readonly body: Buffer;
}

/** The fields of an ErrorResponse or NoticeResponse, by letter. */
export type AnswerFields = Readonly<Record<string, string>>;

export class AnswerError extends Error {}

const emptyTypes = new Set(['1', '2', '3', 'n', 'I', 's', 'c']);

/** Takes chunks, gives answers. */
export class AnswerReader {
  #rest: Buffer = Buffer.alloc(0);
  readonly answers: Answer[] = [];
  /** Older ones that are not kept any more. */
  dropped = 0;
  readonly #keep: number;

  /** @param keep how many answers are kept at most (the newest) */
  constructor(keep = 100_000) {
    this.#keep = keep;
  }

  /** The letters of all answers. */
  get types(): string {
    return this.answers.map(({ type }) => type).join('');
  }

  /** Whether the stream stands between two messages. */
  get whole(): boolean {
    return this.#rest.length === 0;
  }

  /** Errors in the order they came. */
  get errors(): readonly AnswerFields[] {
    return this.answers.filter(({ type }) => type === 'E').map(({ body }) => fieldsOf(body));
  }

  /** @throws AnswerError at what no server says */
  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (this.#rest.length - at >= 5) {
      const type = String.fromCharCode(this.#rest[at]!);
      const length = this.#rest.readUInt32BE(at + 1);
      if (!'RKSZCDTENA123nIsctVGHWdv'.includes(type))
        throw new AnswerError(`unknown message type ${JSON.stringify(type)}`);
      if (length < 4 || length > 0x3fffffff) throw new AnswerError(`${type} announces ${length} bytes`);
      if (this.#rest.length - at < length + 1) break;
      const body = this.#rest.subarray(at + 5, at + 1 + length);
      checkBody(type, body);
      this.answers.push({ type, body: Buffer.from(body) });
      if (this.answers.length > this.#keep) {
        this.answers.shift();
        this.dropped += 1;
      }
      at += length + 1;
    }
    this.#rest = this.#rest.subarray(at);
  }
}

function checkBody(type: string, body: Buffer): void {
  const fail = (why: string): never => {
    throw new AnswerError(`${type}: ${why}: ${body.subarray(0, 80).toString('latin1')}`);
  };
  if (emptyTypes.has(type) && body.length > 0) fail('a body where there is none');
  if (type === 'Z' && !(body.length === 1 && 'ITE'.includes(body.toString('latin1')))) fail('no status');
  if ((type === 'C' || type === 'S' || type === 'A') && body.at(-1) !== 0) fail('a string without an end');
  if (type === 'C' && body.indexOf(0) !== body.length - 1) fail('more than one string');
  if (type === 'S' && body.filter((byte) => byte === 0).length !== 2) fail('not two strings');
  if (type === 'T' && columnsEnd(body) !== body.length) fail('columns do not fill it');
  if (type === 'D' && rowEnd(body) !== body.length) fail('values do not fill it');
  if (type === 't' && body.length !== 2 + 4 * body.readUInt16BE(0)) fail('types do not fill it');
  if ((type === 'G' || type === 'H' || type === 'W') && body.length !== 3 + 2 * body.readUInt16BE(1))
    fail('formats do not fill it');
  if (type === 'E' || type === 'N') {
    const fields = fieldsOf(body);
    if (!/^[0-9A-Z]{5}$/.test(fields.C ?? '')) fail('no SQLSTATE');
    if (fields.M === undefined || fields.S === undefined) fail('no severity or message');
    if (fields.C === 'XX000' && fields.R === undefined) fail('an internal error of the gateway');
  }
}

function columnsEnd(body: Buffer): number {
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    const end = body.indexOf(0, at);
    if (end < 0) return -1;
    at = end + 1 + 18;
  }
  return at;
}

function rowEnd(body: Buffer): number {
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    if (at + 4 > body.length) return -1;
    const length = body.readInt32BE(at);
    if (length < -1) return -1;
    at += 4 + Math.max(0, length);
  }
  return at;
}

/** @throws AnswerError if they are not closed as they must be */
export function fieldsOf(body: Buffer): AnswerFields {
  const fields: Record<string, string> = {};
  let at = 0;
  while (body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (at >= body.length || end < 0) throw new AnswerError('fields without an end');
    fields[String.fromCharCode(body[at]!)] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  if (at !== body.length - 1) throw new AnswerError('something behind the fields');
  return fields;
}
