/** TensorFlow Lite files that compute with real numbers, against the answers of TensorFlow Lite itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import type { ModelDescription } from '../../src/model/description.ts';
import { imagesInFolder } from '../../src/modelkit/calibration.ts';
import { importTflite } from '../../src/modelkit/import.ts';
import { quantizeFile } from '../../src/modelkit/quantize-file.ts';
import { convertTflite } from '../../src/modelkit/tflite/convert.ts';
import { readTflite } from '../../src/modelkit/tflite/read-tflite.ts';
import { Classifier } from '../../src/vision/classifier.ts';
import { tempFolder } from '../support/folder.ts';
import { requiresShared, shared } from '../support/requires.ts';
import { runModel } from '../unit/model/run-model.ts';

interface Truth {
  input: [height: number, width: number, channels: number];
  dtype: string;
  pictures: Record<string, { top: number; n: number; scores: Record<string, number> }>;
}

const TEACHABLE = 'tm_f/model_unquant.tflite';
/** Its weights have 8 bits: TensorFlow Lite rounds what they are multiplied by as well. */
const EIGHT_BITS = 'facedet_my_model.tflite';
const GREY = 'tflm_person_detect.tflite';
const skip = requiresShared(
  'field/truth.json',
  'data/photos/cat.jpg',
  ...[TEACHABLE, EIGHT_BITS, GREY].map((name) => `field/models/${name}`),
);
const folder = tempFolder();

const truth: Record<string, Truth> = skip ? {} : JSON.parse(readFileSync(shared('field/truth.json'), 'utf8'));
const floats = Object.entries(truth).filter(([, { dtype }]) => dtype === 'float32');

async function pixels(name: string, [height, width]: readonly number[]): Promise<Uint8Array> {
  return sharp(shared(`field/pictures/${height}x${width}/${name}`))
    .removeAlpha()
    .raw()
    .toBuffer();
}

async function classify(
  file: string,
  description: ModelDescription,
  size: readonly number[],
  names: string[],
) {
  const cpu = { providers: ['cpu'], threads: 1, spinning: false, exact: 'auto' } as const;
  const classifier = Classifier.open({ file, description }, { ...cpu, providers: [...cpu.providers] });
  const [height = 0, width = 0] = size;
  const format = { width, height, pixels: 'rgb24', colour: 'jpeg' } as const;
  try {
    const answers = new Map<string, { label: string; score: number }[]>();
    for (const name of names) {
      const data = new Uint8Array(await pixels(name, size));
      answers.set(name, classifier.classify({ format, data }, description.labels.length));
    }
    return answers;
  } finally {
    classifier.close();
  }
}

/** TensorFlow Lite 2.3 on the luma of the pictures, as Pillow makes it: how likely there is a person. */
const PERSONS: Record<string, number> = {
  'bird.png': 0.66406,
  'cat.png': 0.69531,
  'cat_1080p.png': 0.72656,
  'cat_720p.png': 0.71094,
  'dragonfly.png': 0.31641,
  'grace_hopper.png': 0.94531,
  'hot_dog.png': 0.68359,
  'missvickie_potato_chips.png': 0.08203,
  'owl.png': 0.24219,
  'parrot.png': 0.58594,
  'pets.png': 0.70312,
  'sunflower.png': 0.15234,
};

describe('a float TensorFlow Lite file', { skip }, () => {
  for (const [name, { input, pictures }] of floats) {
    test(`answers as in TensorFlow Lite before it is quantised: ${name}`, async () => {
      const file = shared(`field/models/${name}`);
      const { model } = convertTflite(readTflite(readFileSync(file)), file, { plain: true });
      const most = name === EIGHT_BITS ? 0.02 : 1e-4;
      for (const [picture, { scores }] of Object.entries(pictures)) {
        const levels = await pixels(picture, input);
        const found = (
          await runModel(
            model,
            Float32Array.from(levels, (level) => level / 127.5 - 1),
          )
        ).scores!;
        for (const [index, score] of Object.entries(scores)) {
          const difference = Math.abs(found[Number(index)]! - score);
          assert.ok(difference <= most, `${picture}: ${difference}`);
        }
      }
    });
  }

  test('of Teachable Machine gives the same first answers when it is quantised', async () => {
    const { cpu, tensorrt, description, assumed } = await quantizeFile({
      file: shared(`field/models/${TEACHABLE}`),
      out: join(folder, 'teachable.onnx'),
      images: (size) => imagesInFolder(shared('data/photos'), size, 200),
      log: () => {},
      onProgress: () => {},
    });
    assert.equal(assumed, '-1..1');
    assert.equal(description.labels[0], 'FRESH APPLE');
    assert.ok(cpu.trial.fused?.QLinearConv === 54, JSON.stringify(cpu.trial.fused));
    assert.ok(tensorrt.bytes > 500_000);
    const { input, pictures } = truth[TEACHABLE]!;
    const answers = await classify(cpu.file, description, input, Object.keys(pictures));
    let sure = 0;
    for (const [picture, { top, scores }] of Object.entries(pictures)) {
      if (scores[top]! <= 0.6) continue;
      sure++;
      assert.equal(answers.get(picture)![0]!.label, description.labels[top], picture);
    }
    assert.equal(sure, 12);
  });

  test('of a grey model answers as in TensorFlow Lite', async () => {
    const file = shared(`field/models/${GREY}`);
    const { out, description } = await importTflite({ file, out: join(folder, 'grey.onnx') });
    assert.equal(description.input.channels, 1);
    const answers = await classify(out, description, [96, 96], Object.keys(PERSONS));
    for (const [picture, expected] of Object.entries(PERSONS)) {
      const score = answers.get(picture)!.find(({ label }) => label === 'class 1')!.score;
      assert.ok(Math.abs(score - expected) <= 0.01, `${picture}: ${score} instead of ${expected}`);
    }
  });
});
