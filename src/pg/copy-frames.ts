// Cuts a server's stream into what CopyData holds and all other messages, wherever the network cuts it. Pure, but for the chunk.

/** Where we are in a server's stream of messages. */
export interface FrameCursor {
  /** Bytes of the present header that were seen, 0 to 5. */
  header: number;
  /** Type byte of the present message. */
  code: number;
  /** Its length as far as read, then the bytes of it still to come. */
  left: number;
}

/** Bytes that belong together: whole or cut messages that all are CopyData, or that all are not. */
export interface FrameRun {
  readonly copyData: boolean;
  /** Of CopyData what the messages hold, one after another; of all else whole messages, with their headers. */
  readonly bytes: Buffer;
  /** Messages that begin in it. */
  readonly frames: number;
}

export const copyData = 0x64; // 'd'
/** Of a message: a type byte and a length of four bytes that counts itself. */
export const headerBytes = 5;

/** The start of a stream, at a message's first byte. */
export function frameCursor(): FrameCursor {
  return { header: 0, code: 0, left: 0 };
}

/**
 * Cuts a chunk where CopyData begins or ends, and moves what its messages hold together, over their headers, **within the chunk**.
 * A message is a type byte and a length of four bytes that counts itself; it may be cut anywhere by the network, also in its
 * header. https://www.postgresql.org/docs/18/protocol-overview.html
 */
export function cutFrames(cursor: FrameCursor, chunk: Buffer): readonly FrameRun[] {
  const runs: FrameRun[] = [];
  let from = 0;
  let at = 0;
  /** Where what the present run holds ends. */
  let end = 0;
  let frames = 0;
  let inCopy = cursor.code === copyData;
  const conclude = () => {
    if (end > from || frames > 0) runs.push({ copyData: inCopy, bytes: chunk.subarray(from, end), frames });
  };
  while (at < chunk.length) {
    if (cursor.header === 0) {
      const code = chunk[at] ?? 0;
      if ((code === copyData) !== inCopy) {
        conclude();
        from = at;
        end = at;
        frames = 0;
        inCopy = code === copyData;
      }
      cursor.code = code;
      frames++;
    }
    at = readHeader(cursor, chunk, at);
    if (cursor.header === headerBytes) {
      const taken = Math.min(cursor.left, chunk.length - at);
      if (inCopy && taken > 0) chunk.copyWithin(end, at, at + taken);
      cursor.left -= taken;
      at += taken;
      if (inCopy) end += taken;
      if (cursor.left === 0) cursor.header = 0;
    }
    if (!inCopy) end = at;
  }
  conclude();
  return runs;
}

function readHeader(cursor: FrameCursor, chunk: Buffer, start: number): number {
  if (cursor.header === 0 && start + headerBytes <= chunk.length) {
    cursor.left = chunk.readUInt32BE(start + 1) - 4;
    cursor.header = headerBytes;
    return start + headerBytes;
  }
  let at = start;
  while (cursor.header < headerBytes && at < chunk.length) {
    const byte = chunk[at++] ?? 0;
    cursor.left = cursor.header <= 1 ? (cursor.header === 0 ? 0 : byte) : cursor.left * 256 + byte;
    cursor.header++;
    if (cursor.header === headerBytes) cursor.left -= 4;
  }
  return at;
}
