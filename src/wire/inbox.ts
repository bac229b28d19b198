// The frames that a client has sent and nobody has handled yet; what stands between a socket and a session.
import type { SluiceError } from '../base/errors.ts';
import type { Frame } from './frames.ts';

// What a frame costs beside its bytes: a client may send a million that are five bytes long.
const frameCost = 100;

export class Inbox {
  readonly #frames: Frame[] = [];
  readonly #onRoom: () => void;
  #bytes = 0;
  #ended = false;
  #failure: SluiceError | undefined;
  #wake: (() => void) | undefined;
  #arrival: Promise<void> | undefined;
  #express: ((frame: Frame) => boolean) | undefined;

  /** @param onRoom called when frames were taken out: the time to go on reading */
  constructor(onRoom: () => void = () => {}) {
    this.#onRoom = onRoom;
  }

  /** Bytes that wait, with those that keeping them costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What came behind the last frame and was none. */
  get failure(): SluiceError | undefined {
    return this.#failure;
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  push(frame: Frame): void {
    // Whoever waits has seen everything that came before.
    if (this.#express?.(frame)) return;
    this.#frames.push(frame);
    this.#bytes += frame.raw.length + frameCost;
    this.wake();
  }

  /** No more frames; those that wait can still be taken. */
  end(): void {
    this.#ended = true;
    this.wake();
  }

  /** The client has broken the protocol: it is told so when what it asked before is answered. */
  fail(failure: SluiceError): void {
    this.#failure = failure;
    this.end();
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
      this.#bytes -= frame.raw.length + frameCost;
      this.#onRoom();
    }
    return frame;
  }

  /**
   * Resolves at the next frame, end or wake; look again then.
   * @param express may deal with a frame at once, in the turn in which it arrives; one for which it answers true never
   * comes in here. It is asked only while nothing waits.
   */
  arrival(express?: (frame: Frame) => boolean): Promise<void> {
    if (express !== undefined && this.#frames.length === 0) this.#express = express;
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
    this.#express = undefined;
  }
}

/** The way to a client. Bytes that were given to it must not change any more. */
export interface Outbox {
  /** Goes out at the end of this turn. */
  send(bytes: Buffer): void;
  /** Goes out at the next `flush`, or with what is sent before it. */
  add(bytes: Buffer): void;
  /** Hands on to the system what was said so far. */
  flush(): void;
  /** More waits to be sent than a client that reads would leave. */
  readonly full: boolean;
  /** The system has taken all that was said, or nobody is there to read. */
  readonly empty: boolean;
  /** Resolves when everything was sent or nobody is there to read. */
  drained(): Promise<void>;
  /** A message has begun that will never be whole: nothing more can be said, and the connection ends. */
  cut(): void;
}
