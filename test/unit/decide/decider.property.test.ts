/** What must hold for the decider whatever it is shown. Seeded: a failure names the seed that repeats it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerLabel } from '../../../src/config/label-layers.ts';
import type { LabelConfig, LabelOverride } from '../../../src/config/schema.ts';
import type { DetectionEvent, EventChange } from '../../../src/types.ts';
import { analysis, type Look, makeDecider, T0 } from '../../fakes/analysis.ts';
import { Seeded } from '../../support/random.ts';

const SEEDS = Array.from({ length: 150 }, (_, i) => i + 1);

function settings(random: Seeded): LabelOverride {
  const on = random.int(1, 10) / 10;
  const window = random.int(1, 8);
  return {
    on,
    off: (on * random.int(0, 10)) / 10,
    window,
    hits: random.int(1, window),
    hold: random.pick([0, 0.3, 1, 5, 30]),
    min: random.pick([0, 0, 1, 8]),
    max: random.pick([10, 60, 3600]),
  };
}

/** A life: frames at an uneven pace, gated or not, of several zones, with stalls, clock jumps, commands and ticks. */
function live(seed: number): { changes: EventChange[]; labels: Record<string, LabelConfig> } {
  const random = new Seeded(seed);
  const labels = { dog: settings(random), car: settings(random) };
  const decider = makeDecider(labels);
  const changes: EventChange[] = [];
  let t = 0;
  let jump = 0;
  let level = { dog: 0, car: 0 };
  for (let i = 0; i < 300; i++) {
    t += random.chance(0.02) ? random.int(5, 100) : random.pick([0, 0.04, 0.2, 0.2, 0.25, 1]);
    if (random.chance(0.01)) jump += random.int(-86_400_000, 86_400_000);
    if (random.chance(0.1)) level = { dog: random.next(), car: random.next() };
    if (random.chance(0.02)) decider.setThreshold(random.chance(0.5) ? null : random.next());
    const wall = T0 + Math.round(t * 1000) + jump;
    const noisy = (score: number) => Math.min(1, Math.max(0, score + (random.next() - 0.5) * 0.3));
    const looks: Look[] = Array.from({ length: random.pick([0, 1, 1, 2]) }, () => ({
      dog: noisy(level.dog),
      car: noisy(level.car),
      zone: random.pick([null, null, 'lawn']),
    }));
    if (random.chance(0.2)) changes.push(...decider.tick(wall, t * 1000));
    else changes.push(...decider.observe(analysis(t, looks, wall)).changes);
    if (random.chance(0.005)) changes.push(...decider.close(wall));
    checkOpen(changes, decider.open, seed);
  }
  changes.push(...decider.close(T0 + Math.round(t * 1000) + jump));
  assert.deepEqual(decider.open, [], `seed ${seed}: close() ends all`);
  const effective = Object.entries(labels).map(([name, label]) => [name, layerLabel(label)]);
  return { changes, labels: Object.fromEntries(effective) as Record<string, LabelConfig> };
}

/** The open events are those that were started and not ended. */
function checkOpen(changes: EventChange[], open: DetectionEvent[], seed: number): void {
  const ids = new Set<string>();
  for (const { type, event } of changes) {
    if (type === 'start') ids.add(event.id);
    if (type === 'end') ids.delete(event.id);
  }
  assert.deepEqual(open.map(({ id }) => id).sort(), [...ids].sort(), `seed ${seed}`);
}

test('every event has one start, then updates, then one end, and its best score only grows', () => {
  let events = 0;
  for (const seed of SEEDS) {
    const { changes } = live(seed);
    for (const id of new Set(changes.map(({ event }) => event.id))) {
      const life = changes.filter(({ event }) => event.id === id);
      const types = life.map(({ type }) => type).join(' ');
      assert.match(types, /^start( update)* end$/, `seed ${seed}, ${id}`);
      for (const [i, { event, type }] of life.entries()) {
        assert.ok(event.score <= event.topScore, `seed ${seed}`);
        assert.equal(event.endedAt === null, type !== 'end', `seed ${seed}`);
        if (i > 0) assert.ok(event.topScore >= life[i - 1]!.event.topScore, `seed ${seed}`);
      }
      events++;
    }
  }
  assert.ok(events > 1000, `the generator makes too few events: ${events}`);
});

test('events of one zone and label never overlap, and ids are never used twice', () => {
  for (const seed of SEEDS) {
    const { changes } = live(seed);
    const open = new Map<string, string>();
    const used = new Set<string>();
    for (const { type, event } of changes) {
      const key = `${event.zone} ${event.label}`;
      if (type === 'start') {
        assert.ok(!open.has(key), `seed ${seed}: ${key} overlaps`);
        assert.ok(!used.has(event.id), `seed ${seed}: ${event.id} twice`);
        used.add(event.id);
        open.set(key, event.id);
      } else assert.equal(open.get(key), event.id, `seed ${seed}`);
      if (type === 'end') open.delete(key);
    }
  }
});

test('no event ends before it starts, whatever the wall clock does', () => {
  for (const seed of SEEDS) {
    for (const { event } of live(seed).changes) {
      assert.ok(event.endedAt === null || event.endedAt >= event.startedAt, `seed ${seed}`);
    }
  }
});

test('the reason of every event holds true', () => {
  for (const seed of SEEDS) {
    const { changes, labels } = live(seed);
    for (const { event, type } of changes) {
      if (type !== 'start') continue;
      const { scores, threshold, hits, window } = event.reason;
      const label = labels[event.label]!;
      assert.equal(window, label.window, `seed ${seed}`);
      assert.ok(scores.length <= window, `seed ${seed}`);
      assert.equal(scores.filter((score) => score >= threshold).length, hits, `seed ${seed}`);
      assert.ok(hits >= label.hits, `seed ${seed}`);
      assert.equal(scores.at(-1), event.score, `seed ${seed}`);
    }
  }
});

test('a constant score never flaps: it starts one event or none', () => {
  for (const seed of SEEDS) {
    const random = new Seeded(seed);
    const label = layerLabel({ ...settings(random), max: 86_400 });
    const decider = makeDecider({ dog: label });
    const dog = random.int(0, 100) / 100;
    const changes: EventChange[] = [];
    for (let i = 0; i < 400; i++) {
      const gated = random.chance(0.2);
      changes.push(...decider.observe(analysis(i / 5, gated ? [] : [{ dog }])).changes);
    }
    const expected = dog >= label.on ? ['start'] : [];
    assert.deepEqual(
      changes.map(({ type }) => type),
      expected,
      `seed ${seed}`,
    );
  }
});

test('events start exactly when a naive count of N of the last M says so', () => {
  for (const seed of SEEDS) {
    const random = new Seeded(seed);
    const { on, off, window, hits } = layerLabel(settings(random));
    const decider = makeDecider({ dog: { on, off, window, hits, hold: 3600, max: 86_400 } });
    const scores: number[] = [];
    let started = false;
    for (let i = 0; i < 100 && !started; i++) {
      const dog = random.int(0, 20) / 20;
      scores.push(dog);
      started = decider.observe(analysis(i / 5, [{ dog }])).changes.length > 0;
      const naive = scores.slice(-window).filter((score) => score >= on).length >= hits;
      assert.equal(started, naive, `seed ${seed}, frame ${i}`);
    }
  }
});
