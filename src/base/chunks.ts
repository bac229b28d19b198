// Cuts a list into helpings of some size.

/** Lists of `size` items in the list's order; the last may be shorter. */
export function chunksOf<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  const chunks: (readonly T[])[] = [];
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}
