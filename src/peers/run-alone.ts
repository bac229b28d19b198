// Runs statements that hold text of a person, so that the text cannot bring a second statement along.
import type { QueryConfig } from 'pg';
import { toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import type { Sql } from '../pg/sql.ts';

/** Runs one statement by the extended protocol, which takes no second one. @throws `upstream` */
export async function runAlone(db: Connection, { text }: Sql): Promise<void> {
  const query: ExtendedQuery = { text, values: [], queryMode: 'extended' };
  try {
    await db.client.query(query);
  } catch (error) {
    throw toSluiceError(error);
  }
}

// pg knows queryMode; its published types do not.
type ExtendedQuery = QueryConfig<never[]> & { readonly queryMode: 'extended' };
