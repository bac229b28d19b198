// An order in which objects that need each other can be made, and what a few of them need altogether. Pure.

/** Everything that these ids need, directly or not; the ids themselves too. */
export function closure(ids: Iterable<string>, needsOf: (id: string) => Iterable<string>): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    open.push(...needsOf(id));
  }
  return found;
}

/** An item in its turn; `shell`: only so much of it that others can refer to it, the rest comes later. */
export interface Turn {
  readonly id: string;
  readonly part: 'shell' | 'all';
}

/**
 * An order in which each comes after what it needs, else as given. Where some need each other, as many of them as it takes
 * begin with their shell; if that does not break the circle, they come as given, and the server says what is wrong with it.
 */
export function inOrder(
  ids: readonly string[],
  needsOf: (id: string) => Iterable<string>,
  hasShell: (id: string) => boolean,
): readonly Turn[] {
  const all = (id: string): Turn => ({ id, part: 'all' });
  return circles(ids, needsOf).flatMap((circle) => {
    if (circle.length === 1) return circle.map(all);
    const shells: string[] = [];
    const open = ids.filter((id) => circle.includes(id));
    const able = open.filter(hasShell);
    for (;;) {
      const needs = (id: string) => [...needsOf(id)].filter((need) => !shells.includes(need));
      const groups = circles(open, needs);
      const next = groups.every((group) => group.length === 1) ? undefined : able.shift();
      if (next !== undefined) shells.push(next);
      else {
        const given = groups.flatMap((group) => (group.length === 1 ? group : open.filter((id) => group.includes(id))));
        return [...shells.map((id): Turn => ({ id, part: 'shell' })), ...given.map(all)];
      }
    }
  });
}

interface Visit {
  readonly id: string;
  readonly number: number;
  /** The earliest that can be reached from it. */
  low: number;
  readonly rest: string[];
}

/** Those that need each other together, each group after what it needs. Tarjan's, by hand: a chain may be deeper than the stack. */
function circles(ids: readonly string[], needsOf: (id: string) => Iterable<string>): readonly (readonly string[])[] {
  const known = new Set(ids);
  const numbers = new Map<string, number>();
  const pending: string[] = [];
  const isPending = new Set<string>();
  const groups: (readonly string[])[] = [];
  const stack: Visit[] = [];
  const enter = (id: string) => {
    const number = numbers.size;
    numbers.set(id, number);
    pending.push(id);
    isPending.add(id);
    stack.push({ id, number, low: number, rest: [...needsOf(id)].filter((each) => known.has(each)).toReversed() });
  };
  const leave = (visit: Visit) => {
    stack.pop();
    const below = stack.at(-1);
    if (below !== undefined) below.low = Math.min(below.low, visit.low);
    if (visit.low !== visit.number) return;
    // It lies at the end.
    const group = pending.splice(pending.lastIndexOf(visit.id));
    for (const id of group) isPending.delete(id);
    groups.push(group);
  };
  for (const id of ids) {
    if (numbers.has(id)) continue;
    enter(id);
    for (let visit = stack.at(-1); visit !== undefined; visit = stack.at(-1)) {
      const next = visit.rest.pop();
      if (next === undefined) leave(visit);
      else if (!numbers.has(next)) enter(next);
      else if (isPending.has(next)) visit.low = Math.min(visit.low, numbers.get(next) ?? 0);
    }
  }
  return groups;
}
