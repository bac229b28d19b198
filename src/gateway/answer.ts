// What a command answers, as the messages that a client expects: columns, rows in text or binary, notices, the tag.
import type { CommandResult, ResultColumn, ResultType } from '../commands/result.ts';
import { dataRow, rowDescription } from '../wire/backend.ts';
import type { Outbox } from '../wire/inbox.ts';

// https://www.postgresql.org/docs/18/catalog-pg-type.html
const typeFacts: Readonly<Record<ResultType, { readonly oid: number; readonly size: number }>> = {
  text: { oid: 25, size: -1 },
  int4: { oid: 23, size: 4 },
  int8: { oid: 20, size: 8 },
  float8: { oid: 701, size: 8 },
  bool: { oid: 16, size: 1 },
  timestamptz: { oid: 1184, size: 8 },
};

/** Column formats as Bind gives them: none is all text, one is for all, else one each. */
export function formatOf(formats: readonly number[], column: number): number {
  return formats.length === 1 ? formats[0]! : (formats[column] ?? 0);
}

export function describeColumns(columns: readonly ResultColumn[], formats: readonly number[] = []): Buffer {
  return rowDescription(
    columns.map(({ name, type }, i) => ({
      name,
      typeOid: typeFacts[type].oid,
      typeSize: typeFacts[type].size,
      format: formatOf(formats, i),
    })),
  );
}

/** Sends rows `from` up to `to`; waits where the client does not read. */
export async function sendRows(
  result: CommandResult,
  range: { readonly from: number; readonly to: number; readonly formats: readonly number[] },
  outbox: Outbox,
): Promise<void> {
  const { columns = [], rows = [] } = result;
  for (const row of rows.slice(range.from, range.to)) {
    const values = columns.map((column, i) => encodeValue(row[i] ?? null, column.type, formatOf(range.formats, i)));
    outbox.send(dataRow(values));
    if (outbox.full) await outbox.drained();
  }
}

/** A value from PostgreSQL's text form to the asked format. */
export function encodeValue(value: string | null, type: ResultType, format: number): Buffer | null {
  if (value === null) return null;
  if (format !== 1 || type === 'text') return Buffer.from(value);
  switch (type) {
    case 'int4':
      return sized(4, (bytes) => bytes.writeInt32BE(Number(value)));
    case 'int8':
      return sized(8, (bytes) => bytes.writeBigInt64BE(BigInt(value)));
    case 'float8':
      return sized(8, (bytes) => bytes.writeDoubleBE(Number(value.replace(/infinity/i, 'Infinity'))));
    case 'bool':
      return Buffer.of(value === 't' || value === 'true' ? 1 : 0);
    case 'timestamptz':
      return sized(8, (bytes) => bytes.writeBigInt64BE(microsecondsSince2000(value)));
    default:
      return type satisfies never;
  }
}

function sized(length: number, write: (bytes: Buffer) => unknown): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

const epoch2000Ms = Date.UTC(2000, 0, 1);

/** Of `2026-01-31 12:00:00.123456+00`, the way PostgreSQL prints it under DateStyle ISO. */
function microsecondsSince2000(text: string): bigint {
  const match = /^(.+?)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text);
  const [, seconds = text, fraction = '', zone = 'Z'] = match ?? [];
  const offset = zone.length === 3 ? `${zone}:00` : zone;
  const ms = Date.parse(seconds.replace(' ', 'T') + offset);
  return BigInt(ms - epoch2000Ms) * 1000n + BigInt(fraction.padEnd(6, '0'));
}
