import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LabelOverride } from '../../../src/config/schema.ts';
import type { Decider } from '../../../src/decide/decider.ts';
import type { EventChange } from '../../../src/types.ts';
import { analysis, type Look, makeDecider, T0, toyModel, WHOLE } from '../../fakes/analysis.ts';

const FPS = 5;

/** Shows one look a frame at 5 frames a second; null is a frame that the gate kept from the model. */
function play(decider: Decider, dogs: (number | null)[], from = 0): string[] {
  return dogs.flatMap((dog, i) => {
    const t = from + i / FPS;
    const { changes } = decider.observe(analysis(t, dog === null ? [] : [{ dog }]));
    return changes.map((change) => `${change.type}@${t}`);
  });
}

const dog = (settings: LabelOverride = {}) => makeDecider({ dog: { on: 0.6, off: 0.4, ...settings } });
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

test('an event starts with the last of enough hits, in a row or not', () => {
  assert.deepEqual(play(dog({ window: 5, hits: 3 }), [0.7, 0, 0.7, 0, 0.7]), ['start@0.8']);
  assert.deepEqual(play(dog({ window: 5, hits: 3 }), [0.7, 0, 0, 0.7, 0, 0.7, 0, 0]), []);
  assert.deepEqual(play(dog({ window: 1, hits: 1 }), [0.59, 0.6]), ['start@0.2']);
});

test('frames that the gate kept from the model neither fill nor empty the window', () => {
  assert.deepEqual(play(dog({ window: 3, hits: 3 }), [0.7, null, null, 0.7, null, 0.7]), ['start@1']);
});

test('scores between off and on hold an event but start none', () => {
  const decider = dog({ window: 1, hits: 1, hold: 1 });
  assert.deepEqual(play(decider, times(50, 0.5)), []);
  assert.deepEqual(play(decider, [0.6, ...times(100, 0.4)], 10), ['start@10']);
});

test('an event ends when the label was absent for `hold`, at the time it was last seen', () => {
  const decider = dog({ window: 1, hits: 1, hold: 2 });
  const ended: EventChange[] = [];
  for (let i = 0; i < 30; i++) {
    ended.push(...decider.observe(analysis(i / FPS, [{ dog: i <= 10 ? 0.9 : 0.1 }])).changes.slice());
  }
  assert.deepEqual(
    ended.map(({ type, event }) => [type, event.startedAt - T0, event.endedAt && event.endedAt - T0]),
    [
      ['start', 0, null],
      ['end', 0, 2000],
    ],
  );
});

test('a gap shorter than `hold` does not split an event', () => {
  const decider = dog({ window: 1, hits: 1, hold: 2 });
  assert.deepEqual(play(decider, [0.9, ...times(9, 0), 0.9, ...times(9, null), 0.9]), ['start@0']);
});

test('after its end an event needs fresh hits', () => {
  const decider = dog({ window: 5, hits: 3, hold: 0.4 });
  const scores = [0.9, 0.9, 0.9, 0, 0, 0.9, 0.9, 0, 0.9];
  assert.deepEqual(play(decider, scores), ['start@0.4', 'end@0.8', 'start@1.6']);
});

test('with `hold: 0` the first frame without the label ends the event, a frame not looked at does not', () => {
  const decider = dog({ window: 1, hits: 1, hold: 0 });
  assert.deepEqual(play(decider, [0.9, null, 0.9, 0.9, 0.1]), ['start@0', 'end@0.8']);
});

test('hits with so much silence between them that an event would have ended do not add up', () => {
  const decider = dog({ window: 5, hits: 2, hold: 5 });
  assert.deepEqual(play(decider, [0, 0, 0.9]), []);
  assert.deepEqual(play(decider, [0.9], 6), []);
  assert.deepEqual(play(decider, [null, null, 0.9], 10), ['start@10.4']);
});

test('a hit is looked at again until it is an event or is none', () => {
  const decider = dog({ window: 3, hits: 2, hold: 5 });
  const box = { x: 0.5, y: 0.5, w: 0.25, h: 0.25 };
  decider.observe(analysis(0, [{ dog: 0.9, box }, { dog: 0.1 }]));
  assert.deepEqual(decider.openRegions, [{ box, zone: null }]);
  decider.observe(analysis(1, [{ dog: 0.1, box }]));
  assert.deepEqual(decider.openRegions, []);
  decider.observe(analysis(2, [{ dog: 0.9, box }]));
  assert.deepEqual([decider.open.length, decider.openRegions], [1, [{ box, zone: null }]]);
});

test('`hold` runs on while nothing is analysed', () => {
  const decider = dog({ window: 1, hits: 1, hold: 3 });
  assert.deepEqual(play(decider, [0.9, ...times(20, null)]), ['start@0', 'end@3']);
});

test('`hold` runs on while no frames come at all', () => {
  const decider = dog({ window: 1, hits: 1, hold: 3 });
  play(decider, [0.9]);
  assert.deepEqual(decider.tick(T0 + 2999, 2999), []);
  const [change, ...more] = decider.tick(T0 + 3000, 3000);
  assert.equal(change?.type, 'end');
  assert.equal(change.event.endedAt, T0);
  assert.deepEqual(more, []);
  assert.deepEqual(decider.open, []);
});

test('a camera with a frame a minute keeps its window and its event over the minute', () => {
  const decider = dog({ window: 2, hits: 2, hold: 5 });
  const changes: string[] = [];
  for (let second = 0; second < 600; second++) {
    changes.push(...decider.tick(T0 + second * 1000, second * 1000).map(({ type }) => `${type}@${second}`));
    if (second % 60 !== 0) continue;
    const { changes: now } = decider.observe(
      analysis(second, [{ dog: second >= 120 && second < 420 ? 0.9 : 0 }]),
    );
    changes.push(...now.map(({ type }) => `${type}@${second}`));
  }
  assert.deepEqual(changes, ['start@180', 'end@420']);
});

test('one stall does not lengthen the patience with silence', () => {
  const decider = dog({ window: 1, hits: 1, hold: 5 });
  play(decider, [0, 0, 0]);
  play(decider, [0.9], 60);
  assert.equal(decider.tick(T0 + 65_000, 65_000).length, 1);
});

test('`min` keeps a short event open', () => {
  const decider = dog({ window: 1, hits: 1, hold: 0, min: 2 });
  const ends: EventChange[] = [];
  for (let i = 0; i < 20; i++)
    ends.push(...decider.observe(analysis(i / FPS, [{ dog: i === 0 ? 0.9 : 0 }])).changes);
  assert.deepEqual(
    ends.map(({ type, event }) => [type, event.endedAt]),
    [
      ['start', null],
      ['end', T0 + 2000],
    ],
  );
});

test('`max` ends an event that would never end, and a new one may follow', () => {
  const decider = dog({ window: 2, hits: 2, hold: 5, max: 10 });
  assert.deepEqual(play(decider, times(60, 0.9)), ['start@0.2', 'end@10.2', 'start@10.6']);
});

test('stamps are wall-clock time, durations are not: the wall clock may jump', () => {
  for (const jump of [-3_600_000, 3_600_000]) {
    const decider = dog({ window: 1, hits: 1, hold: 2 });
    const changes: EventChange[] = [];
    for (let i = 0; i < 40; i++) {
      const wall = T0 + i * 200 + (i >= 5 ? jump : 0);
      changes.push(...decider.observe(analysis(i / FPS, [{ dog: i < 10 ? 0.9 : 0 }], wall)).changes);
    }
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['start', 'end'],
    );
    const { startedAt, endedAt } = changes[1]!.event;
    assert.equal(startedAt, T0);
    assert.equal(endedAt, T0 + 1800, 'both times are of the clock as it was at the start');
  }
});

test('an event contains the reason of its start', () => {
  const decider = dog({ window: 4, hits: 2 });
  decider.observe(analysis(0, [{ dog: 0.7 }]));
  decider.observe(analysis(0.2, [{ dog: 0.1 }]));
  const { changes } = decider.observe(analysis(0.4, [{ dog: 0.8, box: { x: 0.1, y: 0.2, w: 0.3, h: 0.4 } }]));
  assert.deepEqual(changes, [
    {
      type: 'start',
      event: {
        id: 'id-000001',
        camera: 'door',
        zone: null,
        label: 'dog',
        score: 0.8,
        topScore: 0.8,
        box: { x: 0.1, y: 0.2, w: 0.3, h: 0.4 },
        startedAt: T0 + 400,
        endedAt: null,
        model: 'toy',
        snapshot: null,
        reason: { scores: [0.7, 0.1, 0.8], threshold: 0.6, hits: 2, window: 4, gate: 'motion' },
      },
    },
  ]);
});

test('an update is reported immediately for a much better score, and later for a slightly better one', () => {
  const decider = dog({ window: 1, hits: 1 });
  assert.deepEqual(play(decider, [0.6, 0.64, 0.65, 0.5, 0.66]), ['start@0', 'update@0.4']);
  assert.deepEqual(play(decider, [0.6, 0.65, 0.665, 0.67], 6), ['update@6.4']);
  assert.deepEqual(play(decider, [...times(200, 0.67), 0.671], 12), []);
});

test('the frame of a start or an update is the best one so far', () => {
  const decider = dog({ window: 1, hits: 1 });
  const best = [0.6, 0.62, 0.7, 0.65].map((score, i) => {
    const decision = decider.observe(analysis(i / FPS, [{ dog: score }]));
    return decision.best.map(({ topScore }) => topScore);
  });
  assert.deepEqual(best, [[0.6], [], [0.7], []]);
});

test('of several regions the best one counts, and the box is its own', () => {
  const decider = dog({ window: 1, hits: 1 });
  const box = { x: 0.5, y: 0.5, w: 0.25, h: 0.25 };
  const { changes } = decider.observe(analysis(0, [{ dog: 0.3 }, { dog: 0.8, box }, { dog: 0.5 }]));
  assert.deepEqual(changes[0]?.event.box, box);
  assert.equal(changes[0]?.event.score, 0.8);
});

test('the box of an event is where its best score was, its region where it was last seen', () => {
  const decider = dog({ window: 1, hits: 1 });
  const [left, right, nowhere] = [0, 0.5, 0.75].map((x) => ({ x, y: 0, w: 0.25, h: 1 }));
  decider.observe(analysis(0, [{ dog: 0.9, box: left! }]));
  decider.observe(analysis(0.2, [{ dog: 0.7, box: right! }]));
  decider.observe(analysis(0.4, [{ dog: 0.1, box: nowhere! }]));
  assert.deepEqual(decider.open[0]?.box, left);
  assert.deepEqual(decider.openRegions, [{ box: right, zone: null }]);
});

test('events of two labels in one place make one region to analyse', () => {
  const decider = makeDecider({ dog: { window: 1, hits: 1 }, car: { window: 1, hits: 1 } });
  decider.observe(analysis(0, [{ dog: 0.9, car: 0.8 }]));
  assert.equal(decider.open.length, 2);
  assert.deepEqual(decider.openRegions, [{ box: WHOLE, zone: null }]);
});

test('zones have events of their own, and only of their labels', () => {
  const settings = { window: 1, hits: 1, hold: 1 };
  const both = toyModel({ dog: settings, car: settings });
  const decider = makeDecider({}, { models: { camera: both, zones: { road: toyModel({ car: settings }) } } });
  const seen: string[] = [];
  const look = (t: number, looks: Look[]) => {
    for (const { type, event } of decider.observe(analysis(t, looks)).changes) {
      seen.push(`${type} ${event.label} ${event.zone} ${t}`);
    }
  };
  look(0, [{ zone: 'road', dog: 0.9, car: 0.9 }]);
  look(0.2, [{ zone: 'lawn', dog: 0.9 }]);
  look(1.4, [
    { zone: 'lawn', dog: 0.9 },
    { zone: 'road', dog: 0.9 },
  ]);
  assert.deepEqual(seen, ['start car road 0', 'start dog lawn 0.2', 'end car road 1.4']);
});

test('a zone that was not analysed is not empty', () => {
  const decider = makeDecider({ dog: { window: 2, hits: 2, hold: 0 } });
  decider.observe(analysis(0, [{ zone: 'a', dog: 0.9 }]));
  decider.observe(analysis(0.2, [{ zone: 'b', dog: 0.1 }]));
  decider.observe(analysis(0.4, [{ zone: 'a', dog: 0.9 }]));
  decider.observe(analysis(0.6, [{ zone: 'b', dog: 0.1 }]));
  assert.deepEqual(
    decider.open.map(({ zone }) => zone),
    ['a'],
  );
});

test('another model or other settings end the events that they change, and no others', () => {
  const settings = { window: 1, hits: 1, hold: 60 };
  const decider = makeDecider(
    {},
    {
      models: {
        camera: toyModel({ dog: settings, car: settings }),
        zones: { yard: toyModel({ dog: settings }) },
      },
    },
  );
  const looks = (): Look[] => [
    { dog: 0.9, car: 0.9 },
    { zone: 'yard', dog: 0.9 },
  ];
  const told = (changes: EventChange[]) =>
    changes.map(({ type, event }) => `${type} ${event.zone} ${event.label} by ${event.model}`);
  assert.equal(decider.observe(analysis(0, looks())).changes.length, 3);

  const yard = toyModel({ dog: settings }, 'birds');
  const milder = toyModel({ dog: settings, car: { ...settings, on: 0.5 } });
  assert.deepEqual(told(decider.setModels({ camera: milder, zones: { yard } }, T0 + 500)), [
    'end null car by toy',
    'end yard dog by toy',
  ]);
  // What the old model still says of the yard is not for the new one's labels.
  assert.deepEqual(told(decider.observe(analysis(1, looks())).changes), ['start null car by toy']);
  const late = analysis(2, [{ zone: 'yard', dog: 0.9 }], undefined, undefined, 'birds');
  assert.deepEqual(told(decider.observe(late).changes), ['start yard dog by birds']);

  const grouped = toyModel({ dog: settings, car: { ...settings, on: 0.5 } }, 'toy', { dog: ['dog', 'car'] });
  assert.deepEqual(told(decider.setModels({ camera: grouped, zones: { yard } }, T0 + 3000)), [
    'end null dog by toy',
  ]);
  assert.deepEqual(told(decider.close(T0 + 4000)).sort(), ['end null car by toy', 'end yard dog by birds']);
});

test('detections are all labels of all regions from the log threshold on', () => {
  const decider = makeDecider({ dog: {} }, { logThreshold: 0.3 });
  const { detections } = decider.observe(
    analysis(1, [
      { dog: 0.3, car: 0.7 },
      { dog: 0.29, zone: 'lawn' },
    ]),
  );
  const common = { camera: 'door', zone: null, box: WHOLE, capturedAt: T0 + 1000, model: 'toy' };
  assert.deepEqual(detections, [
    { ...common, label: 'dog', score: 0.3 },
    { ...common, label: 'car', score: 0.7 },
  ]);
});

test('a threshold set at run time replaces `on`; `off` keeps its distance and stays at least 0', () => {
  const decider = dog({ window: 1, hits: 1, hold: 0.2 });
  decider.setThreshold(0.9);
  assert.deepEqual(play(decider, [0.8, 0.9, 0.7, 0.69]), ['start@0.2', 'end@0.6']);
  decider.setThreshold(0.1);
  assert.deepEqual(play(decider, [0.1, 0, 0], 10), ['start@10']);
  decider.close(T0);
  decider.setThreshold(null);
  assert.deepEqual(play(decider, [0.59, 0.6, 0.4, 0.39], 20), ['start@20.2', 'end@20.6']);
});

test('a threshold set before a zone was first seen holds there too', () => {
  const decider = dog({ window: 1, hits: 1 });
  decider.setThreshold(0.9);
  assert.deepEqual(decider.observe(analysis(0, [{ zone: 'late', dog: 0.8 }])).changes, []);
});

test('closing ends all events and discards a partial window', () => {
  const decider = makeDecider({ dog: { window: 3, hits: 2 }, car: { window: 3, hits: 2 } });
  decider.observe(analysis(0, [{ dog: 0.9, car: 0.9 }]));
  decider.observe(analysis(0.2, [{ dog: 0.9 }]));
  const changes = decider.close(T0 + 900);
  assert.deepEqual(
    changes.map(({ type, event }) => [type, event.label, event.endedAt]),
    [['end', 'dog', T0 + 200]],
  );
  assert.deepEqual(decider.close(T0 + 1000), []);
  assert.deepEqual(decider.observe(analysis(1, [{ dog: 0.9, car: 0.9 }])).changes, []);
});

test('reported events do not change later', () => {
  const decider = dog({ window: 1, hits: 1, hold: 0 });
  const [start] = decider.observe(analysis(0, [{ dog: 0.7 }])).changes;
  const [update] = decider.observe(analysis(0.2, [{ dog: 0.9 }])).changes;
  decider.observe(analysis(0.4, [{ dog: 0 }]));
  assert.deepEqual([start?.event.topScore, start?.event.endedAt], [0.7, null]);
  assert.deepEqual([update?.event.topScore, update?.event.endedAt], [0.9, null]);
});
