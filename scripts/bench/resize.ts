/** Crop and resize alone. */
import { Scene } from '../../src/demo/scene.ts';
import { PixelMemory } from '../../src/pixels/kernels.ts';
import { orientationOf } from '../../src/pixels/orientation.ts';
import { outputBytes, plainBytes, Resizer } from '../../src/pixels/resize.ts';
import { HEIGHT, type Settings, timeRounds, WIDTH } from './settings.ts';
import type { Row } from './table.ts';

const RUNS = 500;

/** Milliseconds from a YUV 4:2:0 picture to 224×224 RGB with antialiasing. */
export function resizeRow({ rounds }: Settings): Row {
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const memory = new PixelMemory();
  const picture = memory.bytes(scene.bytes);
  scene.render(0, picture.subarray(0, scene.bytes));
  const output = { ...plainBytes(3), width: 224, height: 224 };
  const resizer = new Resizer(memory, output);
  const target = new Uint8Array(outputBytes(output));
  const format = { width: WIDTH, height: HEIGHT, pixels: 'i420', colour: 'bt601' } as const;
  const upright = orientationOf({ rotate: 0, mirror: 'none' });
  // A square crop, as of something that moves.
  const box = { x: 0.125, y: 0, w: 0.75, h: 1 };
  const measured = timeRounds(rounds, RUNS, () => resizer.resize(format, box, upright, target));
  return {
    what: 'YUV420 640×480 → 224×224 RGB crop with antialiasing',
    measured,
    limit: { atMost: 0.6 },
    digits: 3,
    unit: 'ms',
  };
}
