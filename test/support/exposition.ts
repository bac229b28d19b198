// Reads Prometheus' text format as strictly as its description: https://prometheus.io/docs/instrumenting/exposition_formats/
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
  /** The value of the one series with that name and (at least) those labels; undefined: there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const suffixes = ['_bucket', '_sum', '_count'];

/** @throws Error at the first line that is not as it must be, or a series that comes twice */
export function readExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  const samples: Sample[] = [];
  const closed = new Set<string>();
  let family = '';
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, what, name = '', rest = ''] = comment;
      if (!metricName.test(name)) throw new Error(`not a name: ${line}`);
      if (what === 'HELP') {
        if (helped.has(name) || rest === '') throw new Error(`told twice, or nothing: ${line}`);
        helped.add(name);
        if (family !== '') closed.add(family);
        family = name;
      } else {
        if (types.has(name) || !/^(counter|gauge|histogram|summary|untyped)$/.test(rest))
          throw new Error(`type: ${line}`);
        types.set(name, rest);
      }
      continue;
    }
    if (line.startsWith('#')) throw new Error(`neither HELP nor TYPE: ${line}`);
    const sample = readSample(line);
    const base = suffixes.map((s) => sample.name.replace(new RegExp(`${s}$`), '')).find((name) => types.has(name));
    const of = types.has(sample.name) ? sample.name : base;
    if (of === undefined || !helped.has(of)) throw new Error(`no HELP and TYPE before: ${line}`);
    if (closed.has(of)) throw new Error(`its family has ended: ${line}`);
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).toSorted()]);
    if (seen.has(key)) throw new Error(`a series that comes twice: ${line}`);
    seen.add(key);
    samples.push(sample);
  }
  return {
    types,
    samples,
    value: (name, labels = {}) => {
      const found = samples.filter(
        (sample) =>
          sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      );
      if (found.length > 1) throw new Error(`several series of ${name} with ${JSON.stringify(labels)}`);
      return found[0]?.value;
    },
  };
}

function readSample(line: string): Sample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no name: ${line}`);
  const labels: Record<string, string> = {};
  let at = name.length;
  if (line[at] === '{') {
    at++;
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,?)/.exec(line.slice(at));
      if (label === null) throw new Error(`not a label: ${line}`);
      const [whole, key = '', value = ''] = label;
      if (key in labels) throw new Error(`a label that comes twice: ${line}`);
      labels[key] = value.replaceAll(/\\(["\\n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
      at += whole.length;
    }
    at++;
  }
  const value = /^ ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|Na[Nn]|[+-]Inf)$/.exec(line.slice(at))?.[1];
  if (value === undefined) throw new Error(`not a value: ${line}`);
  // prom-client writes Nan; Prometheus reads numbers as Go does, which takes either.
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}
