import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerLabel } from '../../../src/config/label-layers.ts';
import { defaultLabel } from '../../../src/config/schema.ts';
import { Seeded } from '../../support/random.ts';

test('without layers the defaults apply', () => {
  assert.deepEqual(layerLabel(), defaultLabel);
  assert.deepEqual(layerLabel(undefined, {}), defaultLabel);
});

test('later layers win', () => {
  const label = layerLabel({ on: 0.5, off: 0.2, hold: 9 }, { off: 0.3, max: 60 });
  assert.deepEqual(label, { ...defaultLabel, on: 0.5, off: 0.3, hold: 9, max: 60 });
});

test('`on` without `off` scales `off` in proportion, `window` without `hits` scales `hits`', () => {
  const base = { on: 0.6, off: 0.4, window: 5, hits: 3 };
  assert.equal(layerLabel(base, { on: 0.3 }).off, 0.2);
  assert.equal(layerLabel(base, { on: 0.9 }).off, 0.6);
  assert.equal(layerLabel(base, { window: 1 }).hits, 1);
  assert.equal(layerLabel(base, { window: 2 }).hits, 2);
  assert.equal(layerLabel(base, { window: 10 }).hits, 6);
  assert.equal(layerLabel({ on: 0, off: 0 }, { on: 0.5 }).off, 0);
});

test('layers that set one of a pair never make a contradiction', () => {
  const random = new Seeded(1);
  for (let round = 0; round < 500; round++) {
    const layers = Array.from({ length: random.int(1, 4) }, () =>
      random.chance(0.5) ? { on: random.next() } : { window: random.int(1, 60) },
    );
    const { on, off, window, hits } = layerLabel(...layers);
    assert.ok(off <= on && hits >= 1 && hits <= window, JSON.stringify(layers));
  }
});
