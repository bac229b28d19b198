import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Outlet } from '../../../src/wire/outlet.ts';

/** A stream that writes down what it is given and says when it is done with it. */
class Slow extends Writable {
  readonly written: string[] = [];
  readonly #waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString());
    this.#waiting.push(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.written.push(chunks.map(({ chunk }) => chunk.toString()).join('|'));
    this.#waiting.push(done);
  }

  finishOne(): void {
    this.#waiting.shift()?.();
  }
}

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('the way out', () => {
  test('what was said in one turn goes out in one write, in order', async () => {
    const stream = new Slow();
    const outlet = new Outlet(stream);
    const chunk = Buffer.from('0123456789');
    outlet.send(chunk.subarray(0, 3));
    outlet.send(chunk.subarray(3, 4));
    outlet.send(chunk.subarray(6, 8));
    outlet.add(chunk.subarray(8));
    outlet.send(chunk.subarray(0, 1));
    expect(stream.written).toEqual([]);
    expect(outlet.empty).toBe(false);
    await tick();
    expect(stream.written).toEqual(['0123|6789|0']);
  });

  test('what lay together is written as it lay, without a copy', async () => {
    const stream = new Slow();
    const outlet = new Outlet(stream);
    const chunk = Buffer.from('0123456789');
    for (let i = 0; i < 10; i += 1) outlet.add(chunk.subarray(i, i + 1));
    outlet.flush();
    expect(stream.written).toEqual(['0123456789']);
  });

  test('it is empty, and drained, when the system has taken everything, and not before', async () => {
    const stream = new Slow();
    const outlet = new Outlet(stream);
    let drained = 0;
    outlet.send(Buffer.from('one'));
    const waiting = [outlet.drained().then(() => drained++), outlet.drained().then(() => drained++)];
    outlet.send(Buffer.from('two'));
    await tick();
    stream.finishOne();
    await tick();
    expect([outlet.empty, drained]).toEqual([false, 0]);
    stream.finishOne();
    await Promise.all(waiting);
    expect([outlet.empty, drained]).toEqual([true, 2]);
    await outlet.drained();
  });

  test('nobody waits for a stream that is gone', async () => {
    const stream = new Slow();
    stream.on('error', () => {});
    const outlet = new Outlet(stream);
    outlet.send(Buffer.alloc(2_000_000));
    const waiting = outlet.drained();
    expect(outlet.full).toBe(true);
    stream.destroy();
    await waiting;
    outlet.send(Buffer.from('unheard'));
    await outlet.drained();
    expect([outlet.full, outlet.empty, stream.written.length]).toEqual([false, true, 1]);
  });
});
