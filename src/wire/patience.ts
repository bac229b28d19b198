// How long a client may be silent, and what it reads when it was so for too long.
import { SluiceError } from '../base/errors.ts';
import type { TransactionStatus } from './backend.ts';
import type { Frame } from './frames.ts';
import type { Inbox } from './inbox.ts';

/** Zero: for ever. */
export interface Patience {
  readonly idleTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
}

/**
 * Waits for the next frame, end or wake.
 * @param express as for Inbox.arrival: what it takes is no arrival
 * @returns false if nothing arrived in that time (0: waits for ever)
 */
export async function arrivalWithin(
  inbox: Inbox,
  timeoutMs: number,
  express?: (frame: Frame) => boolean,
): Promise<boolean> {
  if (timeoutMs === 0) {
    await inbox.arrival(express);
    return true;
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  try {
    return await Promise.race([inbox.arrival(express).then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The longer of both; 0: both are for ever. */
export function mostPatience({ idleTimeoutMs, idleInTransactionTimeoutMs }: Patience): number {
  return Math.max(idleTimeoutMs, idleInTransactionTimeoutMs);
}

export function patienceFor(status: TransactionStatus, patience: Patience): number {
  return status === 'I' ? patience.idleTimeoutMs : patience.idleInTransactionTimeoutMs;
}

/** PostgreSQL's words: https://www.postgresql.org/docs/18/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT */
export function idleError(status: TransactionStatus): SluiceError {
  return status === 'I'
    ? new SluiceError('stopped', 'terminating connection due to idle-session timeout', { sqlstate: '57P05' })
    : new SluiceError('stopped', 'terminating connection due to idle-in-transaction timeout', { sqlstate: '25P03' });
}
