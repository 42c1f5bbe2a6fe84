import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScoreWindow } from '../../../src/decide/track.ts';
import { Seeded } from '../../support/random.ts';

test('the window counts exactly the last scores that reach the threshold, as a naive count does', () => {
  const random = new Seeded(7);
  for (let round = 0; round < 100; round++) {
    const size = random.int(1, 12);
    const window = new ScoreWindow(size);
    const all: number[] = [];
    for (let i = 0; i < 60; i++) {
      const score = random.int(0, 10) / 10;
      all.push(score);
      window.push(score);
      const threshold = random.int(0, 10) / 10;
      assert.deepEqual(window.toArray(), all.slice(-size));
      assert.equal(window.hits(threshold), all.slice(-size).filter((s) => s >= threshold).length);
    }
    window.clear();
    assert.deepEqual(window.toArray(), []);
    assert.equal(window.hits(0), 0);
  }
});
