// What the demo prints: headings, statements, a progress line that moves on a terminal and plain lines elsewhere.

export interface Progress {
  readonly rows: number;
  readonly ofRows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** A line of text with a bar: percent, rows, rows per second, and how long the rest will take at that rate. */
export function progressLine(progress: Progress, width = 28): string {
  const { rows, bytes, elapsedMs } = progress;
  // Estimates may be too low: never more than the whole.
  const ofRows = Math.max(progress.ofRows, rows, 1);
  const share = rows / ofRows;
  const perSecond = elapsedMs < 1 ? 0 : (rows / elapsedMs) * 1000;
  const filled = Math.round(share * width);
  const eta = share >= 1 ? 'done' : perSecond === 0 ? 'ETA –' : `ETA ${shownSeconds((ofRows - rows) / perSecond)}`;
  return [
    `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`,
    `${String(Math.floor(share * 100)).padStart(3)} %`,
    `${shownCount(rows)} of ${shownCount(ofRows)} rows`,
    `${shownCount(Math.round(perSecond))} rows/s`,
    eta,
    `${(bytes / 1e6).toFixed(1)} MB`,
  ].join('  ');
}

/** `1234567` as `1,234,567`. */
export function shownCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Seconds as people say them: `0.4 s`, `12 s`, `3 min 05 s`. */
export function shownSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

export class Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #moves: boolean;
  readonly #colours: boolean;
  #lastPlain = Number.NEGATIVE_INFINITY;
  #open = false;

  constructor(out: NodeJS.WriteStream, environment: Readonly<Record<string, string | undefined>>) {
    this.#out = out;
    this.#moves = out.isTTY === true && environment.TERM !== 'dumb';
    this.#colours = this.#moves && (environment.NO_COLOR ?? '') === '';
  }

  heading(text: string): void {
    this.line();
    this.line(this.#paint('1', text));
  }

  line(text = ''): void {
    this.#close();
    this.#out.write(`${text}\n`);
  }

  /** A statement as it was sent, with the tag that came back. */
  statement(text: string, tag: string): void {
    const [first = '', ...rest] = text.split('\n');
    this.line(`  ${this.#paint('2', 'sluice=>')} ${this.#paint('36', first)}`);
    for (const line of rest) this.line(`  ${this.#paint('2', 'sluice->')} ${this.#paint('36', line)}`);
    this.line(`  ${tag}`);
  }

  /** Shows how far it is: rewrites its line on a terminal, adds one every two seconds elsewhere. */
  progress(progress: Progress, final = false): void {
    const columns = this.#moves ? this.#out.columns || 80 : 120;
    let text = `  ${progressLine(progress, columns < 100 ? 14 : 28)}`;
    // A narrow terminal goes without the size.
    if (text.length >= columns) text = text.slice(0, text.lastIndexOf('  '));
    if (this.#moves) {
      this.#out.write(`\r\x1b[2K${text.slice(0, columns - 1)}`);
      this.#open = true;
      if (final) this.#close();
    } else if (final || performance.now() - this.#lastPlain > 2000) {
      this.#lastPlain = performance.now();
      this.line(text);
    }
  }

  good(text: string): string {
    return this.#paint('32', text);
  }

  bad(text: string): string {
    return this.#paint('31', text);
  }

  strong(text: string): string {
    return this.#paint('1', text);
  }

  #close(): void {
    if (this.#open) this.#out.write('\n');
    this.#open = false;
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
