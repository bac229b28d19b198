// What comes next is fetched while something is done about what came before.

/**
 * The same items; the first is asked for at once, each next one when the one before it is taken. One more than the taken one is
 * held, never more. When the caller leaves, what is under way is waited for.
 */
export function oneAhead<T>(items: AsyncIterable<T>): AsyncIterable<T> {
  const source = items[Symbol.asyncIterator]();
  const ask = () => {
    const asked = source.next();
    // Its failure is met where it is waited for.
    asked.catch(() => undefined);
    return asked;
  };
  const first = ask();
  async function* given(): AsyncGenerator<T> {
    let next = first;
    try {
      for (;;) {
        const item = await next;
        if (item.done === true) return;
        next = ask();
        yield item.value;
      }
    } finally {
      await next.catch(() => undefined);
      await source.return?.();
    }
  }
  return given();
}
