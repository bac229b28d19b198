// Text to Statement, with PostgreSQL's words for what is wrong and the character where it is.
import { SluiceError } from '../base/errors.ts';
import { SyntaxError as GrammarError, parse } from './generated/peerdb.js';
import { nextToken, type Token } from './lexer.ts';
import { positionsIn } from './positions.ts';
import { createReader } from './reader.ts';
import type { Statement } from './statement.ts';

// A mapping of 10,000 tables is about 1 MB.
const longestStatement = 8_000_000;

/**
 * Reads one statement of our language; a `;` may end it.
 * @param charactersBefore characters (code points) of the client's whole text that stand before `text`, so that positions
 *   count from the beginning of what the client sent
 * @throws SluiceError `syntax` or `name_too_long` with its position, `limit` above 8 million characters
 */
export function parseStatement(text: string, charactersBefore = 0): Statement {
  if (text.length > longestStatement) {
    throw new SluiceError('limit', 'statement is too long', {
      sqlstate: '54000',
      detail: `It has ${text.length} characters; at most ${longestStatement} are read.`,
    });
  }
  try {
    return parse(text, { reader: createReader(text, charactersBefore) });
  } catch (error) {
    if (error instanceof GrammarError) throw syntaxError(text, error, charactersBefore);
    throw error;
  }
}

function syntaxError(text: string, error: GrammarError, charactersBefore: number): SluiceError {
  const token = nextToken(text, error.location.start.offset);
  const position = positionsIn(text, charactersBefore)(token.start);
  if (token.kind === 'end') {
    return new SluiceError('syntax', 'syntax error at end of input', { position, hint: expectation(error) });
  }
  const problem = token.problem ?? 'syntax error';
  const hint = token.kind === 'broken' ? undefined : expectation(error);
  return new SluiceError('syntax', `${problem} at or near "${shown(text, token)}"`, { position, hint });
}

const longestShown = 80;

/** The token as written; a literal of a statement that may hold a password is not repeated. */
function shown(text: string, token: Token): string {
  const quoted = token.kind === 'string' || token.kind === 'typed_string' || token.kind === 'broken';
  if (quoted && mayHoldSecrets(text)) return '********';
  const written = [...text.slice(token.start, Math.min(token.end, token.start + 2 * longestShown))];
  const cut = written.length > longestShown;
  return cut ? written.slice(0, longestShown).join('') + '…' : written.join('');
}

/** CREATE or ALTER, PEER or USER. */
function mayHoldSecrets(text: string): boolean {
  const first = nextToken(text, 0);
  const second = nextToken(text, first.end);
  const words = [first, second].map(({ start, end }) => text.slice(start, Math.min(end, start + 10)));
  return /^(create|alter) (peer|user)$/i.test(words.join(' '));
}

/** What could have stood there, if that is a short list. */
function expectation(error: GrammarError): string | undefined {
  const names = (error.expected ?? []).flatMap(({ type, description }) =>
    type === 'other' && description !== undefined ? [description] : [],
  );
  const known = [...new Set(names)];
  if (known.length === 0 || known.length > 7) return undefined;
  const last = known.pop()!;
  return known.length === 0 ? `Expected ${last}.` : `Expected ${known.join(', ')} or ${last}.`;
}
