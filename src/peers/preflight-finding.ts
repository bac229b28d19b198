// What a check before a mirror finds: fine, worth knowing, or in the way, with what to do.
import { type ErrorKind, SluiceError } from '../base/errors.ts';
import type { MirrorOptions } from '../mirror/options.ts';
import type { MirrorWork } from '../mirror/work.ts';

interface Words {
  /** What was looked at: `wal_level`, `source tables`. */
  readonly check: string;
  readonly message: string;
  /** All that it is about, where that is a list. */
  readonly detail?: string | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
}
export type Finding =
  | (Words & { readonly state: 'ok' | 'warning' })
  | (Words & { readonly state: 'error'; readonly kind: ErrorKind });

/** What preflight needs of a mirror that is not made yet; a MirrorWork is one. */
export type MirrorPlan = Pick<MirrorWork, 'name' | 'tables' | 'scope' | 'publication' | 'slot'> & {
  readonly options: Pick<
    MirrorOptions,
    'do_initial_copy' | 'resync' | 'schema' | 'truncate' | 'soft_delete' | 'soft_delete_col_name' | 'synced_at_col_name'
  > &
    Partial<Pick<MirrorOptions, 'schema_changes'>>;
  readonly source?: { readonly metadataSchema: string };
  readonly target: { readonly metadataSchema: string };
};

export function ok(check: string, message: string): Finding {
  return { state: 'ok', check, message };
}

export function warning(check: string, message: string, more: Pick<Words, 'detail' | 'hint'> = {}): Finding {
  return { state: 'warning', check, message, ...more };
}

export function problem(check: string, kind: ErrorKind, more: Omit<Words, 'check'>): Finding {
  return { state: 'error', check, kind, ...more };
}

/** Throws the first error as what it is; the messages of the others stand in its detail. */
export function throwFirstError(findings: readonly Finding[]): void {
  const [first, ...others] = findings.filter((finding) => finding.state === 'error');
  if (first === undefined) return;
  const also = others.map((other) => `Also: ${other.message}.${other.detail === undefined ? '' : ` ${other.detail}`}`);
  const detail = [...(first.detail === undefined ? [] : [first.detail]), ...also].join('\n');
  throw new SluiceError(first.kind, first.message, { detail: detail === '' ? undefined : detail, hint: first.hint });
}
