// Statements of our own language in a session: whether they may run now, running them, and stopping them.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { CommandContext, CommandResult } from '../commands/result.ts';
import { commandTag, type Statement } from '../sql/statement.ts';
import type { TransactionStatus } from '../wire/backend.ts';
import { noticeResponse } from '../wire/failure.ts';
import type { Client } from '../wire/house.ts';
import { transactionFailed } from './transaction.ts';

/** Runs one statement of our language. @throws SluiceError */
export type RunStatement = (statement: Statement, context: CommandContext) => Promise<CommandResult>;

/** Statements that change nothing, and may therefore run early to learn their columns, and inside a transaction. */
export function changesNothing(statement: Statement): boolean {
  switch (statement.kind) {
    case 'show_peers':
    case 'show_peer':
    case 'show_mirrors':
    case 'show_mirror':
    case 'show_users':
    case 'explain':
    case 'validate_peer':
      return true;
    case 'cutover_mirror':
      return statement.dryRun;
    default:
      return false;
  }
}

export class OwnStatements {
  readonly #run: RunStatement;
  readonly #client: Client;
  #running: AbortController | undefined;

  constructor(run: RunStatement, client: Client) {
    this.#run = run;
    this.#client = client;
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
    const { login, remote, gone, outbox } = this.#client;
    try {
      const signal = AbortSignal.any([running.signal, gone]);
      const result = await this.#run(statement, { user: login.user, remote, signal });
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
