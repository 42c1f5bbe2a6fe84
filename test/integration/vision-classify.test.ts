import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import sharp from 'sharp';
import { loadModel } from '../../src/model/load-model.ts';
import { Classifier } from '../../src/vision/classifier.ts';
import { requiresShared, shared } from '../support/requires.ts';

const MODEL = 'models/mobilenet_v2_1.0_224_int8.onnx';
const skip = requiresShared(MODEL, 'data/photos/photos.csv');

/** Rows of photos.csv: file and expected label, which may be quoted. */
function expectedLabels(): [string, string][] {
  const [, ...rows] = readFileSync(shared('data/photos/photos.csv'), 'utf8').trim().split('\n');
  return rows.map((row) => {
    const [, file, quoted, bare] = /^([^,]+),(?:"([^"]*)"|([^,]*)),/.exec(row)!;
    return [file!, quoted ?? bare!];
  });
}

test('a real model gives every photo the label that its publisher’s own runtime gives', {
  skip,
}, async () => {
  const model = await loadModel({ file: shared(MODEL) }, '/');
  const classifier = Classifier.open(model, {
    providers: ['cpu'],
    threads: 1,
    spinning: false,
    exact: 'auto',
  });
  try {
    for (const [file, expected] of expectedLabels()) {
      const { data, info } = await sharp(shared(`data/photos/${file}`))
        .removeAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      const format = { width: info.width, height: info.height, pixels: 'rgb24', colour: 'jpeg' } as const;
      const [best] = classifier.classify({ format, data }, 1);
      assert.equal(best?.label, expected, file);
    }
  } finally {
    classifier.close();
  }
});
