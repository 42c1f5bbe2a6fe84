import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryDelay } from '../../../src/publish/broker-connection.ts';

test('waits double from one second to half a minute, with up to a quarter by chance', () => {
  const waits = [0, 1, 2, 3, 4, 5, 6, 100].map((failures) => retryDelay(failures, () => 0));
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(
    retryDelay(0, () => 1),
    1250,
  );
  assert.equal(
    retryDelay(50, () => 0.5),
    33_750,
  );
});
