// A rate as people write it: `20`, `20 MB/s`, `512 kB/s`. Pure.
import { SluiceError } from '../base/errors.ts';

const units: Readonly<Record<string, number>> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
// Below that a single lump of a connection would take seconds.
const leastBytes = 64 * 1024;
const mostBytes = 1024 ** 4;

/**
 * Bytes per second; null: no limit (nothing given, or 0). Without a unit it is MB/s; units are powers of 1024, as in PostgreSQL's
 * settings. @throws `invalid_option` at `position`
 */
export function readRate(option: string, text: string | undefined, position?: number): number | null {
  if (text === undefined) return null;
  const refuse = (expected: string) => {
    return new SluiceError('invalid_option', `invalid value for option "${option}": ${text}`, {
      detail: `Expected ${expected}.`,
      hint: "Write it as 20, '20 MB/s', '512 kB/s' or '1.5 GB/s'; 0 is no limit.",
      position,
    });
  };
  const [, digits = '', unit = 'mb'] = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmg]b)(?:\/s)?)?\s*$/i.exec(text) ?? [];
  if (digits === '') throw refuse('a rate in MB/s');
  const bytes = Math.round(Number(digits) * (units[unit.toLowerCase()] ?? 1));
  if (bytes === 0) return null;
  if (bytes < leastBytes || bytes > mostBytes) throw refuse('64 kB/s to 1,024 GB/s, or 0 for no limit');
  return bytes;
}
