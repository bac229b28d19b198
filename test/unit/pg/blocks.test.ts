import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { blockSocket, blocksOf } from '../../../src/pg/blocks.ts';
import { until } from '../../support/wait.ts';

/** A socket that reads into blocks and the other end of it. */
async function connected(): Promise<{ readonly near: Socket; readonly far: Socket } & AsyncDisposable> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as { readonly port: number };
  const near = blockSocket();
  const taken = new Promise<Socket>((resolve) => server.once('connection', resolve));
  near.connect(port, '127.0.0.1');
  const far = await taken;
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      far.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const numbered = (length: number) => Buffer.from(Uint32Array.from({ length: length / 4 }, (_, i) => i).buffer);

test('bytes stay what they are until they are given back, and then their memory is read into again', async () => {
  await using ends = await connected();
  const blocks = blocksOf(ends.near)!;
  const heard: Buffer[] = [];
  let length = 0;
  ends.near.on('data', (bytes: Buffer) => {
    heard.push(bytes);
    length += bytes.length;
  });
  ends.far.write('before');
  await until('it is heard', () => length === 6);
  blocks.begin();
  const before = heard[0]!;
  const sent = numbered(8_000_000);
  const memory = new Set<ArrayBufferLike>();
  const whole: Buffer[] = [];
  let kept: { readonly bytes: Buffer; readonly copy: Buffer } | undefined;
  for (let round = 0; round < 6; round++) {
    heard.length = length = 0;
    ends.far.write(sent);
    await until('all is heard', () => length === sent.length);
    whole.push(Buffer.concat(heard));
    for (const { buffer } of heard) memory.add(buffer);
    kept ??= { bytes: heard[20]!, copy: Buffer.from(heard[20]!) };
    blocks.giveBack((each) => each === kept?.bytes.buffer);
  }
  for (const each of whole) expect(each.equals(sent)).toBe(true);
  // Of six times 8 MB.
  const bytes = [...memory].reduce((sum, each) => sum + each.byteLength, 0);
  expect(bytes).toBeLessThan(2.5 * sent.length);
  expect(kept?.bytes.equals(kept.copy)).toBe(true);
  expect(before.toString()).toBe('before');
}, 20_000);

test('a socket that is paused reads no more, and goes on where it was', async () => {
  await using ends = await connected();
  const sent = numbered(4_000_000);
  const heard: Buffer[] = [];
  let length = 0;
  ends.near.on('data', (bytes: Buffer) => {
    heard.push(bytes);
    length += bytes.length;
    ends.near.pause();
    setImmediate(() => ends.near.resume());
  });
  ends.far.write(sent);
  await until('all is heard', () => length === sent.length);
  expect(Buffer.concat(heard).equals(sent)).toBe(true);
});
