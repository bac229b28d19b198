// Which texts are one plain statement that concerns neither us nor a peer: told at a glance, or remembered. No answer waits.
import { actOf } from './act.ts';
import type { Router } from './route.ts';
import { readText } from './text.ts';

export interface TextPlace {
  readonly start: number;
  readonly end: number;
  /** standard_conforming_strings is off. */
  readonly backslashEscapes: boolean;
}

/** What a text is before anyone knows which names are peers; undefined: it needs a thought. */
type Verdict = { readonly candidates: readonly string[] } | undefined;

// A longer text is not worth its place; it is read where it is run.
const longestRemembered = 4_000;
const mostRemembered = 1_000;

const plain: Verdict = { candidates: [] };

/** Shared by all sessions: what it says depends on nothing but the text. */
export class PlainTexts {
  readonly #router: Router;
  readonly #isPeer: (name: string) => boolean | Promise<boolean>;
  // Two generations: when the young one is full the old one is forgotten. What is asked for again stays.
  #young = new Map<string, Verdict>();
  #old = new Map<string, Verdict>();

  /** @param isPeer may promise an answer; then the text is not called plain */
  constructor(router: Router, isPeer: (name: string) => boolean | Promise<boolean>) {
    this.#router = router;
    this.#isPeer = isPeer;
  }

  /** Whether it is one statement that goes to the session's home as it stands and changes nothing in the session. */
  isPlain(bytes: Buffer, { start, end, backslashEscapes }: TextPlace): boolean {
    if (isPlainAtAGlance(bytes, start, end)) return true;
    if (backslashEscapes || end - start > longestRemembered) return false;
    const key = bytes.toString('latin1', start, end);
    let verdict = this.#young.get(key);
    if (verdict === undefined && !this.#young.has(key)) {
      verdict = this.#old.has(key) ? this.#old.get(key) : this.#judge(bytes.subarray(start, end));
      this.#young.set(key, verdict);
      if (this.#young.size >= mostRemembered) {
        this.#old = this.#young;
        this.#young = new Map();
      }
    }
    if (verdict === undefined) return false;
    return verdict.candidates.every((name) => this.#isNoPeer(name));
  }

  #isNoPeer(name: string): boolean {
    const answer = this.#isPeer(name);
    // Who has to look it up is asked again by those who can wait, and tells them if that fails.
    if (typeof answer === 'object') answer.catch(() => {});
    return answer === false;
  }

  #judge(bytes: Buffer): Verdict {
    const client = readText(bytes, false);
    const [piece, second] = client?.pieces ?? [];
    if (piece === undefined || second !== undefined || piece.owner.kind !== 'plain') return undefined;
    const [first] = piece.firstWords;
    // COPY may take what the client says next for data.
    if (first === 'copy' || actOf(piece.text, first).kind !== 'other') return undefined;
    const { candidates } = this.#router.read(piece.text);
    return candidates.length === 0 ? plain : { candidates };
  }
}

const plainWords: ReadonlySet<string> = new Set(['delete', 'insert', 'merge', 'select', 'update', 'values', 'with']);
const longestWord = 6;
const letterBit = 0x20;
const [dot, semicolon, underscore, letterA, letterZ] = [0x2e, 0x3b, 0x5f, 0x61, 0x7a];

/**
 * A statement that begins with one of the commonest words, has no `;` but perhaps a last one, and too few dots for a name of
 * three parts, wherever they stand. In any of PostgreSQL's client encodings these bytes are these characters, or count too many.
 */
export function isPlainAtAGlance(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && at - start <= longestWord && isLetter(bytes[at]!)) at += 1;
  if (at === end || isWordByte(bytes[at]!)) return false;
  if (!plainWords.has(bytes.toString('latin1', start, at).toLowerCase())) return false;
  let dots = 0;
  for (; at < end; at += 1) {
    const byte = bytes[at]!;
    if (byte === dot) dots += 1;
    else if (byte === 0 || (byte === semicolon && at !== end - 1)) return false;
    // set_config() holds for the session, wherever it goes.
    else if (byte === underscore && isWord(bytes, at - 3, 'set') && isWord(bytes, at + 1, 'config')) return false;
  }
  return dots < 2;
}

function isWord(bytes: Buffer, at: number, word: string): boolean {
  return at >= 0 && bytes.toString('latin1', at, at + word.length).toLowerCase() === word;
}

function isLetter(byte: number): boolean {
  const lower = byte | letterBit;
  return lower >= letterA && lower <= letterZ;
}

/** Whether a word may go on with it. */
function isWordByte(byte: number): boolean {
  return isLetter(byte) || byte >= 0x80 || byte === 0x5f || byte === 0x24 || (byte >= 0x30 && byte <= 0x39);
}
