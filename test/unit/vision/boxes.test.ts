import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BoxDescription, boxesFile } from '../../../src/model/boxes.ts';
import type { ModelDescription } from '../../../src/model/description.ts';
import { BoxDecoder, type Found } from '../../../src/vision/boxes.ts';
import { centreBoxes, type ReferenceObject, referenceObjects } from '../../support/boxes-reference.ts';
import { Seeded } from '../../support/random.ts';

const SCALES = { y: 10, x: 10, h: 5, w: 5 };

function descriptionOf(
  boxes: Partial<BoxDescription>,
  labels: number,
  { background = [] as string[], kind = 'probabilities' as 'probabilities' | 'logits' } = {},
): ModelDescription {
  return {
    name: 'd',
    task: 'detect',
    input: {
      ...{ name: 'image', width: 64, height: 32, layout: 'nhwc', type: 'uint8', channels: 3, order: 'rgb' },
      ...{ mean: [0, 0, 0], scale: [1, 1, 1] },
    },
    output: { name: 'scores', kind },
    boxes: boxesFile.parse({ output: 'boxes', coding: 'centre', ...boxes }),
    labels: Array.from({ length: labels }, (_, index) => `class ${index}`),
    background,
    groups: {},
    events: {},
    warning: null,
    licence: null,
  };
}

function objects({ count, classes, scores, corners }: Found): ReferenceObject[] {
  return Array.from({ length: count }, (_, place) => ({
    kind: classes[place]!,
    score: scores[place]!,
    corners: [...corners.slice(4 * place, 4 * place + 4)] as ReferenceObject['corners'],
  }));
}

/** Float32 on both sides, so that all decisions are the same. */
const rounded = (values: number[]) => [...Float32Array.from(values)];

interface Case {
  anchors: number[];
  deltas: number[];
  scores: number[][];
}

function randomCase(random: Seeded, rows: number, classes: number, steps: number): Case {
  const many = (length: number, make: () => number) => rounded(Array.from({ length }, make));
  return {
    anchors: many(4 * rows, () => 0.1 + 0.6 * random.next()),
    deltas: many(4 * rows, () => 4 * random.next() - 2),
    // Steps make many scores equal, as those of a file of 8 bits are.
    scores: Array.from({ length: rows }, () =>
      many(classes, () => Math.floor(random.next() ** 3 * steps) / steps),
    ),
  };
}

function sameObjects(found: ReferenceObject[], expected: ReferenceObject[], what: string): void {
  assert.deepEqual(
    found.map(({ kind, score }) => [kind, score]),
    expected.map(({ kind, score }) => [kind, score]),
    what,
  );
  for (const [index, { corners }] of found.entries()) {
    corners.forEach((value, side) => {
      assert.ok(Math.abs(value - expected[index]!.corners[side]!) < 1e-5, what);
    });
  }
}

describe('decoding and suppression', () => {
  for (const suppression of ['class', 'all'] as const) {
    test(`give what the plain way gives, suppression ${suppression}`, () => {
      for (let seed = 1; seed <= 60; seed++) {
        const random = new Seeded(seed);
        const classes = random.int(1, 9);
        const { anchors, deltas, scores } = randomCase(random, random.int(1, 90), classes, 256);
        const offset = random.int(0, 1);
        const limits = {
          score: random.int(0, 10) / 10,
          overlap: random.int(2, 8) / 10 + 0.013,
          most: random.int(1, 60),
        };
        const decoder = new BoxDecoder(
          descriptionOf({ anchors, scales: SCALES, offset, suppression, ...limits }, classes),
        );
        const rows = scores.flatMap((row) => (offset ? [0.99, ...row] : row));
        const found = decoder.decode(Float32Array.from(rows), Float32Array.from(deltas));
        const expected = referenceObjects(centreBoxes(deltas, anchors, SCALES), scores, {
          ...limits,
          score: Math.fround(limits.score),
          suppression,
        });
        sameObjects(objects(found), expected, `seed ${seed}`);
      }
    });
  }

  test('keep the best where there are more candidates than are compared', () => {
    const random = new Seeded(7);
    const { anchors, deltas, scores } = randomCase(random, 900, 6, 1e6);
    const limits = { score: 0, overlap: 1, most: 1000, suppression: 'class' as const };
    const decoder = new BoxDecoder(descriptionOf({ anchors, scales: SCALES, ...limits }, 6));
    const found = objects(decoder.decode(Float32Array.from(scores.flat()), Float32Array.from(deltas)));
    const expected = referenceObjects(centreBoxes(deltas, anchors, SCALES), scores, limits);
    sameObjects(found, expected, 'all that fit');
  });

  test('leave no trace of the image before', () => {
    const random = new Seeded(3);
    const a = randomCase(random, 50, 4, 256);
    const b = { ...randomCase(random, 50, 4, 256), anchors: a.anchors };
    const fresh = () => new BoxDecoder(descriptionOf({ anchors: a.anchors, scales: SCALES }, 4));
    const decode = (decoder: BoxDecoder, { scores, deltas }: Case) =>
      objects(decoder.decode(Float32Array.from(scores.flat()), Float32Array.from(deltas)));
    const decoder = fresh();
    const first = decode(decoder, a);
    assert.deepEqual(decode(decoder, b), decode(fresh(), b));
    assert.deepEqual(decode(decoder, a), first);
  });
});

test('logits count as their sigmoid', () => {
  const anchors = [0.5, 0.5, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1];
  const decoder = new BoxDecoder(descriptionOf({ anchors, score: 0.5 }, 1, { kind: 'logits' }));
  const found = objects(decoder.decode(Float32Array.of(-0.01, 2), new Float32Array(8)));
  assert.equal(found.length, 1);
  assert.ok(Math.abs(found[0]!.score - 1 / (1 + Math.exp(-2))) < 1e-6);
  sameObjects(
    [{ ...found[0]!, score: 0 }],
    [{ kind: 0, score: 0, corners: [0.15, 0.15, 0.25, 0.25] }],
    'box',
  );
});

test('corners are offsets in sizes of the anchor', () => {
  const decoder = new BoxDecoder(descriptionOf({ anchors: [0.2, 0.3, 0.6, 0.5], coding: 'corners' }, 1));
  const [found] = objects(decoder.decode(Float32Array.of(0.9), Float32Array.of(-0.5, 0.5, 0.25, -0.5)));
  const expected = [0.2 - 0.2, 0.3 + 0.1, 0.6 + 0.1, 0.5 - 0.1];
  found!.corners.forEach((value, side) => {
    assert.ok(Math.abs(value - expected[side]!) < 1e-6);
  });
});

test('a grid has a box, the probability of any object and the scores in each row', () => {
  // 64×32 at stride 32 are two cells.
  const decoder = new BoxDecoder(descriptionOf({ coding: 'grid', strides: [32], score: 0.4 }, 2));
  const nothing = [0, 0, 0, 0, 0.3, 1, 1];
  const something = [0.5, 0.25, Math.log(0.5), 0, 0.9, 0.1, 0.8];
  const rows = Float32Array.of(...nothing, ...something);
  const [found, ...more] = objects(decoder.decode(rows, rows));
  assert.deepEqual([more.length, found!.kind], [0, 1]);
  assert.ok(Math.abs(found!.score - 0.72) < 1e-6);
  // Centre 48, 8 and size 16×32 pixels.
  const expected = [40 / 64, -8 / 32, 56 / 64, 24 / 32];
  found!.corners.forEach((value, side) => {
    assert.ok(Math.abs(value - expected[side]!) < 1e-6);
  });
});

test('labels of the background are never objects', () => {
  const description = descriptionOf({ anchors: [0.5, 0.5, 1, 1] }, 2, { background: ['class 0'] });
  const found = objects(new BoxDecoder(description).decode(Float32Array.of(0.9, 0.6), new Float32Array(4)));
  assert.deepEqual(
    found.map(({ kind }) => kind),
    [1],
  );
});

test('limits of the caller come before those of the description', () => {
  const description = descriptionOf({ anchors: [0.5, 0.5, 1, 1], score: 0.5 }, 1);
  const scores = Float32Array.of(0.4);
  assert.equal(new BoxDecoder(description).decode(scores, new Float32Array(4)).count, 0);
  assert.equal(new BoxDecoder(description, { score: 0.3 }).decode(scores, new Float32Array(4)).count, 1);
});
