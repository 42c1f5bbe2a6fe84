import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import type { ModelDescription } from '../../../src/model/description.ts';
import { loadModel } from '../../../src/model/load-model.ts';
import { encodeModel } from '../../../src/model/onnx.ts';
import { GraphBuilder } from '../../../src/model/onnx-graph.ts';
import { type QuantizeFileOptions, quantizeFile } from '../../../src/modelkit/quantize-file.ts';
import { Random } from '../../../src/runtime/random.ts';
import { tempFolder } from '../../support/folder.ts';
import { type Weights, withFloats } from '../../support/tflite-floats.ts';
import { TinyNet } from '../../support/tflite-nets.ts';
import { writeTflite } from '../../support/tflite-writer.ts';

let folder = '';
beforeEach(() => {
  folder = tempFolder();
});
const path = (name: string) => join(folder, name);

/** A small model in Teachable Machine's format. @param factor of the first weights */
function putNet(weights: Weights = 'float32', { factor = 1, classes = 3 } = {}): string {
  const net = new TinyNet(31, 'int8', 17, { perChannel: true }).conv(16, 3, 2).depthwise(1).conv(32, 1, 1);
  const written = net.mean().dense(classes).model();
  const first = written.tensors.find(({ name }) => name === 'weights')!;
  first.scales = first.scales!.map((scale) => scale * factor);
  writeFileSync(path('net.tflite'), writeTflite(withFloats(written, weights)));
  return path('net.tflite');
}

/** @returns the report, and the input that the images were requested for */
async function quantize(file: string, options: Partial<QuantizeFileOptions> = {}) {
  const random = new Random(4);
  let seen: ModelDescription['input'] | undefined;
  const report = await quantizeFile({
    file,
    images: async (input) => {
      seen = input;
      const length = input.width * input.height * input.channels;
      return Array.from({ length: 8 }, () =>
        Uint8Array.from({ length }, () => Math.floor(random.range(0, 256))),
      );
    },
    log: () => {},
    onProgress: () => {},
    ...options,
  });
  return { report, fed: seen! };
}

test('float32, float16 and 8-bit weights become int8 models with a byte input', async () => {
  writeFileSync(path('labels.txt'), '0 none\n1 cat\n2 dog\n');
  for (const weights of ['float32', 'float16', 'int8'] as const) {
    const { report, fed } = await quantize(putNet(weights));
    assert.deepEqual([fed.type, fed.mean[0], fed.scale[0]], ['float32', 127.5, 1 / 127.5]);
    assert.equal(report.assumed, '-1..1');
    const { QLinearConv, QGemm } = report.cpu.trial.fused!;
    assert.deepEqual([QLinearConv, QGemm], [3, 1]);
    const { description } = await loadModel({ file: report.cpu.file }, '/');
    assert.deepEqual([description.input.type, description.input.mean], ['uint8', [0, 0, 0]]);
    assert.deepEqual(description.labels, ['none', 'cat', 'dog']);
    assert.equal(description.source!.file, 'net.tflite');
  }
});

test('a net whose first weights fit levels of 0…255 gets that range', async () => {
  const { report, fed } = await quantize(putNet('float32', { factor: 1 / 255 }));
  assert.equal(report.assumed, '0..255');
  assert.deepEqual([fed.mean[0], fed.scale[0]], [0, 1]);
});

test('an option or a description sets the input range', async () => {
  const file = putNet();
  const ranged = await quantize(file, { range: '0..1' });
  assert.deepEqual([ranged.report.assumed, ranged.fed.mean[0], ranged.fed.scale[0]], [null, 0, 1 / 255]);
  const input = { mean: [1, 2, 3], scale: [0.01, 0.02, 0.03] };
  const own = {
    name: 'mine',
    input,
    labels: ['a', 'b', 'background'],
    output: { kind: 'logits' },
    licence: 'MIT',
  };
  writeFileSync(path('own.json'), JSON.stringify(own));
  const described = await quantize(file, { description: path('own.json'), range: '0..1' });
  assert.deepEqual([described.fed.mean, described.fed.scale], [input.mean, input.scale]);
  const { name, labels, background, licence } = described.report.description;
  assert.deepEqual([name, labels, background, licence], ['mine_int8', own.labels, ['background'], 'MIT']);
});

test('a net with one output is compared by the better one of its two labels', async () => {
  writeFileSync(path('labels.txt'), 'nobody\nface\n');
  const { report } = await quantize(putNet('float32', { classes: 1 }));
  assert.deepEqual(report.description.labels, ['nobody', 'face']);
  assert.ok(report.result.agreement.cpu >= 0.5);
  assert.ok(report.result.choices[0]!.decibels > 10);
});

test('a float ONNX file needs its range in a description or an option', async () => {
  const g = new GraphBuilder('edges');
  const weights = g.constant(
    'w',
    Float32Array.from({ length: 4 * 27 }, (_, i) => Math.sin(i)),
    [4, 3, 3, 3],
  );
  const made = g.node('Conv', [g.input('x', 'float', [1, 3, 8, 8]), weights], { kernel_shape: [3, 3] });
  g.node('Flatten', [g.node('GlobalAveragePool', [made])], {}, 'logits');
  g.output('logits', [1, 4]);
  const file = path('edges.onnx');
  writeFileSync(file, encodeModel(g.build()));
  await assert.rejects(quantize(file), {
    code: 'MODEL_DESCRIPTION_MISSING',
    hint: /`lookout model quantize` also accepts `--input-range -1\.\.1`/,
  });
  const { report, fed } = await quantize(file, { range: '0..1' });
  assert.deepEqual([report.assumed, fed.scale], [null, [1 / 255, 1 / 255, 1 / 255]]);
});
