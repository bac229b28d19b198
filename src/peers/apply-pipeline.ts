// Many frames in one go on a connection: written as fast as the server takes them, answered by counts of rows.
import type { Socket } from 'node:net';
import type pg from 'pg';
import { SluiceError, saidBy, toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { FrameWriter } from './apply-frames.ts';
import { reuseFrame } from './staging-copy.ts';

interface RawConnection {
  readonly stream: Socket;
}

// Small frames go together.
const mostGatheredBytes = 48 * 1024;
// What the system has not taken yet.
const mostUnsentBytes = 256 * 1024;

/** A pipeline that the server refused: its error, and how many commands were done before. */
export class PipelineError extends Error {
  readonly done: number;
  readonly error: SluiceError;
  constructor(error: SluiceError, done: number) {
    super(error.message, { cause: error });
    this.name = 'PipelineError';
    this.error = error;
    this.done = done;
  }
}

/**
 * Writes frames of the extended protocol (and of COPY data), then Sync, and gives the count of rows of each command.
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 * @param onDone called as each command is done
 * @throws PipelineError with the first error; the server skips what comes after it
 */
export function runPipeline(
  connection: Connection,
  frames: Iterator<Buffer>,
  onDone?: (command: number) => void,
): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const { lost } = connection;
    const { server } = connection;
    const query = new Pipeline(frames, { resolve, reject, lost, onDone, server });
    connection.client.query(query as unknown as pg.Submittable);
  });
}

interface Outcome {
  resolve(counts: readonly number[]): void;
  reject(error: PipelineError): void;
  readonly lost: AbortSignal;
  readonly onDone: ((command: number) => void) | undefined;
  readonly server: string | undefined;
}

/** What pg calls back while it is the connection's query. */
class Pipeline {
  readonly #frames: Iterator<Buffer>;
  readonly #outcome: Outcome;
  readonly #counts: number[] = [];
  #failed = false;

  constructor(frames: Iterator<Buffer>, outcome: Outcome) {
    this.#frames = frames;
    this.#outcome = outcome;
  }

  submit(connection: RawConnection): void {
    this.#write(connection.stream);
  }

  handleCommandComplete(message: { readonly text: string }): void {
    // `UPDATE 5`, `INSERT 0 5`, `COPY 5`, `BEGIN`
    const last = message.text.slice(message.text.lastIndexOf(' ') + 1);
    this.#counts.push(/^\d+$/.test(last) ? Number(last) : 0);
    this.#outcome.onDone?.(this.#counts.length - 1);
  }

  handleError(error: Error): void {
    this.#failed = true;
    const known = toSluiceError(error);
    const lost = known.kind === 'internal' && this.#outcome.lost.aborted;
    const told = lost
      ? new SluiceError('connection_lost', 'the connection to the target was lost', { cause: error })
      : saidBy(known, this.#outcome.server);
    this.#outcome.reject(new PipelineError(told, this.#counts.length));
  }

  handleReadyForQuery(): void {
    this.#outcome.resolve(this.#counts);
  }

  // COPY begins and rows end without our doing: the data is on its way already.
  handleCopyInResponse(): void {}
  handleEmptyQuery(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}

  #write(socket: Socket): void {
    let gathered = 0;
    socket.cork();
    try {
      // After an error the server skips all up to Sync, so there is no use in sending more.
      while (!this.#failed) {
        const { value, done } = this.#frames.next();
        if (done) break;
        socket.write(value, () => reuseFrame(value));
        gathered += value.length;
        if (gathered < mostGatheredBytes) continue;
        // The server works on these while the next are made; what else we have to do would keep it waiting.
        socket.uncork();
        if (socket.writableLength > mostUnsentBytes) {
          socket.once('drain', () => this.#write(socket));
          return;
        }
        socket.cork();
        gathered = 0;
      }
      const end = new FrameWriter();
      end.sync();
      socket.write(end.take());
    } catch (error) {
      // A defect while frames are made: the server waits in the middle of them.
      socket.destroy();
      this.#outcome.reject(new PipelineError(toSluiceError(error), this.#counts.length));
    } finally {
      socket.uncork();
    }
  }
}
