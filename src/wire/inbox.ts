// The frames that a client has sent and nobody has handled yet; what stands between a socket and a session.
import type { Frame } from './frames.ts';

export class Inbox {
  readonly #frames: Frame[] = [];
  readonly #onRoom: () => void;
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  #arrival: Promise<void> | undefined;

  /** @param onRoom called when frames were taken out: the time to go on reading */
  constructor(onRoom: () => void = () => {}) {
    this.#onRoom = onRoom;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  push(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.raw.length;
    this.wake();
  }

  /** No more frames; those that wait can still be taken. */
  end(): void {
    this.#ended = true;
    this.wake();
  }

  /** Throws away what waits: nobody is there to hear the answers. */
  clear(): void {
    this.#frames.length = 0;
    this.#bytes = 0;
    this.end();
  }

  peek(): Frame | undefined {
    return this.#frames[0];
  }

  shift(): Frame | undefined {
    const frame = this.#frames.shift();
    if (frame !== undefined) {
      this.#bytes -= frame.raw.length;
      this.#onRoom();
    }
    return frame;
  }

  /** Resolves at the next frame, end or wake; look again then. */
  arrival(): Promise<void> {
    this.#arrival ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#arrival;
  }

  /** Makes whoever waits look again. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
    this.#arrival = undefined;
  }
}

/** The way to a client. */
export interface Outbox {
  send(bytes: Buffer): void;
  /** More waits to be sent than a client that reads would leave. */
  readonly full: boolean;
  /** Resolves when everything was sent or nobody is there to read. */
  drained(): Promise<void>;
}
