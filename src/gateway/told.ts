// What a session of the catalog can be told at its login without asking: what another was told, and what it has set itself.

// https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-ASYNC
type Writer = (value: string, usual: ReadonlyMap<string, string>) => string | undefined;

const nothing = new Map<string, string>();

/** How the server writes what a client sets at login, as far as that is sure; undefined: it must be asked. */
const writers: Readonly<Record<string, { readonly name: string; readonly write: Writer }>> = {
  application_name: { name: 'application_name', write: (value) => (/^[ -~]{0,63}$/.test(value) ? value : undefined) },
  client_encoding: {
    name: 'client_encoding',
    // The server compares names of encodings by their letters and digits only.
    write: (value) => (/^(utf8|unicode)$/i.test(value.replaceAll(/[^a-z0-9]/gi, '')) ? 'UTF8' : undefined),
  },
  datestyle: {
    name: 'DateStyle',
    write: (value, usual) => {
      const order = /, (\w+)$/.exec(usual.get('DateStyle') ?? '')?.[1];
      return /^iso$/i.test(value) && order !== undefined ? `ISO, ${order}` : undefined;
    },
  },
  timezone: { name: 'TimeZone', write: (value) => (isProperZone(value) ? value : undefined) },
};

// Set by drivers at login, and of no interest to anybody but the server.
const unreported: ReadonlySet<string> = new Set(['extra_float_digits']);

/** Zones have one spelling, in which the server shows them whatever the client's was. */
function isProperZone(name: string): boolean {
  if (name === 'UTC' || name === 'GMT') return true;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone === name;
  } catch {
    return false;
  }
}

/** Whether a session with these startup parameters is told what any other is. */
export function asksForNothing(startup: ReadonlyMap<string, string>): boolean {
  return [...startup].every(
    ([name, value]) =>
      ['application_name', 'client_encoding'].includes(name) && writers[name]!.write(value, nothing) !== undefined,
  );
}

/**
 * @param usual what a session was told that asked for nothing
 * @returns undefined if only the server can tell
 */
export function toldAtLogin(
  startup: ReadonlyMap<string, string>,
  usual: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> | undefined {
  if (usual.size === 0) return undefined;
  const told = new Map([...usual, ['application_name', ''], ['client_encoding', 'UTF8']] as [string, string][]);
  for (const [key, value] of startup) {
    const lower = key.toLowerCase();
    if (unreported.has(lower)) continue;
    const written = Object.hasOwn(writers, lower) ? writers[lower]!.write(value, usual) : undefined;
    if (written === undefined) return undefined;
    told.set(writers[lower]!.name, written);
  }
  return told;
}
