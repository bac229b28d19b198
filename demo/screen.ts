// What the demo prints: headings, statements, a progress line that moves on a terminal and plain lines elsewhere.

export interface Progress {
  readonly rows: number;
  readonly ofRows: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  /** As reckoned by who knows more than the rows and the time; else by these. */
  readonly secondsLeft?: number | undefined;
}

/** A line of a panel: plain text, cut to the terminal, then coloured as a whole. */
export interface PanelLine {
  readonly text: string;
  readonly tone?: 'good' | 'dim' | 'strong' | undefined;
}

/** A line of text with a bar: percent, rows, rows per second, and how long the rest will take at that rate. */
export function progressLine(progress: Progress, width = 28): string {
  const { rows, bytes, elapsedMs } = progress;
  // Estimates may be too low: never more than the whole.
  const ofRows = Math.max(progress.ofRows, rows, 1);
  const share = rows / ofRows;
  const perSecond = elapsedMs < 1 ? 0 : (rows / elapsedMs) * 1000;
  const filled = Math.round(share * width);
  const left = progress.secondsLeft ?? (perSecond === 0 ? undefined : (ofRows - rows) / perSecond);
  const eta = share >= 1 ? 'done' : left === undefined ? 'ETA –' : `ETA ${shownSeconds(left)}`;
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
  /** Lines of a panel that stand above the cursor and may be drawn anew. */
  #open = 0;

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

  /** What fits on the terminal. */
  get size(): { readonly columns: number; readonly rows: number } {
    return this.#moves ? { columns: this.#out.columns || 80, rows: this.#out.rows || 24 } : { columns: 120, rows: 1 };
  }

  /**
   * Shows a picture that changes: drawn over itself on a terminal; elsewhere its first line, every two seconds and at the end.
   */
  panel(lines: readonly PanelLine[], final = false): void {
    if (this.#moves) {
      const { columns } = this.size;
      const drawn = lines.map(({ text, tone }) => this.#tone(text.slice(0, columns - 1), tone));
      const up = this.#open > 0 ? `\x1b[${this.#open}A` : '';
      // From the first line down all is wiped, so that a shorter picture leaves nothing of a longer one.
      this.#out.write(`${up}\r\x1b[J${drawn.map((text) => `${text}\n`).join('')}`);
      this.#open = lines.length;
      if (final) this.#close();
    } else if (final || performance.now() - this.#lastPlain > 2000) {
      this.#lastPlain = performance.now();
      if (lines[0] !== undefined) this.line(lines[0].text);
    }
  }

  #tone(text: string, tone: PanelLine['tone']): string {
    return tone === undefined ? text : this.#paint({ good: '32', dim: '2', strong: '1' }[tone], text);
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
    this.#open = 0;
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
