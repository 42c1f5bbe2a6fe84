import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { test } from 'node:test';
import { createIdSource } from '../../../src/runtime/id.ts';

const T = Date.UTC(2026, 0, 1);
const zeros = (bytes: Uint8Array) => void bytes.fill(0);
const ones = (bytes: Uint8Array) => void bytes.fill(255);
const timeOf = (id: string) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

test('an identifier has the layout of a version 7 UUID and carries its time', () => {
  const id = createIdSource(ones)(T + 0.9);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(timeOf(id), T);
});

test('the example of RFC 9562, appendix A.6, comes out of its time and random bits', () => {
  const rand = [0, 0, 0, 0, 0, 0, 0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
  const id = createIdSource((bytes) => bytes.set(rand))(0x017f22e279b0);
  // The RFC's rand_a is cc3; ours is a counter that starts in the lower half: 4c3.
  assert.equal(id, '017f22e2-79b0-74c3-98c4-dc0c0c07398f');
});

test('identifiers of one millisecond are in order, and beyond 4096 borrow from the next one', () => {
  for (const random of [zeros, ones, (bytes: Uint8Array) => void randomFillSync(bytes)]) {
    const newId = createIdSource(random);
    const ids = Array.from({ length: 10_000 }, () => newId(T));
    assert.deepEqual([...ids].sort(), ids);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(timeOf(ids.at(-1)!) - T <= 5);
  }
});

test('identifiers keep growing when the wall clock jumps back by hours, and follow it when it was far ahead', () => {
  const newId = createIdSource(zeros);
  const ids = [newId(T), newId(T - 3_600_000), newId(T - 1), newId(T + 1), newId(T - 23 * 3_600_000)];
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(timeOf(ids[1]!), T);
  assert.equal(timeOf(newId(T - 35 * 86_400_000)), T - 35 * 86_400_000);
});
