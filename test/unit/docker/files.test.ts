// The container files without a container engine: they parse, and what they name is there.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { environment } from '../../../src/config.ts';
import { isInstalled } from '../../support/gateway.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const python = '/usr/bin/python3';
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8');

/** What Dockerfile takes from the checkout: sources of COPY that are no earlier stage's. */
function copiedSources(): readonly string[] {
  return read('Dockerfile')
    .split('\n')
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1));
}

test('every file that the image is built from exists and is not kept from the build', () => {
  const sources = copiedSources();
  expect(sources.length).toBeGreaterThan(5);
  const allowed = new Set(read('.dockerignore').split('\n'));
  for (const source of sources) {
    expect(existsSync(`${root}/${source}`), source).toBe(true);
    expect(allowed, source).toContain(`!${source}`);
  }
});

test('the image sets only variables that the gateway knows', () => {
  const named = [...read('Dockerfile').matchAll(/\bSLUICE_[A-Z_]+(?==)/g)].map((match) => match[0]);
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => !Object.hasOwn(environment, name))).toEqual([]);
});

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly build?: string;
        readonly image?: string;
        readonly environment: Readonly<Record<string, string>>;
        readonly volumes?: readonly string[];
        readonly ports?: readonly string[];
      }
    >
  >;
  readonly volumes: Readonly<Record<string, unknown>>;
}

test.skipIf(!isInstalled(python, ['-c', 'import yaml']))(
  'docker-compose.yml parses, and every file, volume and variable that it names is known',
  () => {
    const script = 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)';
    const text = execFileSync(python, ['-c', script], { input: read('docker-compose.yml'), encoding: 'utf8' });
    const compose = JSON.parse(text) as Compose;
    expect(Object.keys(compose.services)).toEqual(['gateway', 'catalog', 'source', 'target']);
    const variables = Object.keys(compose.services.gateway?.environment ?? {});
    expect(variables.filter((name) => !Object.hasOwn(environment, name))).toEqual([]);
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.build !== undefined || service.image !== undefined, name).toBe(true);
      for (const volume of service.volumes ?? []) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('.')) expect(existsSync(`${root}/${from}`), volume).toBe(true);
        else expect(compose.volumes, volume).toHaveProperty(from);
      }
      // Nothing is open beyond this machine.
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  },
);
