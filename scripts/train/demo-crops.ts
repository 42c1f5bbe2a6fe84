/**
 * Renders crops of the demo scene for training: a byte of label (index in the built-in model's labels), then
 * 128 × 128 × 3 bytes RGB, each.
 *
 *   scripts/node scripts/train/demo-crops.ts OUT.bin --seed 10000 --scenes 80 [--each 24]
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { samplesOf } from './demo-samples.ts';

const SIDE = 128;
const CLASSES = [
  'person',
  'car',
  'truck',
  'bicycle',
  'motorcycle',
  'cat',
  'dog',
  'bird',
  'deer',
  'animal',
  'nothing',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '10000' },
    scenes: { type: 'string', default: '80' },
    each: { type: 'string', default: '24' },
  },
});
const out = openSync(positionals[0] ?? 'demo-crops.bin', 'w');
for (let scene = 0; scene < Number(values.scenes); scene++) {
  for (const { label, pixels } of samplesOf(Number(values.seed) + scene, SIDE, Number(values.each))) {
    writeSync(out, Uint8Array.of(CLASSES.indexOf(label)));
    writeSync(out, pixels);
  }
}
closeSync(out);
