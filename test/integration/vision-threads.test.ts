import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { type CameraConfig, configSchema } from '../../src/config/schema.ts';
import type { Analysis, Frame } from '../../src/types.ts';
import type { VisionModel } from '../../src/vision/thread-messages.ts';
import { Vision, type VisionOptions } from '../../src/vision/vision.ts';
import { FakeClock } from '../fakes/clock.ts';
import { until } from '../support/until.ts';
import { colourModel } from '../unit/vision/colour-model.ts';

const FORMAT = { width: 64, height: 48, pixels: 'rgb24', colour: 'jpeg' } as const;
const BYTES = 64 * 48 * 3;
const CONFIG: VisionModel['config'] = {
  ...{ providers: ['cpu'], threads: 1, sessions: 1, spinning: false, exact: 'auto' },
};

function asModel(
  key: string,
  { file, description }: Omit<ReturnType<typeof colourModel>, 'remove'>,
): VisionModel {
  return { key, file, description, config: CONFIG };
}

/** A vision with two cameras, everything that it said, and the frames that came back. */
class Bench {
  readonly clock = new FakeClock();
  readonly analyses: Analysis[] = [];
  readonly dropped: Frame[] = [];
  readonly lines: { level: number; msg: string }[] = [];
  readonly vision: Vision;
  /** Its model, called `colour`. */
  readonly own: VisionModel;
  readonly #model: ReturnType<typeof colourModel>;
  #seq = 0;

  constructor(
    settings: Partial<CameraConfig> = {},
    change: {
      fragile?: boolean;
      models?: (own: VisionModel) => VisionModel[];
      uses?: VisionOptions['uses'];
    } = {},
  ) {
    const both = { camera: 'colour', zones: {} };
    const { fragile = false, models = (own) => [own], uses = { left: both, right: both } } = change;
    this.#model = colourModel({ fragile });
    this.own = asModel('colour', this.#model);
    const camera = { source: { kind: 'demo' }, ...settings };
    const config = configSchema.parse({ cameras: { left: camera, right: camera } });
    const log = pino({ level: 'trace' }, { write: (line: string) => this.lines.push(JSON.parse(line)) });
    this.vision = new Vision({
      models: models(this.own),
      uses,
      cameras: config.cameras,
      clock: this.clock,
      log,
      onAnalysis: (analysis, frame) => {
        assert.equal(frame.data.byteLength, BYTES, 'the buffer is back');
        assert.deepEqual([frame.camera, frame.seq], [analysis.camera, analysis.seq]);
        this.analyses.push(analysis);
      },
      onDropped: (frame) => this.dropped.push(frame),
      onStuck: assert.fail,
    });
  }

  /** Offers a frame of one colour, 200 ms after the last. */
  offer(camera: string, rgb: [number, number, number]): Frame {
    this.clock.advance(200);
    const data = new ArrayBuffer(BYTES);
    const bytes = new Uint8Array(data);
    for (let index = 0; index < BYTES; index++) bytes[index] = rgb[index % 3]!;
    const frame = {
      ...{ camera, seq: this.#seq++, format: FORMAT, data },
      ...{ capturedAt: this.clock.now(), monotonic: this.clock.monotonic() },
    };
    this.vision.offer(frame);
    return frame;
  }

  async analysed(count: number): Promise<void> {
    await until(`${count} analyses`, () => this.analyses.length >= count);
  }

  async close(): Promise<void> {
    await this.vision.stop();
    this.#model.remove();
  }
}

const ALWAYS = { gate: 'always', classify: 'frame' } as const;
const best = ({ scores }: Analysis) => {
  const { probabilities } = scores[0]!;
  return ['red', 'green', 'blue'][probabilities.indexOf(Math.max(...probabilities))];
};

test('frames of two cameras come back in order with the scores of each', async () => {
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  assert.equal(bench.vision.infos.get('colour')?.provider, 'cpu');
  const colours = { red: [200, 10, 10], green: [10, 200, 10], blue: [10, 10, 200] } as const;
  const expected: string[] = [];
  for (let round = 0; round < 30; round++) {
    const name = (['red', 'green', 'blue'] as const)[round % 3]!;
    for (const camera of ['left', 'right']) {
      await bench.vision.consumed(camera);
      bench.offer(camera, [...colours[name]]);
      expected.push(name);
    }
  }
  await bench.analysed(60);
  assert.deepEqual(bench.analyses.map(best), expected);
  assert.ok(bench.analyses.every(({ gate }) => gate === 'always'));
  assert.ok(bench.analyses.every(({ times }) => times.inference > 0 && times.resize > 0));
  assert.deepEqual(bench.dropped, []);
  await bench.close();
});

test('a camera that is faster than the model loses its older frames, and all buffers come back', async () => {
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  for (let index = 0; index < 100; index++) bench.offer('left', [200, 10, 10]);
  const last = bench.offer('left', [10, 10, 200]);
  await until('the last frame', () => bench.analyses.at(-1)?.seq === last.seq);
  assert.equal(best(bench.analyses.at(-1)!), 'blue');
  assert.equal(bench.analyses.length + bench.dropped.length, 101);
  assert.equal(bench.vision.counters.dropped, bench.dropped.length);
  assert.ok(bench.dropped.every(({ data }) => data.byteLength === BYTES));
  await bench.close();
});

test('commands reach the threads: detection off and on, regions of open events', async () => {
  const bench = new Bench({ gate: 'motion', interval: 0 });
  await bench.vision.start();
  const gate = async () => {
    bench.offer('left', [100, 100, 100]);
    const count = bench.analyses.length + 1;
    await bench.analysed(count);
    return bench.analyses.at(-1)!.gate;
  };
  assert.equal(await gate(), 'still');
  bench.vision.setDetect('left', false);
  assert.equal(await gate(), 'off');
  bench.vision.setDetect('left', true);
  const region = { box: { x: 0.5, y: 0.5, w: 0.25, h: 0.25 }, zone: null };
  bench.clock.advance(1000);
  bench.vision.setOpenRegions('left', [region]);
  assert.equal(await gate(), 'event');
  assert.deepEqual(bench.analyses.at(-1)!.scores[0]!.region, region);
  assert.equal(await gate(), 'still');
  await bench.close();
});

test('stop finishes the frames in flight, drops those that wait and accepts no more', async () => {
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  for (let index = 0; index < 5; index++) bench.offer('left', [200, 10, 10]);
  await bench.vision.stop();
  assert.equal(bench.analyses.length + bench.dropped.length, 5);
  assert.ok(bench.analyses.length >= 1);
  bench.offer('left', [200, 10, 10]);
  assert.equal(bench.dropped.at(-1)?.seq, 5);
  await bench.close();
});

test('threads whose model fails are restarted; settings and the waiting frame survive', async () => {
  const bench = new Bench(ALWAYS, { fragile: true });
  await bench.vision.start();
  bench.vision.setDetect('right', false);
  bench.offer('left', [255, 255, 255]);
  await until('the frame to be lost', () => bench.dropped.length === 1);
  assert.equal(bench.dropped[0]!.data.byteLength, 0, 'its buffer went down with the thread');
  assert.match(
    bench.lines.find(({ level }) => level === 50)!.msg,
    /vision threads failed; restarting in 500 ms/,
  );

  bench.offer('left', [10, 200, 10]);
  bench.offer('right', [10, 10, 200]);
  assert.equal(bench.analyses.length, 0);
  bench.clock.advance(500);
  await bench.analysed(2);
  assert.equal(bench.vision.counters.restarts, 1);
  const [left, right] = ['left', 'right'].map(
    (name) => bench.analyses.find(({ camera }) => camera === name)!,
  );
  assert.equal(best(left!), 'green');
  assert.equal(right!.gate, 'off');
  await bench.close();
});

test('a pixel thread that fails is also restarted', async () => {
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  // No such camera: nothing guards the threads against it.
  bench.offer('elsewhere', [1, 2, 3]);
  await until('the frame to be lost', () => bench.dropped.length === 1);
  bench.clock.advance(500);
  bench.offer('left', [10, 10, 200]);
  await bench.analysed(1);
  assert.equal(best(bench.analyses[0]!), 'blue');
  await bench.close();
});

test('a frame of the wrong size is dropped and logged once a second', async () => {
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  const frame = { ...bench.offer('left', [1, 2, 3]), data: new ArrayBuffer(BYTES - 1) };
  for (let index = 0; index < 3; index++) bench.vision.offer(frame);
  assert.deepEqual(bench.dropped, [frame, frame, frame]);
  const warnings = bench.lines.filter(({ level }) => level === 40);
  assert.equal(warnings.length, 1);
  assert.equal(
    warnings[0]!.msg,
    'camera left: frame dropped: expected 9216 bytes for 64×48 rgb24, found 9215',
  );
  await bench.close();
});

test('a model that cannot run is rejected at the start, and stop is still possible', async () => {
  const { file, description, remove } = colourModel();
  const bench = new Bench(
    {},
    {
      models: () => [asModel('colour', { file, description: { ...description, labels: ['one', 'two'] } })],
    },
  );
  await assert.rejects(bench.vision.start(), { name: 'LookoutError', code: 'MODEL_OUTPUT_UNSUPPORTED' });
  await bench.close();
  remove();
});

const RED: [number, number, number] = [200, 10, 10];
const zone = (x: number) => ({
  polygon: [
    [x, 0],
    [x + 0.5, 0],
    [x + 0.5, 1],
    [x, 1],
  ] as [number, number][],
});

test('two models at once: each zone is analysed by its own model, at its own size', async () => {
  const large = colourModel({ width: 24, height: 20, logits: true });
  const bench = new Bench(
    { gate: 'always', classify: 'zones', zones: { a: zone(0), b: zone(0.5) } },
    {
      models: (own) => [own, asModel('large', large)],
      uses: {
        left: { camera: 'colour', zones: { a: 'large', b: 'colour' } },
        right: { camera: 'large', zones: {} },
      },
    },
  );
  await bench.vision.start();
  assert.deepEqual([...bench.vision.infos.keys()], ['colour', 'large']);
  for (let round = 0; round < 5; round++) {
    for (const camera of ['left', 'right']) {
      await bench.vision.consumed(camera);
      bench.offer(camera, RED);
    }
  }
  await bench.analysed(10);
  for (const { camera, scores } of bench.analyses) {
    const models = Object.fromEntries(scores.map(({ region, model }) => [region.zone, model]));
    const expected = camera === 'left' ? { a: 'large', b: 'colour' } : { a: 'large', b: 'large' };
    assert.deepEqual(models, expected);
    for (const { probabilities } of scores) assert.ok(probabilities[0]! > 0.7, `${probabilities}`);
  }
  await bench.close();
  large.remove();
});

test('a swap loads the new model, drops no frame, and releases the old one', async () => {
  const second = colourModel({ width: 24, height: 20 });
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  const both = { camera: 'second', zones: {} };
  let ready = -1;
  const swapped = bench.vision.swap(
    { models: [asModel('second', second)], uses: { left: both, right: both } },
    () => {
      ready = bench.analyses.length;
    },
  );
  let done = false;
  void swapped.then(() => {
    done = true;
  });
  let count = 0;
  for (let after = 0; after < 10; after += done ? 1 : 0) {
    await bench.vision.consumed('left');
    bench.offer('left', RED);
    await bench.analysed(++count);
  }
  const models = bench.analyses.map(({ scores }) => scores[0]!.model);
  const first = models.indexOf('second');
  assert.ok(ready >= 0 && first >= ready && first <= ready + 4, `${ready} ${first}`);
  assert.ok(models.every((model, index) => model === (index < first ? 'colour' : 'second')));
  assert.deepEqual(bench.dropped, []);
  assert.equal(bench.vision.counters.restarts, 0);
  assert.deepEqual([...bench.vision.infos.keys()], ['second']);

  const colour = { camera: 'colour', zones: {} };
  for (let back = 0; back < 3; back++) {
    for (const [key, use] of [
      ['colour', colour],
      ['second', both],
    ] as const) {
      bench.offer('right', RED);
      const models = [key === 'colour' ? bench.own : asModel('second', second)];
      await bench.vision.swap({ models, uses: { left: use, right: use } }, () => {});
    }
  }
  bench.offer('left', RED);
  await until('the last frame', () => bench.analyses.at(-1)?.camera === 'left');
  assert.equal(bench.analyses.at(-1)?.scores[0]?.model, 'second');
  await bench.close();
  second.remove();
});

test('a swap to a model that cannot run changes nothing; threads that fail come back with the new one', async () => {
  const fragile = colourModel({ fragile: true });
  const bench = new Bench(ALWAYS);
  await bench.vision.start();
  const uses = { left: { camera: 'x', zones: {} }, right: { camera: 'x', zones: {} } };
  const wrong = asModel('x', { ...fragile, description: { ...fragile.description, labels: ['one'] } });
  await assert.rejects(
    bench.vision.swap({ models: [wrong], uses }, () => assert.fail('it cannot run')),
    { code: 'MODEL_OUTPUT_UNSUPPORTED' },
  );
  bench.offer('left', RED);
  await bench.analysed(1);
  assert.equal(bench.analyses[0]!.scores[0]!.model, 'colour');

  await bench.vision.swap({ models: [asModel('x', fragile)], uses }, () => {});
  bench.offer('left', [255, 255, 255]);
  await until('the frame to be lost', () => bench.dropped.length === 1);
  bench.clock.advance(500);
  bench.offer('left', RED);
  await bench.analysed(2);
  assert.equal(bench.analyses[1]!.scores[0]!.model, 'x');
  await bench.close();
  fragile.remove();
});

test('several sessions of one model work in parallel, and their results still arrive in order', async () => {
  const bench = new Bench(ALWAYS, {
    models: (own) => [{ ...own, config: { ...own.config, sessions: 3 } }],
  });
  await bench.vision.start();
  const expected: string[] = [];
  for (let round = 0; round < 40; round++) {
    const [name, colour] = round % 2 === 0 ? (['red', RED] as const) : (['blue', [10, 10, 200]] as const);
    await bench.vision.consumed('left');
    bench.offer('left', [...colour] as [number, number, number]);
    expected.push(name);
  }
  await bench.analysed(40);
  assert.deepEqual(bench.analyses.map(best), expected);
  assert.deepEqual(
    bench.analyses.map(({ seq }) => seq),
    expected.map((_, seq) => seq),
  );
  await bench.close();
});
