import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { requiresShared, shared } from '../support/requires.ts';

const skip = requiresShared('field/models');

/** What `import`, `quantize`, `inspect` and `classify` say of files that they cannot take: the first lines of it. */
const CASES: [file: string, commands: string[], error: RegExp, hint: RegExp][] = [
  [
    'coral_mobilenet_v1_0.25_128_quant_edgetpu.tflite',
    ['import', 'quantize', 'inspect', 'classify'],
    /^MODEL_COMPILED: .* is compiled for the Edge TPU/,
    /probably coral_mobilenet_v1_0\.25_128_quant\.tflite/,
  ],
  [
    'tflm_person_detect_vela.tflite',
    ['import', 'quantize', 'inspect', 'classify'],
    /^MODEL_COMPILED: .* is compiled for Arm’s Ethos-U/,
    /that Vela was given, probably tflm_person_detect\.tflite/,
  ],
  [
    'pet_ai_detect.tflite',
    ['quantize'],
    /^MODEL_OUTPUT_UNSUPPORTED: .* is an object detector/,
    /`lookout detect/,
  ],
  [
    'pet_ai_detect.tflite',
    ['inspect', 'classify', 'detect'],
    /^MODEL_FORMAT_UNSUPPORTED: .* is a TensorFlow Lite model/,
    /`lookout model import .*pet_ai_detect\.tflite`/,
  ],
  [
    'ssd_mobilenetv2_oidv4_fp16.tflite',
    ['import', 'quantize'],
    /^MODEL_OUTPUT_UNSUPPORTED: .* is an object detector: .*1×1917×4/,
    /image classifiers/,
  ],
  ['yolox_nano.onnx', ['import'], /^MODEL_FORMAT_UNSUPPORTED: .* is an ONNX model/, /needs no import/],
  [
    'yolox_nano.onnx',
    ['classify', 'quantize'],
    /^MODEL_OUTPUT_UNSUPPORTED: .* is an object detector/,
    /`lookout detect/,
  ],
  [
    'FastestDet.onnx',
    ['inspect'],
    /^MODEL_OUTPUT_UNSUPPORTED: .* is an object detector/,
    /image classifiers/,
  ],
  [
    'st_mobilenet_v2_128_0.5.onnx',
    ['import'],
    /^MODEL_FORMAT_UNSUPPORTED: .* is an ONNX model/,
    /needs no import/,
  ],
  [
    'tm_f/model_unquant.tflite',
    ['import'],
    /^MODEL_NOT_QUANTIZED: .*computes in floats/,
    /In Teachable Machine choose TensorFlow Lite › Quantized, or run `lookout model quantize/,
  ],
  [
    'facedet_my_model.tflite',
    ['import'],
    /^MODEL_NOT_QUANTIZED: .*dynamic range/,
    /run `lookout model quantize/,
  ],
  [
    'preet_animal_classifier.tflite',
    ['import'],
    /^MODEL_NOT_QUANTIZED: .*float16/,
    /run `lookout model quantize/,
  ],
  [
    'tm_f/model_unquant.tflite',
    ['inspect', 'classify'],
    /^MODEL_FORMAT_UNSUPPORTED: .* is a TensorFlow Lite model/,
    /`lookout model quantize .*--calibrate/,
  ],
  [
    'tm_q/model.tflite',
    ['inspect', 'classify'],
    /^MODEL_FORMAT_UNSUPPORTED: .* is a TensorFlow Lite model/,
    /`lookout model import .*model\.tflite`/,
  ],
];

const cwd = tempFolder();
writeFileSync(join(cwd, 'page.tflite'), '<!doctype html><title>404</title>');
mkdirSync(join(cwd, 'saved_model'));

function argumentsOf(command: string, file: string): string[] {
  if (command === 'classify' || command === 'detect') return [command, '--model', file, 'picture.jpg'];
  return command === 'quantize' ? ['model', 'quantize', file, '--calibrate', cwd] : ['model', command, file];
}

describe('files that people bring by mistake', { skip }, () => {
  for (const [file, commands, error, hint] of CASES) {
    test(`${file}: ${commands.join(', ')} say what it is and what to do`, async () => {
      for (const command of commands) {
        const { code, stderr } = await lookout(argumentsOf(command, shared(`field/models/${file}`)), { cwd });
        assert.equal(code, 78, command);
        const [first = '', second = ''] = stderr.split('\n');
        assert.match(first, error, command);
        assert.match(second, hint, command);
      }
    });
  }
});

test('a web page and a folder in the place of a model are named as such', async () => {
  for (const command of ['import', 'inspect', 'classify', 'quantize']) {
    const page = await lookout(argumentsOf(command, './page.tflite'), { cwd });
    assert.match(page.stderr, /^MODEL_FORMAT_UNSUPPORTED: .*page\.tflite is a web page/, command);
    const folder = await lookout(argumentsOf(command, './saved_model'), { cwd });
    assert.match(folder.stderr, /^MODEL_FORMAT_UNSUPPORTED: .*saved_model is a folder/, command);
  }
});
