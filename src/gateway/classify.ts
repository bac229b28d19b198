// What each statement of a client is: ours, a peer's in our clothes, or plain SQL for the upstream that it names.
import { isOurs, type Piece, parsePiece } from '../sql/split.ts';
import type { Statement } from '../sql/statement.ts';
import { type Act, actOf, namesRelations } from './act.ts';
import { checkLooksOnly, checkReadable } from './look-only.ts';
import { type Cut, type Route, type Router, type Shift, shiftOf, withoutCuts } from './route.ts';
import { type ClientText, readText } from './text.ts';
import { catalogName, type Plain } from './transaction.ts';

export interface ClassifierDeps {
  readonly router: Router;
  readonly isPeer: (name: string) => boolean | Promise<boolean>;
  readonly board: {
    readonly home: string;
    readonly backslashEscapes: boolean;
    readonly reported: readonly ReadonlyMap<string, string>[];
    readonly prepared: ReadonlyMap<string, string>;
  };
  /** The session may look and change nothing. */
  readonly readOnly: boolean;
  /** Where a prepared statement or cursor of the session lives. */
  readonly homeOf: (name: string) => string | undefined;
}

/** A statement and what becomes of it. */
export type Classified =
  | { readonly kind: 'own'; readonly statement: Statement }
  | { readonly kind: 'raw'; readonly peer: string; readonly query: string; readonly shift: Shift }
  | PlainPiece;
export interface PlainPiece extends Plain {
  readonly kind: 'plain';
  readonly piece: Piece;
  readonly route: Route;
}

// What is said about a prepared statement or a cursor goes to where that lives.
const livesSomewhere: ReadonlySet<Act['kind']> = new Set(['execute', 'fetch', 'close', 'deallocate']);

export class Classifier {
  readonly #deps: ClassifierDeps;

  constructor(deps: ClassifierDeps) {
    this.#deps = deps;
  }

  /** Text and statements; undefined if it is too long to be looked at. */
  read(bytes: Buffer): ClientText | undefined {
    return readText(bytes, this.#deps.board.backslashEscapes);
  }

  /** What a statement is and whom it names. @throws `syntax`, `unsupported` for two peers, `forbidden` for a READ ONLY user */
  async classify(piece: Piece): Promise<Classified> {
    const { router, isPeer, homeOf } = this.#deps;
    const { home, backslashEscapes } = this.#deps.board;
    const options = { backslashEscapes, charactersBefore: piece.charactersBefore };
    const { candidates } = router.read(piece.text, options);
    const asked = piece.owner.kind === 'execute' ? [...candidates, piece.owner.peer] : candidates;
    const peers = new Set<string>();
    for (const name of asked) if (await isPeer(name)) peers.add(name);
    const known = (name: string) => peers.has(name);
    const isStatement = piece.owner.kind === 'execute' && homeOf(piece.owner.peer) !== undefined;
    if (!isStatement && isOurs(piece, { isPeer: known, onPeer: home !== catalogName })) {
      const statement = parsePiece(piece);
      if (statement.kind === 'execute_peer') this.#checkLooks(statement.query, (statement.queryPosition ?? 1) - 1);
      return ownOrRaw(statement);
    }
    this.#checkLooks(piece.text, piece.charactersBefore);
    const route = router.route(piece.text, known, options);
    const act = actOf(piece.text, piece.firstWords[0]);
    const lives = livesSomewhere.has(act.kind) && 'name' in act ? homeOf(act.name ?? '') : undefined;
    const prepared = act.kind === 'end_prepared' ? this.#deps.board.prepared.get(act.id) : undefined;
    return {
      kind: 'plain',
      piece,
      route,
      act,
      named: route.peer ?? lives ?? prepared,
      relations: () => namesRelations(piece.text),
    };
  }

  #checkLooks(text: string, charactersBefore: number): void {
    if (!this.#deps.readOnly) return;
    for (const parameters of this.#deps.board.reported) checkReadable(parameters);
    checkLooksOnly(text, charactersBefore);
  }
}

/** EXECUTE peer … is a peer's statement in our clothes. */
function ownOrRaw(statement: Statement): Classified {
  if (statement.kind !== 'execute_peer') return { kind: 'own', statement };
  const { peer, query, queryPosition } = statement;
  // Behind escapes nobody can say where a character of the peer's text stands in the client's.
  const shift: Shift = (position) => (queryPosition === undefined ? undefined : position + queryPosition - 1);
  return { kind: 'raw', peer, query, shift };
}

/** The bytes of a run of statements, without the peer's name, and the way back for error positions. */
export function textOf(
  client: ClientText,
  group: readonly PlainPiece[],
): { readonly bytes: Buffer; readonly cuts: readonly Cut[]; readonly shift: Shift } {
  const start = group[0]!.piece.start;
  const end = group.at(-1)!.piece.end;
  const cuts = group.flatMap(({ piece, route }) =>
    route.cuts.map((cut) => ({ start: cut.start + piece.start, end: cut.end + piece.start })),
  );
  const bytes = client.encode(withoutCuts(client.text, cuts, start, end));
  return { bytes, cuts, shift: shiftOf(client.text, start, cuts) };
}
