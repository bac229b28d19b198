// Statements whose engines are not built in: their options are checked all the same, then they name themselves.
import { SluiceError } from '../base/errors.ts';
import { readOptions } from '../base/options.ts';
import { cutoverOptions, resyncOptions } from '../mirror/options.ts';
import type { CutoverMirror, MirrorChange, ResyncMirror } from '../sql/statement.ts';

// What to do meanwhile.
const instead: Readonly<Record<string, string>> = {
  'RESYNC MIRROR': 'DROP MIRROR, empty the tables on the target, CREATE MIRROR again.',
  'CUTOVER MIRROR':
    'Stop the writers, wait until durable_lsn of sluice.mirrors has passed pg_current_wal_lsn() of the source, PAUSE MIRROR.',
  'ALTER MIRROR … ADD TABLE': 'Make another mirror for those tables.',
};

/** `0A000` that names the statement. */
export function notBuilt(tag: string): SluiceError {
  const hint = instead[tag] ?? 'docs/limits.md lists what this version does.';
  return new SluiceError('unsupported', `${tag} is not supported by this version of Sluice`, { hint });
}

/** @throws `invalid_option`, else `unsupported` */
export function refuseResync(statement: ResyncMirror): never {
  readOptions('resync', resyncOptions, statement.options);
  throw notBuilt('RESYNC MIRROR');
}

/** @throws `invalid_option`, else `unsupported` */
export function refuseCutover(statement: CutoverMirror): never {
  readOptions('cut-over', cutoverOptions, statement.options);
  throw notBuilt('CUTOVER MIRROR');
}

/** @throws `unsupported` */
export function refuseAlter(change: Extract<MirrorChange, { readonly kind: 'add_tables' | 'drop_tables' }>): never {
  const words = { add_tables: 'ADD TABLE', drop_tables: 'DROP TABLE' } as const;
  throw notBuilt(`ALTER MIRROR … ${words[change.kind]}`);
}
