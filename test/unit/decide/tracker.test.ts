import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FoundObject } from '../../../src/decide/object-track.ts';
import { Tracker } from '../../../src/decide/tracker.ts';
import { Random } from '../../../src/runtime/random.ts';
import { follow, truthOf } from '../../support/tracking.ts';

const thresholds = () => ({ high: 0.5, low: 0.2 });
const found = (x: number, y = 0.4, score = 0.8, label = 'person'): FoundObject => ({
  label,
  score,
  box: { x, y, w: 0.05, h: 0.15 },
});

test('three sights confirm a track, and it ends when it was away for the hold time', () => {
  const tracker = new Tracker({ thresholds, hits: 3, holdMs: 2000 });
  assert.equal(tracker.observe([found(0.4)], 0).confirmed.length, 0);
  assert.equal(tracker.observe([found(0.41)], 200).confirmed.length, 0);
  const [track] = tracker.observe([found(0.42)], 400).confirmed;
  assert.ok(track);
  assert.equal(tracker.observe([], 1400).ended.length, 0);
  assert.equal(track.state, 'lost');
  assert.deepEqual(tracker.observe([], 2400).ended, [track]);
  assert.equal(tracker.tracks.length, 0);
});

test('a low score continues a track but starts none', () => {
  const tracker = new Tracker({ thresholds, hits: 1 });
  tracker.observe([found(0.4, 0.4, 0.3)], 0);
  assert.equal(tracker.tracks.length, 0);
  tracker.observe([found(0.4)], 200);
  tracker.observe([found(0.41, 0.4, 0.3)], 400);
  assert.deepEqual(
    tracker.tracks.map(({ state, score }) => [state, score]),
    [['confirmed', 0.3]],
  );
});

test('where nobody has looked, nothing is missing', () => {
  const tracker = new Tracker({ thresholds, hits: 1, holdMs: 1000 });
  tracker.observe([found(0.4)], 0);
  const elsewhere = [{ x: 0.7, y: 0, w: 0.3, h: 1 }];
  for (let at = 1000; at <= 60_000; at += 1000) tracker.observe([], at, elsewhere);
  assert.equal(tracker.tracks[0]?.state, 'confirmed');
  tracker.observe([], 61_000, [{ x: 0, y: 0, w: 1, h: 1 }]);
  assert.equal(tracker.tracks.length, 0);
});

test('a thing that has not moved for ten seconds is stationary until it moves', () => {
  const tracker = new Tracker({ thresholds, hits: 1 });
  const random = new Random(5);
  for (let at = 0; at < 9000; at += 200) tracker.observe([found(0.4 + random.range(-0.003, 0.003))], at);
  assert.equal(tracker.tracks[0]!.stationary, false);
  for (let at = 9000; at <= 11_000; at += 200) tracker.observe([found(0.4)], at);
  assert.equal(tracker.tracks[0]!.stationary, true);
  for (let step = 1; step <= 5; step++) tracker.observe([found(0.4 + 0.02 * step)], 11_000 + 200 * step);
  assert.equal(tracker.tracks[0]!.stationary, false);
});

test('a track is called what it was called most', () => {
  const tracker = new Tracker({ thresholds, hits: 1 });
  const labels = ['car', 'truck', 'car', 'car', 'truck'];
  labels.forEach((label, index) => {
    tracker.observe([found(0.4, 0.4, 0.8, label)], 200 * index);
  });
  assert.deepEqual(
    tracker.tracks.map(({ label }) => label),
    ['car'],
  );
});

test('in scenes with one thing at a time no track changes its thing', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const { idf1, switches, tracks, actors } = follow(
      truthOf(seed, 120, 5, false),
      { missing: 0.2, jitter: 0.05 },
      seed,
    );
    assert.equal(switches, 0, `seed ${seed}`);
    assert.equal(tracks, actors, `seed ${seed}`);
    assert.ok(idf1 >= 0.95, `seed ${seed}: IDF1 ${idf1}`);
  }
});

test('things that cross and hide each other mostly keep their tracks', () => {
  const scores = [1, 2, 3, 4].map(
    (seed) => follow(truthOf(seed, 120, 5, true), { missing: 0.2, jitter: 0.05 }, seed).idf1,
  );
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  assert.ok(mean >= 0.9, `IDF1 ${mean}`);
});
