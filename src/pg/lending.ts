// A socket that lends its bytes: it reads into the same memory again and again, where Node would take new memory for each read.
import { Socket } from 'node:net';

/** Who reads from a lending socket. */
export interface Borrower {
  /**
   * Gets bytes that are lent until it returns. False: some of them are still being used; the socket reads no more before it
   * is given back what it lent.
   * @param filled the socket may have more at once
   */
  borrow(bytes: Buffer, filled: boolean): boolean;
  /** Whether more is expected. */
  readonly expecting: boolean;
}

/** What belongs to a lending socket. */
export interface Lending {
  /** From here on there are no `data` events; undefined: there are again. */
  lendTo(borrower: Borrower | undefined): void;
  /** The borrower needs nothing of it any more: the socket reads on. */
  giveBack(): void;
}

// Enough for most answers to small questions, and what an idle connection keeps.
const smallBytes = 2_048;
// Who has more to say gets this while it speaks.
const largeBytes = 262_144;
const mostSpare = 32;
const spare: Buffer<ArrayBuffer>[] = [];
const lendings = new WeakMap<object, Lending>();

/** A socket not yet connected. Until its bytes are lent it has `data` events as any other. */
export function lendingSocket(): Socket {
  let borrower: Borrower | undefined;
  let block = Buffer.allocUnsafeSlow(smallBytes);
  let filled = false;
  /** Lent out, and to be used again when it is given back. */
  let lent: Buffer<ArrayBuffer> | undefined;
  let goesOn = true;
  const nextBlock = () => {
    const isLarge = block.length === largeBytes;
    if (filled && !isLarge) block = spare.pop() ?? Buffer.allocUnsafeSlow(largeBytes);
    else if (isLarge && borrower?.expecting === false) {
      if (goesOn) keep(block);
      else lent = block;
      block = Buffer.allocUnsafeSlow(smallBytes);
    }
    return block;
  };
  const callback = (count: number) => {
    const bytes = block.subarray(0, count);
    filled = count === block.length;
    goesOn = true;
    if (borrower !== undefined) goesOn = borrower.borrow(bytes, filled);
    else socket.emit('data', Buffer.from(bytes));
    return goesOn;
  };
  const socket = new Socket({ onread: { buffer: nextBlock, callback } } as ConstructorParameters<typeof Socket>[0]);
  lendings.set(socket, {
    lendTo(given) {
      borrower = given;
    },
    giveBack() {
      if (lent !== undefined) keep(lent);
      lent = undefined;
      socket.resume();
    },
  });
  return socket;
}

/** Of a socket that `lendingSocket` made. */
export function lendingOf(stream: object): Lending | undefined {
  return lendings.get(stream);
}

function keep(block: Buffer<ArrayBuffer>): void {
  if (spare.length < mostSpare) spare.push(block);
}
