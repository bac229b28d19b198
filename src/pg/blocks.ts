// A socket that reads into blocks which its reader gives back. Node takes new memory for each read: that is swept with the heap, and
// 64 MB of it make V8 sweep, however small the heap is.
import { Socket } from 'node:net';

/** What belongs to a socket that `blockSocket` made. */
export interface Blocks {
  /** Whether the last read took all the room that there was: the socket may have more. */
  readonly filled: boolean;
  /** Memory that came before is never read into again. */
  begin(): void;
  /** Memory of what came since `begin` is read into again, but for what is still used. */
  giveBack(isUsed: (memory: ArrayBufferLike) => boolean): void;
}

const blockBytes = 131_072;
// A read has at least that much room: as much as Node gives it.
const leastBytes = 65_536;
// Who keeps more than that leaves the rest to be swept.
const mostKept = 256;
// Of all sockets.
const mostSpare = 96;
const spare: ArrayBuffer[] = [];
const found = new WeakMap<object, Blocks>();

/** A socket not yet connected. It has `data` events as any other, whose bytes stay what they are until they are given back. */
export function blockSocket(): Socket {
  let kept: ArrayBuffer[] = [];
  let block = new ArrayBuffer(blockBytes);
  let used = 0;
  let filled = false;
  let began = false;
  let isOurs = false;
  const nextRoom = () => {
    if (blockBytes - used < leastBytes) {
      if (isOurs) kept.push(block);
      if (kept.length > mostKept) kept.shift();
      block = spare.pop() ?? new ArrayBuffer(blockBytes);
      used = 0;
      isOurs = began;
    }
    return Buffer.from(block, used);
  };
  const callback = (count: number, room: Buffer) => {
    filled = count === room.length;
    used += count;
    socket.emit('data', room.subarray(0, count));
    return true;
  };
  const onread = { buffer: nextRoom, callback };
  const socket = new Socket({ onread } as unknown as ConstructorParameters<typeof Socket>[0]);
  found.set(socket, {
    get filled() {
      return filled;
    },
    begin() {
      began = true;
    },
    giveBack(isUsed) {
      const free = kept.filter((each) => !isUsed(each));
      if (free.length === 0) return;
      kept = kept.filter(isUsed);
      spare.push(...free.slice(0, Math.max(0, mostSpare - spare.length)));
    },
  });
  return socket;
}

/** Of a socket that `blockSocket` made. */
export function blocksOf(stream: object): Blocks | undefined {
  return found.get(stream);
}
