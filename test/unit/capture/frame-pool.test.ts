import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FramePool } from '../../../src/capture/frame-pool.ts';

test('a released buffer is handed out again for the same size only', () => {
  const pool = new FramePool();
  const buffer = pool.acquire(100);
  assert.equal(buffer.byteLength, 100);
  pool.release(buffer);
  assert.notEqual(pool.acquire(101), buffer);
  assert.equal(pool.acquire(100), buffer);
  assert.notEqual(pool.acquire(100), buffer);
});

test('a buffer that is released twice is not handed out twice', () => {
  const pool = new FramePool();
  const buffer = pool.acquire(10);
  pool.release(buffer);
  pool.release(buffer);
  assert.notEqual(pool.acquire(10), pool.acquire(10));
});

test('a buffer that was transferred away is not kept', () => {
  const pool = new FramePool();
  const buffer = pool.acquire(10);
  structuredClone(buffer, { transfer: [buffer] });
  pool.release(buffer);
  assert.equal(pool.acquire(10).byteLength, 10);
});

test('the pool keeps no more than its limit and drops the least recently used size', () => {
  const pool = new FramePool(30);
  const old = pool.acquire(10);
  const [a, b, c] = [pool.acquire(12), pool.acquire(12), pool.acquire(12)];
  pool.release(old);
  pool.release(a);
  pool.release(b);
  assert.notEqual(pool.acquire(10), old, '10 + 24 bytes are too many');
  pool.release(c);
  const again = new Set([pool.acquire(12), pool.acquire(12), pool.acquire(12)]);
  assert.equal([a, b, c].filter((buffer) => again.has(buffer)).length, 2);
});

test('a buffer larger than the limit is not kept', () => {
  const pool = new FramePool(30);
  const large = pool.acquire(31);
  pool.release(large);
  assert.notEqual(pool.acquire(31), large);
});

test('buffers that were needed only once are freed after a while', () => {
  const pool = new FramePool();
  const crowd = Array.from({ length: 20 }, () => pool.acquire(10));
  for (const buffer of crowd) pool.release(buffer);
  for (let frame = 0; frame < 1000; frame++) {
    const [a, b] = [pool.acquire(10), pool.acquire(10)];
    pool.release(a);
    pool.release(b);
  }
  const left = Array.from({ length: 20 }, () => pool.acquire(10)).filter((buffer) => crowd.includes(buffer));
  assert.equal(left.length, 2);
});
