// From offsets in a JavaScript string to the characters that a Postgres client counts.

/** How many characters (code points) stand in `text` from offset `from` up to `to`; a surrogate pair is one. */
export function countCharacters(text: string, from = 0, to = text.length): number {
  let count = 0;
  for (let offset = from; offset < to; offset += 1) {
    const unit = text.charCodeAt(offset);
    const pair = unit >= 0xd800 && unit <= 0xdbff && offset + 1 < to;
    if (pair) {
      const next = text.charCodeAt(offset + 1);
      if (next >= 0xdc00 && next <= 0xdfff) offset += 1;
    }
    count += 1;
  }
  return count;
}

/**
 * A function from offset (UTF-16) to position (characters from 1) in the client's text.
 * @param before characters of the client's text that stand before `text`
 */
export function positionsIn(text: string, before = 0): (offset: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (offset) => before + offset + 1;
  // Questions come almost in order, so counting goes on from the last answer, back or forth.
  let known = { offset: 0, count: 0 };
  return (offset) => {
    const ahead = offset >= known.offset;
    const between = countCharacters(text, Math.min(offset, known.offset), Math.max(offset, known.offset));
    known = { offset, count: known.count + (ahead ? between : -between) };
    return before + known.count + 1;
  };
}
