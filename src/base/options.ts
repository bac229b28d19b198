// Settings declared once: name, type, bounds, default and words; WITH (…), environment, HTTP and forms read the same declaration.
import { SluiceError } from './errors.ts';

/** A value as written, with the place (character, from 1) where name and value stand in the client's text. */
export interface WrittenOption {
  readonly name: string;
  readonly value: OptionValue;
  readonly namePosition?: number | undefined;
  readonly valuePosition?: number | undefined;
}

export type OptionValue = string | number | boolean | readonly string[];

interface Common {
  readonly doc: string;
  /** Never shown: `********` in its place. */
  readonly secret?: boolean;
  /** Taken for compatibility; a NOTICE says what becomes of it. */
  readonly notice?: string;
}
export interface TextOption extends Common {
  readonly type: 'text';
  readonly default?: string;
  /** At most this many bytes in UTF-8. */
  readonly maxBytes?: number;
}
export interface IntegerOption extends Common {
  readonly type: 'integer';
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}
export interface BooleanOption extends Common {
  readonly type: 'boolean';
  readonly default?: boolean;
}
export interface ChoiceOption<C extends string = string> extends Common {
  readonly type: 'choice';
  readonly default?: C;
  readonly choices: readonly C[];
}
export interface JsonOption extends Common {
  readonly type: 'json';
  readonly default?: never;
}
export interface NamesOption extends Common {
  readonly type: 'names';
  readonly default?: readonly string[];
}
export type OptionDeclaration = TextOption | IntegerOption | BooleanOption | ChoiceOption | JsonOption | NamesOption;
export type OptionDeclarations = Readonly<Record<string, OptionDeclaration>>;

type ValueOf<D> = D extends { type: 'integer' }
  ? number
  : D extends { type: 'boolean' }
    ? boolean
    : D extends { type: 'choice'; choices: readonly (infer C)[] }
      ? C
      : D extends { type: 'names' }
        ? readonly string[]
        : string;

/** What reading options by a declaration gives: one without default may be missing. */
export type Options<D extends OptionDeclarations> = {
  readonly [K in keyof D]: D[K] extends { default: infer V }
    ? V extends undefined
      ? ValueOf<D[K]> | undefined
      : ValueOf<D[K]>
    : ValueOf<D[K]> | undefined;
};

/**
 * Checks written options against their declarations and fills in defaults.
 * @param subject what the options belong to, for messages ("mirror", "peer")
 * @throws SluiceError `invalid_option` at the option's place: unknown (hint lists the known), twice, ill-typed, out of bounds
 */
export function readOptions<const D extends OptionDeclarations>(
  subject: string,
  declarations: D,
  written: readonly WrittenOption[],
): Options<D> {
  const values: Record<string, OptionValue | undefined> = {};
  for (const [name, declaration] of Object.entries(declarations)) values[name] = declaration.default;
  for (const [name, value] of Object.entries(readGivenOptions(subject, declarations, written))) values[name] = value;
  return values as Options<D>;
}

/** As readOptions, but only the options that were given; for ALTER … SET. */
export function readGivenOptions<const D extends OptionDeclarations>(
  subject: string,
  declarations: D,
  written: readonly WrittenOption[],
): Partial<Options<D>> {
  const values: Record<string, OptionValue> = {};
  for (const option of written) {
    const declaration = Object.hasOwn(declarations, option.name) ? declarations[option.name] : undefined;
    if (declaration === undefined) {
      throw new SluiceError('invalid_option', `unknown ${subject} option "${option.name}"`, {
        hint: knownOptions(declarations),
        position: option.namePosition,
      });
    }
    if (Object.hasOwn(values, option.name)) {
      throw new SluiceError('invalid_option', `${subject} option "${option.name}" is given twice`, {
        sqlstate: '42601',
        position: option.namePosition,
      });
    }
    values[option.name] = readValue(declaration, option);
  }
  return values as Partial<Options<D>>;
}

/** The notices that given options call for (those that are taken only for compatibility). */
export function optionNotices(declarations: OptionDeclarations, written: readonly WrittenOption[]): readonly string[] {
  return written.flatMap((option) => {
    const notice = declarations[option.name]?.notice;
    return notice === undefined ? [] : [notice];
  });
}

/** A value as people may see it: secrets as `********`. */
export function shownValue(declaration: OptionDeclaration, value: OptionValue | undefined): string {
  if (value === undefined) return '';
  if (declaration.secret) return '********';
  return Array.isArray(value) ? value.join(', ') : String(value);
}

function knownOptions(declarations: OptionDeclarations): string {
  const names = Object.keys(declarations);
  return names.length === 0 ? 'No options are known here.' : `Known options: ${names.join(', ')}.`;
}

const booleanWords: Readonly<Record<string, boolean>> = {
  true: true,
  on: true,
  yes: true,
  '1': true,
  false: false,
  off: false,
  no: false,
  '0': false,
};

function readValue(declaration: OptionDeclaration, option: WrittenOption): OptionValue {
  const { value } = option;
  const refuse = (expected: string): never => {
    const shown = declaration.secret ? '********' : Array.isArray(value) ? `(${value.join(', ')})` : String(value);
    throw new SluiceError('invalid_option', `invalid value for option "${option.name}": ${shown}`, {
      detail: `Expected ${expected}.`,
      hint: declaration.doc,
      position: option.valuePosition ?? option.namePosition,
    });
  };
  switch (declaration.type) {
    case 'text':
      if (typeof value !== 'string' && typeof value !== 'number') return refuse('a string');
      if (declaration.maxBytes !== undefined && Buffer.byteLength(String(value)) > declaration.maxBytes) {
        return refuse(`at most ${declaration.maxBytes} bytes`);
      }
      return String(value);
    case 'integer': {
      const number = typeof value === 'string' && /^[+-]?\d+$/.test(value.trim()) ? Number(value) : value;
      if (
        typeof number !== 'number' ||
        !Number.isInteger(number) ||
        number < declaration.min ||
        number > declaration.max
      ) {
        return refuse(`an integer from ${declaration.min} to ${declaration.max}`);
      }
      return number;
    }
    case 'boolean': {
      const word = Array.isArray(value) ? undefined : booleanWords[String(value).toLowerCase()];
      return word ?? refuse('true or false');
    }
    case 'choice': {
      const word = String(value).toLowerCase();
      return !Array.isArray(value) && declaration.choices.includes(word)
        ? word
        : refuse(`one of ${declaration.choices.join(', ')}`);
    }
    case 'json':
      return typeof value === 'string' && isJsonObject(value) ? value : refuse('a JSON object');
    case 'names':
      if (typeof value === 'string')
        return value
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '');
      return Array.isArray(value) ? (value as readonly string[]) : refuse('a list of names');
    default:
      return declaration satisfies never;
  }
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
