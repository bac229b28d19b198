// Frames of blocks as ordinary frames: a message of a block has the number of its subtransaction behind its tag, an ordinary one has none.
import { messageOffset } from './apply-walk.ts';
import { readLength, type StreamCommit, tags } from './pgoutput.ts';

/** Bytes of that number. */
export const xidBytes = 4;
/** Where we keep it instead: in the time at which the frame was sent. */
export const xidOffset = 22;

/**
 * Makes a frame of a block an ordinary one where it lies, as most of what comes is such frames: it begins four bytes later, its tag
 * stands where the number's last byte was. Its length stays, so that it ends where the next one, shifted as well, begins; what
 * stands behind its message is read by nobody.
 */
export function shift(buffer: Buffer, at: number): void {
  const to = at + xidBytes;
  for (let i = 0; i < xidBytes; i++) buffer[to + xidOffset + i] = buffer[at + messageOffset + 1 + i]!;
  buffer[to + messageOffset] = buffer[at + messageOffset]!;
  for (let i = 4; i > 0; i--) buffer[to + i] = buffer[at + i]!;
  buffer[to] = 0x64;
  buffer[to + 5] = 0x77;
}

/** CopyData: 'd' and length; XLogData: 'w' and three fields of 8 bytes, which nobody reads again; then the message's tag. */
export function writeHead(
  buffer: Buffer,
  at: number,
  { length, tag }: { readonly length: number; readonly tag: number },
): void {
  buffer[at] = 0x64;
  buffer.writeUInt32BE(length - 1, at + 1);
  buffer[at + 5] = 0x77;
  buffer[at + messageOffset] = tag;
}

/** As of a transaction that came after its commit. */
export function beginFrame({ commitLsn, committedAt, xid }: StreamCommit): Buffer {
  const frame = Buffer.alloc(messageOffset + 21);
  writeHead(frame, 0, { length: frame.length, tag: tags.begin });
  frame.writeBigUInt64BE(commitLsn, messageOffset + 1);
  frame.writeBigInt64BE(committedAt, messageOffset + 9);
  frame.writeUInt32BE(xid, messageOffset + 17);
  return frame;
}

/** As of a transaction that came after its commit. */
export function commitFrame({ commitLsn, endLsn, committedAt }: StreamCommit): Buffer {
  const frame = Buffer.alloc(messageOffset + 26);
  writeHead(frame, 0, { length: frame.length, tag: tags.commit });
  frame.writeBigUInt64BE(commitLsn, messageOffset + 2);
  frame.writeBigUInt64BE(endLsn, messageOffset + 10);
  frame.writeBigInt64BE(committedAt, messageOffset + 18);
  return frame;
}

/** Where the last frame that is whole ends. A frame's head may be cut, too. */
export function wholeFrames(chunk: Buffer): number {
  let at = 0;
  while (at + 5 <= chunk.length) {
    const end = at + readLength(chunk, at + 1) + 1;
    if (end > chunk.length) break;
    at = end;
  }
  return at;
}

/** The frames but for those of subtransactions that were rolled back; the chunk is written anew. */
export function without(aborted: ReadonlySet<number>, chunk: Buffer): Buffer {
  if (aborted.size === 0) return chunk;
  let kept = 0;
  for (let at = 0; at < chunk.length; ) {
    const end = at + readLength(chunk, at + 1) + 1;
    if (!aborted.has(chunk.readUInt32BE(at + xidOffset))) {
      chunk.copyWithin(kept, at, end);
      kept += end - at;
    }
    at = end;
  }
  return chunk.subarray(0, kept);
}
