import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import type { ModelDescription } from '../../../src/model/description.ts';
import { Slots } from '../../../src/vision/input-slots.ts';
import { type ModelQueue, Pipeline } from '../../../src/vision/pipeline.ts';
import type { FromVision } from '../../../src/vision/thread-messages.ts';

const FORMAT = { width: 64, height: 48, pixels: 'rgb24', colour: 'jpeg' } as const;
const MODEL: ModelDescription = {
  name: 'fake',
  task: 'classify',
  input: {
    ...{ name: 'image', width: 4, height: 4, layout: 'nhwc', type: 'uint8', channels: 3, order: 'rgb' },
    ...{ mean: [0, 0, 0], scale: [1, 1, 1] },
  },
  output: { name: 'scores', kind: 'probabilities' },
  labels: ['dark', 'light'],
  ...{ background: [], groups: {}, events: {}, warning: null, licence: null },
};
const square = (x: number) => ({
  polygon: [
    [x, 0],
    [x + 0.2, 0],
    [x + 0.2, 1],
  ],
});

/** A pipeline whose model answers when told to, with the first byte of its input as the score of `light`. */
class Bench {
  readonly reported: FromVision[] = [];
  readonly asked: number[] = [];
  readonly closed: string[] = [];
  readonly pipeline: Pipeline;
  readonly #slots = new Slots(MODEL, 1);
  readonly #queue: ModelQueue = {
    ...{ key: 'fake', model: MODEL, slots: this.#slots },
    infer: (slot) => this.asked.push(slot),
    close: () => this.closed.push('fake'),
  };
  #id = 0;

  constructor() {
    const source = { kind: 'demo' };
    const { cameras } = configSchema.parse({
      cameras: {
        all: { source, gate: 'always', classify: 'frame' },
        none: { source, interval: 0 },
        zones: {
          ...{ source, gate: 'always', classify: 'zones' },
          zones: { a: square(0), b: square(0.2), c: square(0.4), d: square(0.6), e: square(0.8) },
        },
      },
    });
    const uses = Object.keys(cameras).map((name) => [name, { camera: 'fake', zones: {} }]);
    this.pipeline = new Pipeline({
      cameras,
      queues: [this.#queue],
      uses: Object.fromEntries(uses),
      report: (analysis) => this.reported.push(analysis),
    });
  }

  frame(camera: string, level = 0): number {
    const data = new Uint8Array(64 * 48 * 3).fill(level).buffer;
    this.pipeline.frame({
      type: 'frame',
      id: this.#id,
      camera,
      format: FORMAT,
      monotonic: this.#id * 200,
      data,
    });
    return this.#id++;
  }

  answer(): void {
    const slot = this.asked.shift()!;
    this.#slots.outputs[slot]![1] = this.#slots.inputs[slot]![0]!;
    this.#slots.times[slot] = 4;
    this.pipeline.answered(this.#queue, slot);
  }

  /** Has all cameras use a new model, whose inputs go to the returned list. */
  swap(): { queue: ModelQueue; asked: number[]; answer: () => void } {
    const asked: number[] = [];
    const queue: ModelQueue = {
      key: 'next',
      model: MODEL,
      slots: new Slots(MODEL, 1),
      infer: (slot) => asked.push(slot),
      close: () => this.closed.push('next'),
    };
    const use = { camera: 'next', zones: {} };
    this.pipeline.setModels([queue], { all: use, none: use, zones: use });
    return { queue, asked, answer: () => this.pipeline.answered(queue, asked.shift()!) };
  }

  get ids(): number[] {
    return this.reported.map(({ id }) => id);
  }
}

test('a frame is resized while the model works on the one before, but no further ahead than there are slots', () => {
  const bench = new Bench();
  for (let level = 1; level <= 4; level++) bench.frame('all', level);
  assert.equal(bench.asked.length, 2);
  assert.deepEqual(bench.ids, []);
  for (let done = 1; done <= 4; done++) {
    bench.answer();
    assert.equal(bench.reported.at(-1)!.scores[0]!.probabilities[1], done);
  }
  assert.deepEqual(bench.ids, [0, 1, 2, 3]);
  assert.ok(bench.pipeline.idle);
});

test('a frame with more regions than slots is analysed whole, with the regions in order', () => {
  const bench = new Bench();
  bench.frame('zones', 9);
  bench.frame('all', 7);
  for (let answers = 0; answers < 6; answers++) {
    assert.equal(bench.reported.length, answers === 5 ? 1 : 0);
    bench.answer();
  }
  const [zones, all] = bench.reported;
  assert.deepEqual(
    zones!.scores.map(({ region }) => region.zone),
    ['a', 'b', 'c', 'd', 'e'],
  );
  assert.equal(zones!.times.inference, 20);
  assert.equal(all!.scores[0]!.probabilities[1], 7);
});

test('a frame without anything to see does not overtake one that the model works on', () => {
  const bench = new Bench();
  bench.frame('all');
  bench.frame('none');
  assert.deepEqual(bench.ids, []);
  bench.answer();
  assert.deepEqual(bench.ids, [0, 1]);
  assert.deepEqual(bench.reported[1]!.scores, []);
  assert.equal(bench.reported[1]!.gate, 'still');
  bench.frame('none');
  assert.deepEqual(bench.ids, [0, 1, 2]);
});

test('the scores of one frame do not change when its slot is used again', () => {
  const bench = new Bench();
  bench.frame('all', 5);
  bench.answer();
  bench.frame('all', 6);
  bench.answer();
  assert.deepEqual(
    bench.reported.map(({ scores }) => scores[0]!.probabilities[1]),
    [5, 6],
  );
});

test('a model that is retired finishes the frames in flight before it is closed; later frames go to the new one', () => {
  const bench = new Bench();
  bench.frame('all', 3);
  bench.frame('all', 4);
  const next = bench.swap();
  bench.frame('all', 5);
  assert.deepEqual(bench.closed, []);
  bench.answer();
  assert.deepEqual(bench.closed, [], 'one of its frames is still in flight');
  bench.answer();
  assert.deepEqual(bench.closed, ['fake']);
  assert.equal(next.asked.length, 1);
  next.answer();
  assert.deepEqual(
    bench.reported.map(({ scores }) => scores[0]!.model),
    ['fake', 'fake', 'next'],
  );
  assert.deepEqual(bench.ids, [0, 1, 2]);
  assert.deepEqual(bench.closed, ['fake']);
});

test('a model that is retired without a frame in flight is closed immediately', () => {
  const bench = new Bench();
  bench.frame('all');
  bench.answer();
  bench.swap();
  assert.deepEqual(bench.closed, ['fake']);
});
