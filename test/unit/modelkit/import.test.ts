import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { loadModel } from '../../../src/model/load-model.ts';
import { importTflite } from '../../../src/modelkit/import.ts';
import { tempFolder } from '../../support/folder.ts';
import { TinyNet } from '../../support/tflite-nets.ts';

const net = () =>
  new TinyNet(1, 'uint8', 9).conv(4, 3, 2).pool('AVERAGE_POOL_2D', 5, 5, true).dense(3).softmax();
let folder = '';
beforeEach(() => {
  folder = tempFolder();
  writeFileSync(join(folder, 'net.tflite'), net().write());
});

const file = (name: string) => join(folder, name);

test('an imported model is self-contained', async () => {
  writeFileSync(file('my_labels.txt'), 'background\ncat\ndog\n');
  const report = await importTflite({ file: file('net.tflite'), embedding: true });
  assert.equal(report.out, file('net.onnx'));
  assert.deepEqual(report.operators, { CONV_2D: 1, AVERAGE_POOL_2D: 1, FULLY_CONNECTED: 1, SOFTMAX: 1 });
  assert.equal(report.trial.fused?.QLinearConv, 2);
  rmSync(file('my_labels.txt'));
  const { description } = await loadModel({ file: report.out }, '/');
  assert.deepEqual(description.labels, ['background', 'cat', 'dog']);
  assert.deepEqual(description.background, ['background']);
  assert.deepEqual(description.output, { name: 'scores', kind: 'probabilities' });
  assert.deepEqual(description.embedding, { name: 'embedding', size: 4 });
  assert.match(description.source!.sha256, /^[0-9a-f]{64}$/);
  assert.deepEqual([description.name, description.input.width, description.input.type], ['net', 9, 'uint8']);
});

test('labels and the output file can be given', async () => {
  writeFileSync(file('other.txt'), 'x\ny\nz\n');
  const { out } = await importTflite({
    file: file('net.tflite'),
    labels: file('other.txt'),
    out: file('o.onnx'),
  });
  assert.deepEqual((await loadModel({ file: out }, '/')).description.labels, ['x', 'y', 'z']);
});

test('an import that fails leaves no file behind', async () => {
  const tries: [string, Parameters<typeof importTflite>[0]][] = [
    ['MODEL_MISSING', { file: file('none.tflite') }],
    ['MODEL_CORRUPT', { file: file('cut.tflite') }],
    ['MODEL_FORMAT_UNSUPPORTED', { file: file('packed.zip') }],
    ['MODEL_LABELS_MISMATCH', { file: file('net.tflite'), labels: file('two.txt') }],
    ['MODEL_MISSING', { file: file('net.tflite'), labels: file('no.txt') }],
    ['MODEL_WRITE_FAILED', { file: file('net.tflite'), out: file('no/such/folder.onnx') }],
    ['MODEL_WRITE_FAILED', { file: file('net.tflite'), out: folder }],
  ];
  writeFileSync(file('cut.tflite'), net().write().subarray(0, 700));
  writeFileSync(file('packed.zip'), 'PK\x03\x04 not a model');
  writeFileSync(file('two.txt'), 'x\ny\n');
  const before = readdirSync(folder);
  for (const [code, options] of tries) {
    await assert.rejects(importTflite(options), { code });
    assert.deepEqual(readdirSync(folder), before, code);
  }
});

test('a model that ONNX Runtime cannot run is not written', async () => {
  const broken = net();
  broken.tensors.find(({ name }) => name === 'AVERAGE_POOL_2D_1')!.shape = [1, 2, 2, 4];
  writeFileSync(file('broken.tflite'), broken.write());
  await assert.rejects(importTflite({ file: file('broken.tflite') }), /MODEL_|weights|cannot/);
  assert.ok(!readdirSync(folder).includes('broken.onnx'));
});
