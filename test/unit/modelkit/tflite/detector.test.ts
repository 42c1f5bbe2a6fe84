import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { encode } from 'flatbuffers/js/flexbuffers.js';
import { loadModel } from '../../../../src/model/load-model.ts';
import { importTflite } from '../../../../src/modelkit/import.ts';
import { findDetector } from '../../../../src/modelkit/tflite/detector.ts';
import { readNumbers } from '../../../../src/modelkit/tflite/flexbuffer.ts';
import { readTflite } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { tempFolder } from '../../../support/folder.ts';
import { type WrittenModel, type WrittenTensor, writeTflite } from '../../../support/tflite-writer.ts';

const OPTIONS = {
  max_detections: 10,
  num_classes: 2,
  // Converters write floats of 32 bits.
  nms_score_threshold: Math.fround(1e-8),
  nms_iou_threshold: Math.fround(0.6),
  use_regular_nms: false,
  y_scale: 10.5,
  x_scale: 10.25,
  h_scale: 5,
  w_scale: 4.5,
};

const tensor = (name: string, shape: number[], more: Partial<WrittenTensor> = {}): WrittenTensor => ({
  name,
  shape,
  type: 'uint8',
  scales: [0.05],
  zeroPoints: [128],
  ...more,
});

/** Four places of an image of 8×8, each one candidate with a box and three scores. */
function detector(options: Record<string, unknown> = OPTIONS): WrittenModel {
  const weights = (name: string, to: number) => [
    tensor(`${name}_w`, [to, 2, 2, 3], {
      data: Uint8Array.from({ length: to * 12 }, (_, i) => (i * 37) % 256),
    }),
    tensor(`${name}_b`, [to], { type: 'int32', scales: [0.0025], zeroPoints: [0], data: new Int32Array(to) }),
    tensor(name, [1, 2, 2, to]),
  ];
  const anchors = Uint8Array.from([1, 1, 2, 2, 1, 3, 2, 2, 3, 1, 2, 2, 3, 3, 2, 2]);
  const tensors = [
    tensor('input', [1, 8, 8, 3]),
    ...weights('places', 4),
    ...weights('classes', 3),
    tensor('boxes', [1, 4, 4]),
    tensor('logits', [1, 4, 3]),
    tensor('scores', [1, 4, 3], { scales: [1 / 256], zeroPoints: [0] }),
    tensor('anchors', [4, 4], { scales: [0.25], zeroPoints: [0], data: anchors }),
    ...['a', 'b', 'c', 'd'].map((name) =>
      tensor(name, [1, 10], { type: 'float32', scales: [], zeroPoints: [] }),
    ),
  ];
  const at = (name: string) => tensors.findIndex((each) => each.name === name);
  const convolution = (name: string) => ({
    code: 'CONV_2D' as const,
    inputs: [0, at(`${name}_w`), at(`${name}_b`)],
    outputs: [at(name)],
    options: [
      [0, 'int8', 1],
      [1, 'int32', 4],
      [2, 'int32', 4],
      [4, 'int32', 1],
      [5, 'int32', 1],
    ] as [number, 'int8' | 'int32', number][],
  });
  const ends = ['a', 'b', 'c', 'd'].map(at);
  return {
    tensors,
    operators: [
      convolution('places'),
      convolution('classes'),
      { code: 'RESHAPE', inputs: [at('places')], outputs: [at('boxes')] },
      { code: 'RESHAPE', inputs: [at('classes')], outputs: [at('logits')] },
      { code: 'LOGISTIC', inputs: [at('logits')], outputs: [at('scores')] },
      {
        code: 'CUSTOM',
        inputs: ['boxes', 'scores', 'anchors'].map(at),
        outputs: ends,
        custom: { name: 'TFLite_Detection_PostProcess', options: encode(options) },
      },
    ],
    inputs: [0],
    outputs: ends,
  };
}

const folder = tempFolder();

function write(name: string, model: WrittenModel): string {
  const file = join(folder, name);
  writeFileSync(file, writeTflite(model));
  return file;
}

describe('a detector that ends in TFLite_Detection_PostProcess', () => {
  test('is cut off there, and its anchors and options become its description', async () => {
    const report = await importTflite({ file: write('d.tflite', detector()) });
    const { description } = await loadModel({ file: report.out }, '/', { task: 'detect' });
    assert.deepEqual(
      [description.task, description.output],
      ['detect', { name: 'scores', kind: 'probabilities' }],
    );
    assert.deepEqual(description.labels, ['class 0', 'class 1']);
    const { anchors, ...boxes } = description.boxes!;
    assert.deepEqual(anchors.slice(0, 8), [0.25, 0.25, 0.5, 0.5, 0.25, 0.75, 0.5, 0.5]);
    assert.equal(anchors.length, 16);
    assert.deepEqual(boxes, {
      output: 'boxes',
      coding: 'centre',
      scales: { y: 10.5, x: 10.25, h: 5, w: 4.5 },
      strides: [],
      offset: 1,
      score: 0.3,
      overlap: Math.fround(0.6),
      suppression: 'all',
      most: 10,
    });
    await assert.rejects(loadModel({ file: report.out }, '/'), { code: 'MODEL_OUTPUT_UNSUPPORTED' });
  });

  test('keeps limits that mean something', () => {
    const options = { ...OPTIONS, nms_score_threshold: 0.25, use_regular_nms: true, num_classes: 3 };
    const { boxes } = {
      boxes: findDetector(readTflite(writeTflite(detector(options))), null, 'd')!.description,
    };
    assert.deepEqual([boxes.score, boxes.suppression, boxes.offset], [0.25, 'class', 0]);
  });

  test('takes labels with a line for the background or without', async () => {
    for (const [lines, expected] of [
      [
        ['???', 'cat', 'dog'],
        ['cat', 'dog'],
      ],
      [
        ['cat', 'dog'],
        ['cat', 'dog'],
      ],
    ] as const) {
      const labels = join(folder, 'names.txt');
      writeFileSync(labels, lines.join('\n'));
      const { description } = await importTflite({ file: write('l.tflite', detector()), labels });
      assert.deepEqual(description.labels, expected);
    }
    writeFileSync(join(folder, 'names.txt'), 'cat\n');
    await assert.rejects(
      importTflite({ file: write('l.tflite', detector()), labels: join(folder, 'names.txt') }),
      { code: 'MODEL_LABELS_MISMATCH' },
    );
  });

  test('is refused when its anchors are computed or its options are damaged', () => {
    const computed = detector();
    delete computed.tensors.find(({ name }) => name === 'anchors')!.data;
    assert.throws(() => findDetector(readTflite(writeTflite(computed)), null, 'd'), {
      code: 'MODEL_OUTPUT_UNSUPPORTED',
    });
    const damaged = detector();
    damaged.operators.at(-1)!.custom!.options = Uint8Array.of(1, 2, 3);
    assert.throws(() => findDetector(readTflite(writeTflite(damaged)), null, 'd'), { code: 'MODEL_CORRUPT' });
  });
});

describe('options of custom operators', () => {
  test('are read as the reference library writes them', () => {
    const options = {
      a: 1,
      big: 100_000,
      c: -3,
      yes: true,
      no: false,
      half: 0.5,
      third: Math.fround(1 / 3),
      text: 'x',
    };
    const found = readNumbers(encode(options));
    assert.deepEqual(Object.fromEntries(found), {
      a: 1,
      big: 100_000,
      c: -3,
      yes: 1,
      no: 0,
      half: 0.5,
      third: Math.fround(1 / 3),
    });
  });

  test('that are cut or changed anywhere never do worse than throw', () => {
    const bytes = encode(OPTIONS);
    for (let length = 0; length < bytes.length; length++) {
      try {
        readNumbers(bytes.subarray(0, length));
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ 0xff;
      try {
        assert.ok(readNumbers(changed).size <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  });
});
