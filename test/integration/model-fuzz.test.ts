import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LookoutError } from '../../src/errors.ts';
import { encodeModel } from '../../src/model/onnx.ts';
import { inspectModel } from '../../src/modelkit/inspect.ts';
import { convertTflite } from '../../src/modelkit/tflite/convert.ts';
import { readMetadata } from '../../src/modelkit/tflite/metadata.ts';
import { readTflite } from '../../src/modelkit/tflite/read-tflite.ts';
import { Random } from '../../src/runtime/random.ts';
import { mutate } from '../support/mutate.ts';
import { times } from '../support/requires.ts';
import { folder } from '../support/store.ts';
import { int32s, TinyNet } from '../support/tflite-nets.ts';

const MUTATIONS = times(4000, 20_000);
const ONNX_MUTATIONS = times(500, 2000);

test(`${MUTATIONS} damaged TensorFlow Lite files are converted or refused, quickly and in little memory`, () => {
  const net = new TinyNet(1, 'int8', 9, { perChannel: true }).pad(1).conv(4, 3, 2, { valid: true });
  const shortcut = net.at;
  const originals = [net.depthwise(1).add(shortcut).mean().dense(3).softmax().write(), branches()];
  const random = new Random(2026);
  const before = process.memoryUsage().rss;
  let slowest = 0;
  let converted = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = mutate(originals[i % 2]!, random);
    const started = performance.now();
    try {
      const source = readTflite(bytes);
      readMetadata(bytes, source);
      encodeModel(convertTflite(source, 'net.tflite', { embedding: true }).model);
      converted++;
    } catch (error) {
      const expected = error instanceof LookoutError || error instanceof RangeError;
      assert.ok(expected || (error as Error).constructor === Error, String((error as Error).stack));
    }
    slowest = Math.max(slowest, performance.now() - started);
  }
  assert.ok(converted > MUTATIONS / 50, 'some changes do no harm');
  assert.ok(slowest < 2000, `one took ${slowest} ms`);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `memory grew by ${grown} MB`);
});

test(`${ONNX_MUTATIONS} damaged ONNX files are read or refused with a code, quickly and in little memory`, async () => {
  const net = new TinyNet(1, 'int8', 9, { perChannel: true }).conv(4, 3, 2).mean().dense(3).softmax();
  const converted = convertTflite(readTflite(net.write()), 'net.tflite', { embedding: false });
  const original = encodeModel(converted.model);
  const file = join(folder(), 'net.onnx');
  const random = new Random(2027);
  const before = process.memoryUsage().rss;
  let slowest = 0;
  let read = 0;
  for (let i = 0; i < ONNX_MUTATIONS; i++) {
    writeFileSync(file, mutate(original, random));
    const started = performance.now();
    try {
      await inspectModel({ file, description: undefined, labels: undefined }, '/');
      read++;
    } catch (error) {
      assert.ok(error instanceof LookoutError && /^MODEL_/.test(error.code), String((error as Error).stack));
    }
    slowest = Math.max(slowest, performance.now() - started);
  }
  assert.ok(read > ONNX_MUTATIONS / 50, `${read} could be read: some changes do no harm`);
  assert.ok(slowest < 2000, `one took ${slowest} ms`);
  const grown = (process.memoryUsage().rss - before) / 1e6;
  assert.ok(grown < 150, `memory grew by ${grown} MB`);
});

/** A network of what has branches, groups and turned axes. */
function branches(): Uint8Array {
  const net = new TinyNet(2, 'int8', 8, { perChannel: true }).conv(4, 3, 2);
  const trunk = net.at;
  const [left, right] = net.apply(
    'SPLIT',
    [int32s(3), trunk],
    [{ shape: [1, 4, 4, 2] }, { shape: [1, 4, 4, 2] }],
    [[0, 'int32', 2]],
  );
  net.apply('HARD_SWISH', [right!], [{ shape: [1, 4, 4, 2] }]);
  net.apply('CONCATENATION', [left!, net.at], [{ shape: [1, 4, 4, 4] }], [[0, 'int32', 3]]);
  const joined = net.at;
  net.apply('MEAN', [joined, int32s(1, 2)], [{ shape: [1, 1, 1, 4] }], [[0, 'int8', 1]]);
  net.apply('MUL', [joined, net.at], [{ shape: [1, 4, 4, 4] }], [[0, 'int8', 0]]);
  net.apply(
    'STRIDED_SLICE',
    [net.at, int32s(0, 1, 0, 0), int32s(1, 4, 4, 4), int32s(1, 1, 2, 1)],
    [{ shape: [1, 3, 2, 4] }],
  );
  net.apply('TRANSPOSE', [net.at, int32s(0, 3, 1, 2)], [{ shape: [1, 4, 3, 2] }]);
  net.apply(
    'ADD',
    [net.at, net.constantOf([1, 4, 1, 1], 1 / 90)],
    [{ shape: [1, 4, 3, 2] }],
    [[0, 'int8', 0]],
  );
  net.apply('SUM', [net.at, int32s(-1)], [{ shape: [1, 4, 3] }], [[0, 'int8', 0]]);
  net.apply('PAD', [net.at, int32s(0, 0, 1, 0, 0, 1)], [{ shape: [1, 5, 4] }]);
  return net.dense(3).softmax().write();
}
