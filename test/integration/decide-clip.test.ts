/** Three passages of cars on a real road must be three events: real decoder, motion, model and decisions. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { createSource } from '../../src/capture/create.ts';
import { FramePool } from '../../src/capture/frame-pool.ts';
import { layerLabel } from '../../src/config/label-layers.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { CameraConfig } from '../../src/config/schema.ts';
import { Decider } from '../../src/decide/decider.ts';
import { loadModel } from '../../src/model/load-model.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { resolveLabels } from '../../src/setup/camera-labels.ts';
import type { DetectionEvent } from '../../src/types.ts';
import { Vision } from '../../src/vision/vision.ts';
import { Seeded } from '../support/random.ts';
import { requires, requiresShared, shared } from '../support/requires.ts';

const CLIP = 'data/clips/car-detection.mp4';
const MODEL = 'models/mobilenet_v2_1.0_224_int8.onnx';
const skip = requires('ffmpeg') || requiresShared(CLIP, MODEL);

/** When cars are in view, in seconds. */
const PASSAGES = [
  [4.5, 8.6],
  [14.5, 19.2],
  [25, 28.2],
] as const;

const example = fileURLToPath(new URL('../../config/examples/road.yaml', import.meta.url));

interface Showing {
  width: number;
  height: number;
  fps: number;
  /** Share of the pictures that get lost on the way. */
  lost?: number;
  camera?: Partial<CameraConfig>;
  /** Thresholds besides the configured one that must come to the same. */
  thresholds?: number[];
}

/** Shows the clip, in its own time, to the example's camera; the events of each threshold. */
async function eventsOf({ width, height, fps, lost = 0, camera: changes, thresholds = [] }: Showing) {
  const { config } = loadConfig({ file: example, env: {} });
  const camera: CameraConfig = { ...config.cameras.road!, ...changes };
  const model = await loadModel({ ...config.model, file: shared(MODEL), labels: undefined }, '/');
  const { compiled, labels } = resolveLabels({ default: model.description }, config).default!;
  const looking = {
    ...{ key: 'mobilenet', name: model.description.name, compiled },
    labels: { vehicle: layerLabel(labels.road!.vehicle) },
  };
  const deciders = [null, ...thresholds].map((threshold) => {
    let count = 0;
    const decider = new Decider({
      camera: 'road',
      models: { camera: looking, zones: {} },
      logThreshold: 1,
      newId: () => `event ${++count}`,
    });
    decider.setThreshold(threshold);
    return { decider, ended: [] as DetectionEvent[] };
  });

  const pool = new FramePool();
  const random = new Seeded(1);
  const log = pino({ level: 'silent' });
  const vision = new Vision({
    models: [{ ...model, key: 'mobilenet', config: { ...config.model, providers: ['cpu'], threads: 1 } }],
    uses: { road: { camera: 'mobilenet', zones: {} } },
    cameras: { road: camera },
    clock: systemClock,
    log,
    onAnalysis: (analysis, frame) => {
      pool.release(frame.data);
      for (const { decider, ended } of deciders) {
        const { changes } = decider.observe(analysis);
        ended.push(...changes.filter(({ type }) => type === 'end').map(({ event }) => event));
      }
      vision.setOpenRegions('road', deciders[0]!.decider.openRegions);
    },
    onDropped: () => assert.fail('a frame was dropped'),
    onStuck: assert.fail,
  });
  const source = await createSource(
    { kind: 'replay', path: shared(CLIP), pace: 'consumed', loop: false, width, height, fps },
    { clock: systemClock, log },
  );
  let seq = 0;
  await vision.start();
  await source.run(
    {
      acquire: (bytes) => pool.acquire(bytes),
      release: (buffer) => pool.release(buffer),
      frame: (picture) => {
        const time = (seq / fps) * 1000;
        if (random.next() < lost) pool.release(picture.data);
        else vision.offer({ ...picture, camera: 'road', seq, capturedAt: time, monotonic: time });
        seq++;
      },
      consumed: () => vision.consumed('road'),
      fault: (message) => assert.fail(message),
    },
    new AbortController().signal,
  );
  await vision.stop();
  assert.ok(Math.abs(seq - 30.16 * fps) <= 2, `${seq} pictures`);
  for (const { decider, ended } of deciders) ended.push(...decider.close(0).map(({ event }) => event));
  return deciders.map(({ ended }) => ended);
}

async function shows(showing: Showing, zone: string | null = null): Promise<void> {
  const all = await eventsOf(showing);
  for (const [i, events] of all.entries()) {
    const text = JSON.stringify({
      i,
      events: events.map((e) => [e.startedAt, e.endedAt, e.topScore, e.zone]),
    });
    assert.equal(events.length, PASSAGES.length, text);
    for (const [i, [from, to]] of PASSAGES.entries()) {
      const { startedAt, endedAt, ...event } = events[i]!;
      assert.ok(startedAt / 1000 >= from && endedAt! / 1000 <= to, text);
      assert.ok(endedAt! - startedAt >= 400, text);
      assert.equal(event.zone, zone);
      assert.equal(event.label, 'vehicle');
      assert.ok(event.topScore > 0.7, text);
      assert.ok(event.reason.gate === 'motion', text);
    }
  }
}

const margins = { thresholds: [0.25, 0.6] };

describe('cars on a real road', { skip }, () => {
  test('three passages are three events, whatever the threshold from 0.25 to 0.6', async () => {
    await shows({ width: 768, height: 432, fps: 5, ...margins });
  });

  test('three passages squashed to 4:3 are three events', async () => {
    await shows({ width: 640, height: 480, fps: 8, ...margins });
  });

  test('three passages are three events though a third of the pictures get lost', async () => {
    await shows({ width: 640, height: 360, fps: 5, lost: 0.33, thresholds: [0.25, 0.5] });
  });

  test('three passages through a zone are three events of that zone', async () => {
    const polygon: [number, number][] = [
      [0, 0],
      [0.6, 0],
      [0.6, 1],
      [0, 1],
    ];
    await shows(
      {
        width: 768,
        height: 432,
        fps: 5,
        camera: { classify: 'zones', zones: { lane: { polygon, labels: ['vehicle'] } } },
        thresholds: [0.25, 0.5],
      },
      'lane',
    );
  });
});
