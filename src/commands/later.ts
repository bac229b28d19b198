// Statements whose engines are not built in: their options are checked all the same, then they name themselves.
import { SluiceError } from '../base/errors.ts';
import { readOptions } from '../base/options.ts';
import { cutoverOptions, readMirrorChanges, resyncOptions } from '../mirror/options.ts';
import type { AlterMirror, CutoverMirror, ResyncMirror } from '../sql/statement.ts';

/** `0A000` that names the statement. */
export function notBuilt(tag: string): SluiceError {
  return new SluiceError('unsupported', `${tag} is not supported by this version of Sluice`);
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

/** @throws `invalid_option`, else `unsupported` */
export function refuseAlter({ change }: AlterMirror): never {
  if (change.kind === 'set') readMirrorChanges(change.options);
  const words = { add_tables: 'ADD TABLE', drop_tables: 'DROP TABLE', set: 'SET', retry: 'RETRY' } as const;
  throw notBuilt(`ALTER MIRROR … ${words[change.kind]}`);
}
