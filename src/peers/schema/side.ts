// Everything of one database that is neither a table nor a part of one, with what needs what; read alike on both sides.
import type { Connection } from '../../pg/client.ts';
import { type Graph, readDependencies } from './depend.ts';
import type { Entity } from './entity.ts';
import { type AskedFacts, readServerFacts, type ServerFacts } from './facts.ts';
import { readers } from './readers.ts';

export interface DatabaseSide {
  readonly facts: ServerFacts;
  readonly entities: readonly Entity[];
  readonly graph: Graph;
}

/** @param ours schemas that hold what Sluice keeps on that side @param asked see readServerFacts */
export async function readSide(db: Connection, ours: readonly string[], asked: AskedFacts = {}): Promise<DatabaseSide> {
  const facts = await readServerFacts(db, ours, asked);
  const graph = await readDependencies(db, facts.holds);
  const entities: Entity[] = [];
  for (const read of readers) entities.push(...(await read(db, facts)));
  return { facts, entities, graph };
}
