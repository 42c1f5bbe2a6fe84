import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { intersectionOverUnion } from '../support/boxes-reference.ts';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { requiresShared, shared } from '../support/requires.ts';

const skip = requiresShared('field/models/pet_ai_detect.tflite', 'data/photos');

interface Truth {
  class: number;
  score: number;
  /** x, y, width, height */
  box: number[];
}

/**
 * What LiteRT 2.3 (XNNPACK, one thread) finds above 0.4 when it gets the photos as Lookout resizes them: the outputs of
 * TFLite_Detection_PostProcess, and for STMicroelectronics' file those of its formula and plain suppression at 0.5.
 */
const truth = JSON.parse(
  readFileSync(new URL('../fixtures/litert-boxes.json', import.meta.url), 'utf8'),
) as Record<string, Record<string, Truth[]>>;

interface Answer {
  file: string;
  objects: { label: string; score: number; box: number[] }[];
}

const folder = skip ? '' : tempFolder();

async function imported(file: string): Promise<string> {
  const out = join(folder, `${basename(file)}.onnx`);
  if (existsSync(out)) return out;
  const { code, stderr } = await lookout(['model', 'import', shared(`field/models/${file}`), '--out', out]);
  assert.equal(code, 0, stderr);
  return out;
}

async function detect(...args: string[]): Promise<Answer[]> {
  const { code, stdout, stderr } = await lookout(['detect', '--json', ...args]);
  assert.equal(code, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

const corners = ([x = 0, y = 0, w = 0, h = 0]: readonly number[]) => [x, y, x + w, y + h];

describe('detectors that people bring', { skip }, () => {
  for (const [file, photos] of Object.entries(truth)) {
    test(`${file} finds the objects that LiteRT finds`, async () => {
      const answers = await detect('--model', await imported(file), shared('data/photos'));
      assert.equal(answers.length, Object.keys(photos).length);
      for (const { file: photo, objects } of answers) {
        for (const { class: kind, score, box } of photos[basename(photo)]!) {
          const found = objects.some(
            (object) =>
              object.label === `class ${kind}` &&
              Math.abs(object.score - score) <= 0.05 &&
              intersectionOverUnion(corners(object.box), corners(box)) >= 0.9,
          );
          assert.ok(found, `${photo}: class ${kind}, ${score} at ${box}, found ${JSON.stringify(objects)}`);
        }
        // Nothing that is well above the limit is missing on LiteRT's side either.
        const more = objects.filter(({ score }) => score > 0.45).length;
        assert.ok(more <= photos[basename(photo)]!.length, `${photo}: ${JSON.stringify(objects)}`);
      }
    });
  }

  test('say where and how sure, best first, in fractions of the image', async () => {
    const model = await imported('st_ssd_mobilenet_v1_025_192_int8.tflite');
    const [answer] = await detect('--model', model, '--min-score', '0.2', shared('data/photos/pets.jpg'));
    assert.ok(answer!.objects.length >= 2);
    let before = 1;
    for (const { score, box } of answer!.objects) {
      assert.ok(score <= before && score >= 0.2);
      before = score;
      const [x = -1, y = -1, w = -1, h = -1] = box;
      assert.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 1.000001 && y + h <= 1.000001, `${box}`);
    }
    const { stdout } = await lookout(['detect', '--model', model, shared('data/photos/owl.jpg')]);
    assert.match(stdout, /owl\.jpg\n {2}no objects\n$/);
  });

  test('take the labels of a file, with a line for the background or without', async () => {
    const model = shared('field/models/st_ssd_mobilenet_v1_025_192_int8.tflite');
    const labels = shared('field/models/ssd_mobilenetv2_oidv4_labelmap.txt');
    const refused = await lookout([
      'model',
      'import',
      model,
      '--labels',
      labels,
      '--out',
      join(folder, 'l.onnx'),
    ]);
    assert.equal(refused.code, 78);
    assert.match(refused.stderr, /^MODEL_LABELS_MISMATCH: .*1 classes, but there are 2[34] labels/);
  });

  test('are shown by `model inspect` with their anchors, and refused by `classify`', async () => {
    const model = await imported('pet_ai_detect.tflite');
    const { stdout } = await lookout(['model', 'inspect', model]);
    assert.match(stdout, /^task +finds objects/m);
    assert.match(stdout, /^boxes +.*1917 anchors/m);
    const { code, stderr } = await lookout(['classify', '--model', model, 'photo.jpg']);
    assert.equal(code, 78);
    assert.match(stderr, /^MODEL_OUTPUT_UNSUPPORTED: .* is an object detector[^\n]*\n.*`lookout detect/);
  });
});

describe('a YOLOX', { skip: skip || requiresShared('field/models/yolox_nano.onnx') }, () => {
  test('is known by its output and finds what is in the photos', async () => {
    const photos = ['bird', 'cat', 'pets', 'grace_hopper'].map((name) => shared(`data/photos/${name}.jpg`));
    const answers = await detect('--model', shared('field/models/yolox_nano.onnx'), '-s', '0.7', ...photos);
    assert.deepEqual(
      answers.map(({ objects }) => objects.map(({ label }) => label)),
      [['bird'], ['cat'], ['dog', 'dog'], ['person', 'tie']],
    );
    const [left] = answers[2]!.objects;
    assert.ok(intersectionOverUnion(corners(left!.box), [0.21, 0.08, 0.5, 0.69]) > 0.9);
  });
});

test('`detect` refuses a classifier and says what runs it', async () => {
  const { code, stderr } = await lookout(['detect', 'photo.jpg']);
  assert.equal(code, 78);
  assert.match(stderr, /^MODEL_OUTPUT_UNSUPPORTED: .* is an image classifier[^\n]*\n.*`lookout classify/);
});

test('`detect` refuses a score that is none', async () => {
  const { code, stderr } = await lookout(['detect', '--min-score', '1.5', 'photo.jpg']);
  assert.equal(code, 64);
  assert.match(stderr, /expected a number from 0 to 1/);
});
