import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LookoutError } from '../../../src/errors.ts';
import { checkNetwork, type Port } from '../../../src/model/classifier-check.ts';

type Shape = (number | null)[];
interface Given {
  input?: Shape;
  name?: string;
  type?: string;
  outputs?: Shape[];
  operators?: string[];
}

const port = (shape: Shape, name: string, type = 'float32'): Port => ({ name, type, shape });

function check({
  input = [1, 224, 224, 3],
  name = 'input',
  type = 'uint8',
  outputs = [[1, 5]],
  operators = [],
}: Given) {
  checkNetwork(
    {
      inputs: [port(input, name, type)],
      outputs: outputs.map((shape, index) => port(shape, `out${index}`)),
      operators,
    },
    'm.tflite',
  );
}

function refused(given: Given, code: string, message: RegExp): void {
  assert.throws(
    () => check(given),
    (error: LookoutError) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.message, /^m\.tflite /);
      assert.ok(error.hint);
      return true;
    },
    `${message}`,
  );
}

test('a network that takes one image and returns one vector is a classifier', () => {
  check({});
  check({ input: [1, 3, 224, 224], outputs: [[1, 1000]] });
  check({ input: [1, 96, 96, 1], type: 'int8', outputs: [[1, 1, 1, 2]] });
  check({ input: [null, null, null, 3], outputs: [[null, 1001]] });
  check({ outputs: [[1, 7, 1, 1]] });
  check({ outputs: [[1, 1]] });
  // The description may choose one of two heads.
  check({
    outputs: [
      [1, 5],
      [1, 2],
    ],
  });
});

describe('a network is refused that takes', () => {
  const cases: [string, Given, RegExp][] = [
    [
      'a waveform',
      { input: [1, 15600], name: 'waveform', type: 'float32' },
      /takes sound \(waveform, 1×15600\)/,
    ],
    [
      'numbers in a row',
      { input: [1, 1960], type: 'int8' },
      /takes 1×1960 numbers \(sound, text or sensor values\)/,
    ],
    ['a spectrogram', { input: [1, 49, 40, 1], type: 'int8' }, /takes sound \(input, 1×49×40×1\)/],
    ['a spectrogram, turned', { input: [1, 1, 64, 96] }, /takes sound/],
    ['text', { input: [1, 256], type: 'int32' }, /takes text \(1×256 int32\)/],
    ['video', { input: [1, 16, 172, 172, 3] }, /several images at once.*video/],
    ['several images', { input: [8, 224, 224, 3] }, /takes 8 images at once/],
    ['its own state', { operators: ['UNIDIRECTIONAL_SEQUENCE_LSTM'] }, /keeps state.*LSTM/],
  ];
  for (const [name, given, message] of cases) {
    test(name, () => refused(given, 'MODEL_INPUT_UNSUPPORTED', message));
  }

  test('two inputs', () => {
    const inputs = [port([1, 224, 224, 3], 'a'), port([1, 4], 'b')];
    assert.throws(() => checkNetwork({ inputs, outputs: [port([1, 5], 'o')], operators: [] }, 'm'), {
      code: 'MODEL_INPUT_UNSUPPORTED',
      message: 'm takes 2 inputs at once: a 1×224×224×3, b 1×4',
    });
  });
});

describe('a network is refused that returns', () => {
  const detector = /is an object detector/;
  const poses = /is a pose network/;
  const cases: [string, Given, RegExp][] = [
    [
      'boxes with built-in selection',
      { outputs: [[], [], [], []], operators: ['CUSTOM TFLite_Detection_PostProcess'] },
      detector,
    ],
    [
      'raw boxes and scores (SSD)',
      {
        outputs: [
          [1, 1917, 4],
          [1, 1917, 91],
        ],
      },
      detector,
    ],
    [
      'boxes, scores and anchors',
      {
        outputs: [
          [1, 3830, 2],
          [1, 3830, 4],
          [1, 3830, 4],
        ],
      },
      detector,
    ],
    ['candidates (YOLOv5)', { input: [1, 640, 640, 3], outputs: [[1, 25200, 85]] }, detector],
    ['candidates (YOLOv8)', { input: [1, 3, 640, 640], outputs: [[1, 84, 8400]] }, detector],
    ['candidates (YOLOX)', { input: [1, 3, 416, 416], outputs: [[1, 3549, 85]] }, detector],
    [
      'candidates and outlines',
      {
        input: [1, 640, 640, 3],
        outputs: [
          [1, 8400, 116],
          [1, 160, 160, 32],
        ],
      },
      detector,
    ],
    [
      'grids of several scales',
      {
        input: [1, 416, 416, 3],
        outputs: [
          [1, 13, 13, 255],
          [1, 26, 26, 255],
        ],
      },
      detector,
    ],
    ['one grid', { input: [1, 3, 352, 352], outputs: [[1, 85, 22, 22]] }, detector],
    ['points (FOMO)', { input: [1, 96, 96, 1], outputs: [[1, 12, 12, 2]] }, /detector for points/],
    ['keypoints (MoveNet)', { input: [1, 192, 192, 3], outputs: [[1, 1, 17, 3]] }, poses],
    ['keypoints of several people', { input: [1, 256, 256, 3], outputs: [[1, 6, 56]] }, poses],
    [
      'heat maps and offsets (PoseNet)',
      {
        input: [1, 353, 481, 3],
        outputs: [
          [1, 23, 31, 17],
          [1, 23, 31, 34],
        ],
      },
      poses,
    ],
    ['heat maps', { input: [1, 256, 192, 3], outputs: [[1, 64, 48, 17]] }, poses],
    [
      'a map of classes',
      { input: [1, 257, 257, 3], outputs: [[1, 257, 257, 21]] },
      /as segmentation networks do/,
    ],
    ['a mask', { input: [1, 3, 256, 256], outputs: [[1, 1, 256, 256]] }, /as segmentation networks do/],
    ['another image', { input: [1, 224, 224, 3], outputs: [[1, 224, 224, 3]] }, /returns a map/],
  ];
  for (const [name, given, message] of cases) {
    test(name, () => refused(given, 'MODEL_OUTPUT_UNSUPPORTED', message));
  }

  test('only the number of a class', () => {
    const network = {
      inputs: [port([1, 96, 96, 3], 'i')],
      outputs: [port([1], 'o', 'int64')],
      operators: ['ArgMax'],
    };
    assert.throws(() => checkNetwork(network, 'm'), {
      code: 'MODEL_OUTPUT_UNSUPPORTED',
      hint: /without its last layer/,
    });
  });
});
