// A change of the source that does not fit to what the target has: something else wrote there.

export interface Conflict {
  /** `schema.name` of the source's table. */
  readonly table: string;
  readonly change: 'insert' | 'update' | 'delete';
  /** The row is not there; it, or another with a value of it that must be unique, is there already; there are several such rows. */
  readonly kind: 'missing' | 'exists' | 'several';
  /** `(id) = (5)`; null for a table without a key. */
  readonly key: string | null;
}
