// Health and readiness over HTTP.
import { expect, test } from 'vitest';
import { healthRoutes, startHttp } from '../../src/api/health.ts';
import { SluiceError } from '../../src/base/errors.ts';

test('a process that answers is healthy, and ready only when its work can be done', async () => {
  let away = false;
  const app = healthRoutes({
    ready: async () => {
      if (away) throw new SluiceError('unreachable', 'the catalog is away');
    },
  });
  await using server = await startHttp(app, { host: '127.0.0.1', port: 0 });
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return [answer.status, await answer.json()];
  };
  expect(await get('/healthz')).toEqual([200, { status: 'ok' }]);
  expect(await get('/readyz')).toEqual([200, { status: 'ready' }]);
  away = true;
  expect(await get('/readyz')).toEqual([
    503,
    { status: 'not ready', kind: 'unreachable', message: 'the catalog is away' },
  ]);
  expect(await get('/healthz')).toEqual([200, { status: 'ok' }]);
});

test('a port that is taken is a clear error', async () => {
  const app = healthRoutes({ ready: async () => {} });
  await using server = await startHttp(app, { host: '127.0.0.1', port: 0 });
  await expect(startHttp(app, { host: '127.0.0.1', port: server.port })).rejects.toMatchObject({
    kind: 'unreachable',
    hint: expect.stringContaining('SLUICE_HTTP_PORT'),
  });
});
