import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrorCode } from '../../../../src/errors.ts';
import { convertTflite } from '../../../../src/modelkit/tflite/convert.ts';
import { readTflite } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { TinyNet } from '../../../support/tflite-nets.ts';
import {
  type WrittenModel,
  type WrittenTensor,
  writeTflite,
  writeTfliteOutside,
} from '../../../support/tflite-writer.ts';

const small = () =>
  new TinyNet(1, 'uint8', 9).conv(4, 3, 2).pool('AVERAGE_POOL_2D', 5, 5, true).dense(3).softmax();

function refused(code: ErrorCode, message: RegExp, change: (model: WrittenModel) => void): void {
  const written = small().model();
  change(written);
  const source = readTflite(writeTflite(written));
  assert.throws(
    () => convertTflite(source, 'net.tflite'),
    (error: { code?: string; message: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    },
  );
}

const named = (model: WrittenModel, name: string): WrittenTensor => {
  const tensor = model.tensors.find((candidate) => candidate.name === name);
  assert.ok(tensor, name);
  return tensor;
};

describe('a TensorFlow Lite file is refused', () => {
  test('unless it is quantised, with a hint on how to export it', () => {
    const toFloat = (model: WrittenModel) => {
      for (const tensor of model.tensors) {
        tensor.type = 'float32';
        tensor.scales = [];
        if (tensor.data) tensor.data = new Float32Array(tensor.data.length);
      }
    };
    refused('MODEL_NOT_QUANTIZED', /it computes in floats in 2 layers$/, toFloat);
    refused('MODEL_NOT_QUANTIZED', /"dynamic range"/, (model) => {
      for (const tensor of model.tensors) if (!tensor.data) tensor.type = 'float32';
    });
    refused('MODEL_NOT_QUANTIZED', /"dynamic range"\) in 2 layers/, (model) => {
      toFloat(model);
      const weights = model.tensors.filter(({ name }) => name === 'weights')[1]!;
      Object.assign(weights, { type: 'int8', scales: [1], data: new Int8Array(weights.data!.length) });
    });
    refused('MODEL_NOT_QUANTIZED', /its weights are float16 and it computes in floats/, (model) => {
      toFloat(model);
      const weights = named(model, 'weights');
      const half = { ...weights, name: 'half', type: 'float16', data: new Uint8Array(2 * 108) } as const;
      const index = model.tensors.push(half) - 1;
      delete weights.data;
      const unpack = {
        code: 'DEQUANTIZE',
        inputs: [index],
        outputs: [model.tensors.indexOf(weights)],
      } as const;
      model.operators.unshift({ ...unpack, inputs: [index], outputs: [...unpack.outputs] });
    });
    refused('MODEL_NOT_QUANTIZED', /these operators are not supported either: TRANSPOSE_CONV$/, (model) => {
      toFloat(model);
      model.operators.at(-1)!.code = 67;
    });
    refused('MODEL_NOT_QUANTIZED', /activations are 16-bit/, (model) => {
      for (const tensor of model.tensors) if (!tensor.data) tensor.type = 'int16';
    });
  });

  test('with every operator that is not supported', () => {
    refused(
      'MODEL_OPERATOR_UNSUPPORTED',
      /not supported: RESIZE_NEAREST_NEIGHBOR ×2, operator 200$/,
      (model) => {
        model.operators[0]!.code = 97;
        model.operators[1]!.code = 97;
        model.operators[2]!.code = 200;
      },
    );
    refused(
      'MODEL_OPERATOR_UNSUPPORTED',
      /cannot convert CONV_2D \(output CONV_2D_0\): it has the unknown fused activation 4/,
      (model) => {
        model.operators[0]!.options = [...model.operators[0]!.options!.slice(0, 3), [3, 'int8', 4]];
      },
    );
  });

  test('with invalid scales and zero points', () => {
    const wrong: [RegExp, (model: WrittenModel) => void][] = [
      [/weights has a scale that is not positive/, (m) => (named(m, 'weights').scales = [Number.NaN])],
      [/CONV_2D_0 has no scale/, (m) => (named(m, 'CONV_2D_0').scales = [])],
      [/zero point outside 0…255/, (m) => (named(m, 'input').zeroPoints = [300])],
      [
        /has 2 scales and 3 zero points/,
        (m) => Object.assign(named(m, 'weights'), { scales: [1, 2], zeroPoints: [0, 0, 0] }),
      ],
      [
        /of 4×3×3×3 has 5 scales on axis 0/,
        (m) => Object.assign(named(m, 'weights'), { scales: [1, 1, 1, 1, 1], zeroPoints: [] }),
      ],
      [
        /the scale of CONV_2D_bias is not the scale of its input/,
        (m) => (named(m, 'CONV_2D_bias').scales = [1]),
      ],
      [/AVERAGE_POOL_2D .* changes the scale/, (m) => (named(m, 'AVERAGE_POOL_2D_1').scales = [1])],
    ];
    for (const [message, change] of wrong) refused('MODEL_QUANTIZATION_INVALID', message, change);
  });

  test('with sparse weights, by their names', () => {
    refused('MODEL_OPERATOR_UNSUPPORTED', /has sparse weights.*: weights$/, (model) => {
      const weights = named(model, 'weights');
      weights.sparse = true;
      weights.data = weights.data!.slice(0, 20);
    });
  });

  test('with constants beyond its end', () => {
    const complete = writeTfliteOutside(small().model());
    assert.throws(() => readTflite(complete.subarray(0, complete.length - 1)), /beyond the end of the file/);
  });

  test('with an input that is not one image', () => {
    refused(
      'MODEL_INPUT_UNSUPPORTED',
      /1×H×W×3 \(colours\) or 1×H×W×1 \(grey\), found 1×9×9×2/,
      (m) => (named(m, 'input').shape = [1, 9, 9, 2]),
    );
    refused(
      'MODEL_INPUT_UNSUPPORTED',
      /takes 4 images at once \(4×9×9×3\)/,
      (m) => (named(m, 'input').shape = [4, 9, 9, 3]),
    );
    refused('MODEL_INPUT_UNSUPPORTED', /takes 2 inputs at once/, (m) => (m.inputs = [...m.inputs, 1]));
    refused('MODEL_INPUT_UNSUPPORTED', /expected one input, found 0/, (m) => (m.inputs = []));
  });

  test('with outputs that are not a single vector', () => {
    refused(
      'MODEL_OUTPUT_UNSUPPORTED',
      /expected one output, found 2/,
      (m) => (m.outputs = [...m.outputs, 1]),
    );
    refused(
      'MODEL_OUTPUT_UNSUPPORTED',
      /it returns CONV_2D_0 1×5×5×4/,
      (m) => (m.outputs = m.operators[0]!.outputs),
    );
  });

  test('with layers whose sizes contradict each other', () => {
    refused(
      'MODEL_OPERATOR_UNSUPPORTED',
      /weights of 3×4 for 3 numbers/,
      (m) => (named(m, 'AVERAGE_POOL_2D_1').shape = [1, 1, 1, 3]),
    );
    refused(
      'MODEL_OPERATOR_UNSUPPORTED',
      /a window of an invalid size/,
      (m) => (m.operators[0]!.options![1]![2] = 0),
    );
    refused('MODEL_CORRUPT', /is used before it is computed/, (m) => m.operators.reverse());
  });
});
