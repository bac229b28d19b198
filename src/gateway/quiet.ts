// What the gateway itself says to a server, of which the client hears nothing.
import { type ServerErrorFields, SluiceError } from '../base/errors.ts';
import { bindMessage, closeMessage, executeMessage, parseMessage, queryMessage } from '../wire/backend.ts';
import { type Asked, asked } from './asked.ts';
import type { Upstream } from './upstream.ts';

/** A statement and a portal that live for one Execute, so that the client's unnamed ones stay what they are. */
export const passing = 'of the gateway';

// So many statements are said one by one at most; thousands of savepoints are not thousands of statements to be prepared.
const mostOneByOne = 100;
const separator = Buffer.from('\n;\n');
const quiet = { quiet: true };

/** Says statements in one go. @returns the questions: one simple query, or extended ones that a Sync has yet to end */
export function askQuietly(upstream: Upstream, texts: readonly Buffer[]): readonly Asked[] {
  if (texts.length > mostOneByOne) {
    const text = Buffer.concat(texts.flatMap((each) => [each, separator]));
    return [upstream.ask(queryMessage(text), asked('query', quiet))];
  }
  // Not as a simple query: that would end the client's unnamed statement.
  return texts.flatMap((text) => [
    // One that failed has left its statement behind.
    upstream.ask(closeMessage('S', passing), asked('close', quiet)),
    upstream.ask(parseMessage(passing, text, Buffer.of(0, 0)), asked('parse', quiet)),
    upstream.ask(bindMessage(passing, passing), asked('bind', quiet)),
    upstream.ask(executeMessage(passing), asked('execute', quiet)),
    upstream.ask(closeMessage('P', passing), asked('close', quiet)),
    upstream.ask(closeMessage('S', passing), asked('close', quiet)),
  ]);
}

/** An error of what was said before the client's message, of which the client must hear: its position is that in another text. */
export function behindHand({ position: _, ...fields }: ServerErrorFields): SluiceError {
  return new SluiceError('upstream', fields.message, { fields });
}

/** Takes what a server has answered; throws what else went wrong. */
export function ignoreRefusal(error: unknown): void {
  if (!(error instanceof SluiceError && error.kind === 'upstream')) throw error;
}
