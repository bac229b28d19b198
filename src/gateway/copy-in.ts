// The client's side of a COPY of a simple query: what it says meanwhile, message by message.
import { frontend } from '../wire/frames.ts';
import type { Inbox } from '../wire/inbox.ts';
import type { Upstream } from './upstream.ts';

/**
 * Hands the next message on.
 * @param session remembers who gets the rest of a CopyData message that has begun
 * @returns whether there was one to take
 */
export async function copyNext(
  upstream: Upstream,
  inbox: Inbox,
  session: { copyTarget: Upstream | undefined },
): Promise<boolean> {
  const frame = inbox.peek();
  if (frame === undefined) {
    if (!inbox.ended) return false;
    // Nobody will wake us again: look at what has become of the upstream now.
    upstream.destroy();
    return true;
  }
  const type = frame.kind === 'copy' ? frontend.copyData : frame.type;
  switch (type) {
    case frontend.copyDone:
    case frontend.copyFail:
      upstream.copyIn = false;
      upstream.send(frame.raw);
      break;
    case frontend.copyData:
      if (frame.kind === 'copy' && frame.begins) session.copyTarget = upstream;
      session.copyTarget?.send(frame.raw);
      break;
    case frontend.flush:
    case frontend.sync:
      break;
    case frontend.terminate:
      upstream.destroy();
      return true;
    default:
      // The message itself is answered after that.
      upstream.breakCopy(type);
      return true;
  }
  inbox.shift();
  await upstream.drained();
  return true;
}
