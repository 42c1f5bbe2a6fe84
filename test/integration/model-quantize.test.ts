import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { samplesOf } from '../../scripts/train/demo-samples.ts';
import { Scene } from '../../src/demo/scene.ts';
import { BUILTIN_MODEL, loadModel } from '../../src/model/load-model.ts';
import { DataType, decodeModel, type OnnxModel } from '../../src/model/onnx.ts';
import { outputsOf } from '../../src/modelkit/quantize/compare-answers.ts';
import { dequantized } from '../../src/modelkit/quantize/dequantize.ts';
import { readFloatGraph, writeFloatGraph } from '../../src/modelkit/quantize/float-graph.ts';
import { quantizeModel } from '../../src/modelkit/quantize/quantize.ts';
import { tempFolder } from '../support/folder.ts';
import { TinyNet } from '../support/tflite-nets.ts';

const folder = tempFolder();

const pictures = (seed: number, scenes: number, side: number) =>
  Array.from({ length: scenes }, (_, scene) => [...samplesOf(seed + scene, side, 12)])
    .flat()
    .map(({ pixels }) => pixels);

const PROBABILITIES = { name: 'probabilities', kind: 'probabilities' } as const;

const first = (scores: Float32Array) => scores.indexOf(Math.max(...scores));

async function agreement(a: OnnxModel, b: OnnxModel, holdout: Uint8Array[]): Promise<number> {
  const [left, right] = [
    await outputsOf(a, PROBABILITIES, holdout),
    await outputsOf(b, PROBABILITIES, holdout),
  ];
  return left.filter((scores, index) => first(scores) === first(right[index]!)).length / holdout.length;
}

test('quantising the float form of the built-in model keeps 97 % of its top-1 classes on held-out images', async () => {
  const model = decodeModel(readFileSync(BUILTIN_MODEL));
  const { description } = await loadModel({ file: 'builtin' }, folder);
  const side = description.input.width;
  const float = writeFloatGraph(dequantized(readFloatGraph(model)));
  const options = { output: PROBABILITIES, methods: ['percentile'], mostReal: 0.02 } as const;
  const { models } = await quantizeModel(float, description.input, pictures(700_000, 2, side), options);
  const share = await agreement(float, models.cpu.model, pictures(800_000, 6, side));
  assert.ok(share >= 0.97, `only ${(100 * share).toFixed(1)} %`);
  const { graph } = models.tensorrt.model;
  const zeros = graph.initializer.filter(({ name }) => /_zero(_\d+)?$/.test(name));
  assert.ok(zeros.length > 100);
  assert.ok(
    zeros.every(({ dataType, rawData }) => dataType === DataType.int8 && rawData.every((zero) => zero === 0)),
  );
});

const cli = resolve(import.meta.dirname, '../../src/cli.ts');

function quantize(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'model', 'quantize', ...args], {
    encoding: 'utf8',
    env: { ...process.env, LOOKOUT_CONFIG: '' },
  });
  return { status, stdout, stderr };
}

test('lookout model quantize writes a model for the CPU and one for TensorRT', async () => {
  const photos = join(folder, 'photos');
  mkdirSync(photos);
  const scene = new Scene(64, 48, 1);
  const picture = new Uint8Array(scene.bytes);
  for (let index = 0; index < 12; index++) {
    scene.render(index * 5000, picture);
    const raw = { width: 64, height: 48, channels: 1 } as const;
    await sharp(picture.slice(0, 64 * 48), { raw })
      .jpeg()
      .toFile(join(photos, `${index}.jpg`));
  }
  writeFileSync(join(photos, 'broken.jpg'), 'no picture');
  const net = smallNet();
  const { status, stdout, stderr } = quantize(net, '--calibrate', photos, '--out', join(folder, 'q.onnx'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^wrote +.*q\.onnx, \d+ bytes, for the CPU$/m);
  assert.match(stdout, /^ranges +(minmax|percentile|mse)(, equalised)?: signal-to-noise ratio [\d.]+ dB$/m);
  assert.match(stdout, /^agreement +\d/m);
  assert.match(stdout, /^images +12, 3 of them held out for measurement/m);
  const cpu = await loadModel({ file: join(folder, 'q.onnx') }, '/');
  const tensorrt = await loadModel({ file: join(folder, 'q.tensorrt.onnx') }, '/');
  assert.deepEqual([cpu.description.input.type, tensorrt.description.input.type], ['uint8', 'float32']);
  assert.equal(cpu.description.source!.file, 'net.tflite');
});

/** A small network as a file of TensorFlow Lite, in a folder of its own. */
function smallNet(): string {
  const file = join(tempFolder(), 'net.tflite');
  const net = new TinyNet(1, 'uint8', 17)
    .conv(16, 3, 2)
    .depthwise(1)
    .conv(32, 1, 1)
    .mean()
    .dense(3)
    .softmax();
  writeFileSync(file, net.write());
  return file;
}

test('lookout model quantize takes its images from a camera', async () => {
  const model = smallNet();
  const { status, stdout, stderr } = quantize(model, '--from-camera', 'demo', '--pictures', '5', '--json');
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout) as {
    images: number;
    result: { choices: unknown[]; layers: unknown[] };
  };
  assert.equal(report.images, 5);
  assert.ok(report.result.choices.length >= 6);
  assert.ok(report.result.layers.length >= 4);
});

test('lookout model quantize says what it lacks and leaves nothing behind', () => {
  const model = smallNet();
  const folder = dirname(model);
  const before = readdirSync(folder);
  const empty = join(folder, 'empty');
  for (const [args, code] of [
    [[model], 'USAGE'],
    [[model, '--calibrate', empty, '--from-camera', 'demo'], 'USAGE'],
    [[model, '--from-camera', 'garden'], 'USAGE'],
    [[model, '--calibrate', empty], 'MODEL_CALIBRATION_EMPTY'],
    [[join(folder, 'none.onnx'), '--calibrate', empty], 'MODEL_MISSING'],
  ] as const) {
    const { status, stderr } = quantize(...args);
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(`^${code}: `, 'm'));
    assert.deepEqual(readdirSync(folder), before);
  }
});
