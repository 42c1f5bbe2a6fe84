/** Decoding and suppression of a detector's boxes alone. */
import { boxesFile } from '../../src/model/boxes.ts';
import { BoxDecoder } from '../../src/vision/boxes.ts';
import { type Settings, timeRounds } from './settings.ts';
import type { Row } from './table.ts';

const RUNS = 300;
const ANCHORS = 2000;
const CLASSES = 80;
/** Anchors that see an object, as those around 10 objects do. */
const BUSY = 100;

/** Milliseconds for the objects among 2,000 anchors × 80 classes, of which 100 anchors see something. */
export function boxesRow({ rounds }: Settings): Row {
  const anchors = Array.from({ length: ANCHORS }, (_, row) => [
    (Math.floor(row / 50) + 0.5) / 40,
    ((row % 50) + 0.5) / 50,
    0.2,
    0.2,
  ]).flat();
  const deltas = Float32Array.from({ length: 4 * ANCHORS }, (_, index) => Math.sin(index));
  const scores = Float32Array.from({ length: ANCHORS * CLASSES }, (_, index) => {
    const row = Math.floor(index / CLASSES);
    const seen = row % (ANCHORS / BUSY) === 0 && index % CLASSES < 2;
    return seen ? 0.35 + 0.3 * (1 + Math.sin(index)) : 0.02;
  });
  const decoder = new BoxDecoder({
    name: 'bench',
    task: 'detect',
    input: {
      ...{ name: 'image', width: 300, height: 300, layout: 'nhwc', type: 'uint8', channels: 3, order: 'rgb' },
      ...{ mean: [0, 0, 0], scale: [1, 1, 1] },
    },
    output: { name: 'scores', kind: 'probabilities' },
    boxes: boxesFile.parse({
      output: 'boxes',
      coding: 'centre',
      anchors,
      scales: { y: 10, x: 10, h: 5, w: 5 },
    }),
    labels: Array.from({ length: CLASSES }, (_, index) => `class ${index}`),
    background: [],
    groups: {},
    events: {},
    warning: null,
    licence: null,
  });
  const measured = timeRounds(rounds, RUNS, () => decoder.decode(scores, deltas));
  return {
    what: 'boxes of 2,000 anchors × 80 classes, decoded and suppressed',
    measured,
    limit: { atMost: 0.5 },
    digits: 3,
    unit: 'ms',
  };
}
