import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Borrower, lendingOf, lendingSocket } from '../../../src/pg/lending.ts';
import { until } from '../../support/wait.ts';

/** A lending socket and the other end of it. */
async function connected(): Promise<{ readonly near: Socket; readonly far: Socket } & AsyncDisposable> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  const { port } = server.address() as { readonly port: number };
  const near = lendingSocket();
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

describe('a socket that lends its bytes', () => {
  test('has data events like any other until somebody borrows', async () => {
    await using ends = await connected();
    const heard: Buffer[] = [];
    ends.near.on('data', (bytes: Buffer) => heard.push(bytes));
    ends.far.write('one');
    await until('it is heard', () => Buffer.concat(heard).toString() === 'one');
    ends.near.removeAllListeners('data');
    const borrowed: string[] = [];
    const borrower: Borrower = {
      expecting: false,
      borrow(bytes) {
        borrowed.push(bytes.toString());
        return true;
      },
    };
    lendingOf(ends.near)!.lendTo(borrower);
    ends.far.write('two');
    await until('it is borrowed', () => borrowed.join('') === 'two');
    expect(Buffer.concat(heard).toString()).toBe('one');
  });

  test('gives every byte in order, and none before the last are given back', async () => {
    await using ends = await connected();
    const sent = numbered(8_000_000);
    const got: Buffer[] = [];
    const lending = lendingOf(ends.near)!;
    let length = 0;
    let borrowedNow: Buffer | undefined;
    let overwritten = false;
    const borrower = {
      expecting: true,
      borrow(bytes: Buffer) {
        if (borrowedNow !== undefined) overwritten = true;
        const copy = Buffer.from(bytes);
        got.push(copy);
        length += copy.length;
        borrower.expecting = length < sent.length;
        if (got.length % 2 === 0) return true;
        borrowedNow = bytes;
        setImmediate(() => {
          // Nobody has read over it meanwhile.
          if (!bytes.equals(copy)) overwritten = true;
          borrowedNow = undefined;
          lending.giveBack();
        });
        return false;
      },
    };
    lending.lendTo(borrower);
    ends.near.resume();
    ends.far.write(sent);
    await until('all is there', () => length === sent.length);
    expect([overwritten, Buffer.concat(got).equals(sent)]).toEqual([false, true]);
    // And again, when it has been at rest.
    got.length = 0;
    length = 0;
    borrower.expecting = true;
    await until('it is given back', () => borrowedNow === undefined);
    ends.far.write(sent.subarray(0, 100_000));
    await until('all is there', () => length === 100_000);
    expect([overwritten, Buffer.concat(got).equals(sent.subarray(0, 100_000))]).toEqual([false, true]);
  });

  test('says when the other end is gone', async () => {
    await using ends = await connected();
    let ended = false;
    ends.near.on('end', () => {
      ended = true;
    });
    lendingOf(ends.near)!.lendTo({ expecting: false, borrow: () => true });
    ends.near.resume();
    ends.far.end('last');
    await until('it is told', () => ended);
  });
});
