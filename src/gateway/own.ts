// Statements of our own language in a session: whether they may run now, running them, and stopping them.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Access, CommandContext, CommandResult } from '../commands/result.ts';
import { changesNothing, commandTag, type Statement } from '../sql/statement.ts';
import type { TransactionStatus } from '../wire/backend.ts';
import { noticeResponse } from '../wire/failure.ts';
import type { Client } from '../wire/house.ts';
import { transactionFailed } from './transaction.ts';

/** Runs one statement of our language. @throws SluiceError */
export type RunStatement = (statement: Statement, context: CommandContext) => Promise<CommandResult>;

export interface OwnDeps {
  readonly run: RunStatement;
  readonly client: Client;
  readonly access: Access;
}

export class OwnStatements {
  readonly #deps: OwnDeps;
  #running: AbortController | undefined;

  constructor(deps: OwnDeps) {
    this.#deps = deps;
  }

  /**
   * Runs a statement and tells the client its notices.
   * @throws `wrong_state` 25P02 in a failed transaction, 25001 for a change inside one; `stopped` when it was cancelled
   */
  async run(statement: Statement, status: TransactionStatus): Promise<CommandResult> {
    if (status === 'E') throw transactionFailed();
    if (status === 'T' && !changesNothing(statement)) {
      const tag = commandTag(statement);
      throw new SluiceError('wrong_state', `${tag} cannot run inside a transaction block`, {
        sqlstate: '25001',
        hint: 'Switch autocommit on, or end the transaction first.',
      });
    }
    const running = new AbortController();
    this.#running = running;
    const { run, client, access } = this.#deps;
    const { login, remote, gone, outbox } = client;
    try {
      const signal = AbortSignal.any([running.signal, gone]);
      const result = await run(statement, { user: login.user, access, remote, signal });
      for (const notice of result.notices) outbox.send(noticeResponse(notice));
      return result;
    } catch (error) {
      if (running.signal.aborted && toSluiceError(error).kind === 'stopped') {
        throw new SluiceError('stopped', 'canceling statement due to user request', { cause: error });
      }
      throw error;
    } finally {
      this.#running = undefined;
    }
  }

  cancel(): void {
    this.#running?.abort();
  }
}
