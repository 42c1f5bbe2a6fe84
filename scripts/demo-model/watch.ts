/** Watches the demo scene as the daemon does: its own motion detection, regions and resize. */
import { Scene } from '../../src/capture/demo/scene.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Box } from '../../src/types.ts';
import { PixelMemory } from '../../src/vision/kernels.ts';
import { MotionDetector } from '../../src/vision/motion.ts';
import { Resizer } from '../../src/vision/resize.ts';
import { orientationOf } from '../../src/vision/transform.ts';
import { common, inputOf, LABELS, type Sample } from './samples.ts';

const UPRIGHT = orientationOf({ rotate: 0, mirror: 'none' });
const WIDTH = 640;
const HEIGHT = 480;
const FRAME_MS = 200;

/** Every region that moved within the first minute of a scene, with the actor that it shows. */
export function* watch(seed: number, side: number): Generator<Sample> {
  const scene = new Scene(WIDTH, HEIGHT, seed);
  const memory = new PixelMemory();
  const resizer = new Resizer(memory, inputOf(side));
  const detector = new MotionDetector(configSchema.parse({}).cameras.demo!.motion, UPRIGHT);
  const format = { width: WIDTH, height: HEIGHT, pixels: 'i420', colour: 'bt601' } as const;
  for (let time = 0; time < 60_000; time += FRAME_MS) {
    const picture = memory.bytes(scene.bytes).subarray(0, scene.bytes);
    const seen = scene.render(time, picture);
    for (const { core, box } of detector.look(memory, format, time).moving) {
      const shares = seen.map((actor) => ({ label: actor.label, share: shareOf(actor.box, core) }));
      const best = shares.sort((a, b) => b.share - a.share)[0];
      const label = best && best.share > 0 ? best.label : 'nothing';
      const pixels = new Uint8Array(side * side * 3);
      resizer.resize(format, box, UPRIGHT, pixels);
      yield { label: LABELS.indexOf(label), kind: 'motion', pixels };
    }
  }
}

/** How much of the smaller of two boxes lies in the other. */
function shareOf(a: Box, b: Box): number {
  return common(a, b) / Math.min(a.w * a.h, b.w * b.h);
}
