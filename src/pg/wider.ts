// Which types hold every value of another as it is, so that a row may go from one into the other. Pure.

// Values travel as text between types that differ, so a wider type is one that reads each of their texts as the same value and prints
// it as the same text again. Not among them, though a cast exists: date into timestamp (prints a time), timestamp into timestamptz
// (means another moment in another zone), char(n) into text (its padding would become part of the value) or into a longer char (more
// padding), numeric of another scale (prints more digits), json into jsonb (loses order and doubles), macaddr into macaddr8.

const integers: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 };

/** Types that may go into others whatever their modifiers. */
const always: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint'],
  integer: ['bigint'],
  real: ['double precision'],
  cidr: ['inet'],
};

interface Named {
  readonly name: string;
  /** As written; none for any. */
  readonly modifiers: readonly number[];
}

/**
 * Whether a column of the type `wide` holds all values of one of the type `narrow`, and prints them the same. Both as format_type
 * prints them; the same type holds its own.
 */
export function holds(wide: string, narrow: string): boolean {
  if (wide === narrow) return true;
  if (wide.endsWith('[]') && narrow.endsWith('[]')) return holds(wide.slice(0, -2), narrow.slice(0, -2));
  const [to, from] = [parse(wide), parse(narrow)];
  if (to === null || from === null) return false;
  if (always[from.name]?.includes(to.name)) return true;
  const digits = integers[from.name];
  if (digits !== undefined) {
    const [precision, scale = 0] = to.modifiers;
    return to.name === 'numeric' && (precision === undefined || (precision >= digits && scale === 0));
  }
  if (from.name === 'character varying' && to.name === 'text') return true;
  if (from.name !== to.name) return false;
  switch (from.name) {
    case 'numeric':
      // Any scale is kept where none is asked for.
      return to.modifiers.length === 0 || (from.modifiers.length > 0 && sameScale(to, from) && longer(to, from));
    case 'character varying':
    case 'bit varying':
    case 'timestamp without time zone':
    case 'timestamp with time zone':
    case 'time without time zone':
    case 'time with time zone':
      return longer(to, from);
    default:
      return false;
  }
}

// Microseconds are the most that times have, whether they say so or not.
const most: Readonly<Record<string, number>> = { 'character varying': Infinity, 'bit varying': Infinity };

function longer(to: Named, from: Named): boolean {
  const none = most[from.name] ?? 6;
  return (to.modifiers[0] ?? none) >= (from.modifiers[0] ?? none);
}

function sameScale(to: Named, from: Named): boolean {
  return (to.modifiers[1] ?? 0) === (from.modifiers[1] ?? 0);
}

/** `timestamp(3) without time zone` in two; null for names that are quoted or of a schema. */
function parse(type: string): Named | null {
  const found = /^([a-z ]+?)(?:\((-?\d+(?:,-?\d+)*)\))?((?: with| without) time zone)?$/.exec(type);
  if (found === null) return null;
  const [, name = '', modifiers, zone = ''] = found;
  return { name: name + zone, modifiers: modifiers === undefined ? [] : modifiers.split(',').map(Number) };
}
