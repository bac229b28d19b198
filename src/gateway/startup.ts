// How a session begins at a server: what the client said at its login, and where it has been elsewhere before, what it got there.
import { catalogName } from './transaction.ts';

// What a client may have set and reads results by: the same on every upstream of the session.
const pinned = ['client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone', 'standard_conforming_strings'];

export interface StartupFacts {
  readonly home: string;
  /** What the client has been told of settings. */
  readonly parameters: ReadonlyMap<string, string>;
  /** What the client said at its login. */
  readonly said: ReadonlyMap<string, string>;
}

/** The parameters of the startup packet, without user and database. */
export function startupAt(
  { name, application }: { readonly name: string; readonly application: string | undefined },
  { home, parameters, said }: StartupFacts,
): ReadonlyMap<string, string> {
  const startup = new Map<string, string>();
  // A session at a peer begins as the peer's server begins any session; others begin as that one does.
  if (name === catalogName) startup.set('client_encoding', 'UTF8');
  if (name !== home) {
    if (application !== undefined) startup.set('application_name', application);
    for (const each of pinned) {
      const value = parameters.get(each);
      if (value !== undefined) startup.set(each, value);
    }
  }
  for (const [each, value] of said) startup.set(each, value);
  return startup;
}
