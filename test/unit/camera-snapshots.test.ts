import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CameraSnapshots } from '../../src/camera-snapshots.ts';
import { FramePool } from '../../src/capture/frame-pool.ts';
import { LATEST, snapshotPath } from '../../src/store/snapshot-path.ts';
import type { SavedSnapshot, SnapshotRequest } from '../../src/store/store-types.ts';
import type { DetectionEvent, EventChange, Frame } from '../../src/types.ts';
import { eventChange } from '../fakes/events.ts';

const PATH = snapshotPath(eventChange().event);

/** Pictures over a disk that answers when the test says so. */
class Bench {
  readonly saves: { request: SnapshotRequest; done: (written: boolean) => void; fail: () => void }[] = [];
  readonly published: Uint8Array[] = [];
  readonly recorded: EventChange[] = [];
  readonly told: string[] = [];
  readonly work: Promise<unknown>[] = [];
  readonly pictures = new CameraSnapshots({
    camera: 'drive',
    config: { rotate: 0, mirror: 'none' },
    pool: new FramePool(),
    publisher: { publishSnapshot: (_camera, jpeg) => this.published.push(jpeg) },
    recorder: {
      amend: (change) => {
        this.recorded.push(change);
        this.told.push(`${change.type} ${change.event.snapshot}`);
      },
    },
    store: {
      saveSnapshot: (request) =>
        new Promise<SavedSnapshot>((resolve, reject) => {
          const { data } = request;
          const done = (written: boolean) => resolve({ written, jpeg: new Uint8Array(3), data });
          this.saves.push({ request, done, fail: () => reject(new Error('the store thread has ended')) });
        }),
    },
    watch: (work) => this.work.push(work.catch(() => {})),
  });

  /** A step of an event, as the camera passes it on; returns the path that it names. */
  step(type: EventChange['type'], changes: Partial<DetectionEvent> = {}): string | null {
    const change = eventChange({ snapshot: null, ...changes }, type);
    this.pictures.attachSnapshot(change);
    if (type !== 'update') this.pictures.save(change);
    return change.event.snapshot;
  }

  remember(): void {
    this.pictures.keepBest(eventChange().event, frame());
  }

  async settled(): Promise<void> {
    await Promise.all(this.work);
  }
}

function frame(): Frame {
  const format = { width: 2, height: 2, pixels: 'i420', colour: 'bt601' } as const;
  return { camera: 'drive', seq: 0, capturedAt: 0, monotonic: 0, format, data: new ArrayBuffer(6) };
}

test('when pictures come faster than they can be written, the events beyond have none, and nothing piles up', async () => {
  const bench = new Bench();
  for (let n = 0; n < 20; n++) {
    const id = `event-${n}`;
    bench.pictures.keepBest(eventChange({ id }).event, frame());
    const snapshot = bench.step('start', { id });
    assert.equal(snapshot === null, n >= 6, id);
  }
  assert.equal(bench.saves.length, 6);
  assert.deepEqual(bench.recorded, [], 'nothing was promised that must be put right');
  for (const { done } of bench.saves) done(true);
  await bench.settled();
  bench.remember();
  assert.equal(bench.step('start'), PATH);
  assert.equal(bench.saves.length, 7);
});

test('an event names the file of its picture from its start on', async () => {
  const bench = new Bench();
  bench.remember();
  assert.equal(bench.step('start'), PATH);
  bench.saves[0]!.done(true);
  await bench.settled();
  assert.equal(bench.saves[0]!.request.path, PATH);
  assert.equal(bench.step('end'), PATH);
  assert.deepEqual(bench.recorded, []);
  assert.equal(bench.published.length, 1);
});

test('a picture that could not be written leaves the log and every later step', async () => {
  const bench = new Bench();
  bench.remember();
  assert.equal(bench.step('start'), PATH);
  assert.equal(bench.step('update', { score: 0.95 }), PATH, 'it may still come');
  bench.saves[0]!.done(false);
  await bench.settled();
  assert.equal(bench.published.length, 1, 'those who listen get it all the same');
  const [correction] = bench.recorded;
  assert.equal(correction?.event.snapshot, null);
  assert.equal(correction?.event.score, 0.95, 'nothing else changes');
  assert.deepEqual(bench.told, ['update null'], 'those who listen are told, too');
  assert.equal(bench.step('update'), null);
  assert.equal(bench.step('end'), null);
});

test('so does one that the store lost together with its thread', async () => {
  const bench = new Bench();
  bench.remember();
  bench.step('start');
  bench.saves[0]!.fail();
  await bench.settled();
  assert.equal(bench.recorded[0]?.event.snapshot, null);
});

test('a picture that fails after the end of its event leaves the ended event without one', async () => {
  const bench = new Bench();
  bench.remember();
  bench.step('start');
  assert.equal(bench.step('end'), PATH);
  bench.saves[0]!.done(false);
  await bench.settled();
  const { event } = bench.recorded[0]!;
  assert.equal(event.snapshot, null);
  assert.equal(event.endedAt, eventChange({}, 'end').event.endedAt);
  assert.deepEqual(bench.told, ['end null'], 'its end is told again');
});

test('an earlier file stays when the better picture of the end could not be written', async () => {
  const bench = new Bench();
  bench.remember();
  bench.step('start');
  bench.saves[0]!.done(true);
  await bench.settled();
  bench.remember();
  assert.equal(bench.step('end'), PATH);
  bench.saves[1]!.done(false);
  await bench.settled();
  assert.deepEqual(bench.recorded, []);
});

test('a disk that takes the picture of the end gives the event its path back', async () => {
  const bench = new Bench();
  bench.remember();
  bench.step('start');
  bench.saves[0]!.done(false);
  await bench.settled();
  bench.remember();
  assert.equal(bench.step('end'), null);
  bench.saves[1]!.done(true);
  await bench.settled();
  assert.deepEqual(
    bench.recorded.map(({ event }) => event.snapshot),
    [null, PATH],
  );
});

test('the frame after a wish is saved and published, once; a wish can be forgotten', async () => {
  const bench = new Bench();
  bench.pictures.requestSnapshot();
  bench.pictures.finish(frame());
  bench.pictures.finish(frame());
  bench.pictures.requestSnapshot();
  bench.pictures.cancelRequest();
  bench.pictures.finish(frame());
  assert.equal(bench.saves.length, 1);
  assert.match(bench.saves[0]!.request.path, new RegExp(`/${LATEST}\\.jpg$`));
  bench.saves[0]!.done(true);
  await bench.settled();
  assert.equal(bench.published.length, 1);
});
