// Statements that follow a change of the schema: tried inside the target's transaction, and written down if they went well.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { type Sql, sql } from '../pg/sql.ts';

// insufficient_privilege: whoever may do it does it.
const forbidden = '42501';

/** What one change of the source has become on the target so far. */
export class Attempts {
  readonly #target: Connection;
  readonly #work: MirrorWork;
  readonly #tag: string;
  /** In words. */
  readonly what: string[] = [];
  readonly statements: string[] = [];

  /** @param of.tag `ALTER TABLE`: what people call the command of the source */
  constructor(of: { readonly target: Connection; readonly work: MirrorWork; readonly tag: string }) {
    this.#target = of.target;
    this.#work = of.work;
    this.#tag = of.tag;
  }

  /** @throws `wrong_state` with the statement, where the target refuses it */
  async run(what: string, statement: Sql): Promise<void> {
    const error = await this.try([statement]);
    if (error !== null) throw this.refused(what, error, [statement.text]);
    this.what.push(what);
  }

  /**
   * All of them or none.
   * @param before runs with them
   * @returns what the target says against them; null: they are done
   */
  async try(statements: readonly Sql[], before: () => Promise<void> = async () => {}): Promise<SluiceError | null> {
    const target = this.#target;
    await target.run(sql`savepoint ddl`);
    try {
      await before();
      for (const statement of statements) await target.run(statement);
      await target.run(sql`release savepoint ddl`);
      this.statements.push(...statements.map(({ text }) => text));
      return null;
    } catch (error) {
      const known = toSluiceError(error);
      if (known.retry === 'backoff' || target.lost.aborted) throw known;
      await target.run(sql`rollback to savepoint ddl`);
      await target.run(sql`release savepoint ddl`);
      return known;
    }
  }

  /** What a person is told who has to run them instead. */
  refused(what: string, error: SluiceError, statements: readonly string[]): SluiceError {
    const run = `On the target run ${statements.join('; ')}; then RESUME MIRROR.`;
    const otherwise = error.sqlstate === forbidden ? '' : ` If it is refused there, too: ${this.#again}`;
    return this.#cannot(what, error, run + otherwise);
  }

  /** As refused, of what is in the way and goes by those statements. */
  inTheWay(what: string, error: SluiceError, statements: readonly string[]): SluiceError {
    return this.#cannot(what, error, `On the target run ${statements.join('; ')}; then RESUME MIRROR.`);
  }

  /** Nothing that a person could run there helps. */
  hopeless(what: string, error: SluiceError): SluiceError {
    return this.#cannot(what, error, this.#again);
  }

  get #again(): string {
    return copyAgain(this.#work.name);
  }

  #cannot(what: string, error: SluiceError, hint: string): SluiceError {
    const said = `a change of the source's schema cannot follow: ${this.#tag} on the source: ${what}: ${error.message}`;
    return new SluiceError('wrong_state', said, {
      detail: error.detail ?? 'Every change of the transactions before is applied.',
      hint,
      cause: error,
    });
  }
}
