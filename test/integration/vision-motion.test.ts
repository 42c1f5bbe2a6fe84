import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { PixelMemory } from '../../src/pixels/kernels.ts';
import { orientationOf } from '../../src/pixels/orientation.ts';
import { MotionDetector } from '../../src/vision/motion.ts';
import { requires, requiresShared, shared, times } from '../support/requires.ts';
import { FRAME_MS, MOTION_DEFAULTS, Scene } from '../unit/vision/scene.ts';

const NOISY = times(2000, 10_000);

const CLIP = 'data/clips/car-detection.mp4';

test(`${NOISY} noisy frames show no motion`, () => {
  // One pixel for each cell: no averaging helps against the noise.
  const format = { width: 160, height: 120, pixels: 'i420', colour: 'bt601' } as const;
  assert.deepEqual(new Scene({}, 5, format).quiet(NOISY), []);
});

/** Decodes a clip to 640×480 YUV 4:2:0, `fps` frames per second. */
async function* decode(file: string, fps: number): AsyncGenerator<Uint8Array> {
  const bytes = (640 * 480 * 3) / 2;
  const ffmpeg = spawn(
    'ffmpeg',
    [
      '-loglevel',
      'error',
      '-i',
      file,
      '-vf',
      `fps=${fps},scale=640:480`,
      '-pix_fmt',
      'yuv420p',
      '-f',
      'rawvideo',
      '-',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let rest = Buffer.alloc(0);
  for await (const chunk of ffmpeg.stdout) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (; rest.length >= bytes; rest = rest.subarray(bytes)) yield rest.subarray(0, bytes);
  }
}

test('cars on a real road are detected while they pass, and nothing in between', {
  skip: requires('ffmpeg') || requiresShared(CLIP),
}, async () => {
  const memory = new PixelMemory();
  const detector = new MotionDetector(MOTION_DEFAULTS, orientationOf({ rotate: 0, mirror: 'none' }));
  const format = { width: 640, height: 480, pixels: 'i420', colour: 'bt601' } as const;
  const moved: number[] = [];
  let count = 0;
  for await (const frame of decode(shared(CLIP), 1000 / FRAME_MS)) {
    memory.bytes(frame.length).set(frame);
    const { moving } = detector.detect(memory, format, count * FRAME_MS);
    if (moving.length > 0) moved.push((count * FRAME_MS) / 1000);
    count++;
  }
  assert.equal(count, 151);
  const passages = [
    [4.5, 8.5],
    [14.5, 19],
    [25.5, 27.5],
  ] as const;
  for (const [from, to] of passages) {
    const seen = moved.filter((second) => second >= from && second <= to).length;
    assert.ok(seen >= (to - from) * 5 - 1, `${seen} frames with motion from ${from} s to ${to} s`);
  }
  const between = moved.filter((second) =>
    passages.every(([from, to]) => second < from - 0.5 || second > to + 0.6),
  );
  assert.deepEqual(between, []);
});
