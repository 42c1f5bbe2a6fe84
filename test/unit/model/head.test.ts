import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { backboneOf, withHead } from '../../../src/model/head.ts';
import { decodeModel } from '../../../src/model/onnx.ts';
import { buildModel } from '../../../src/modelkit/build.ts';
import { Random } from '../../../src/runtime/random.ts';
import { tempFolder } from '../../support/daemon.ts';
import { headModel } from '../../support/head.ts';
import { runModel } from './run-model.ts';

const SIDE = 32;
const LABELS = ['person', 'car', 'nothing'];
const sha256 = 'ab'.repeat(32);

async function network(seed: number) {
  const out = join(tempFolder(), 'network.onnx');
  await buildModel({
    ...{ family: 'v2', width: 0.1, resolution: SIDE, classes: 5, expansion: 1, seed, out },
    ...{ precision: 'int8', embedding: true },
  });
  return decodeModel(readFileSync(out));
}

const noise = (seed: number) => {
  const random = new Random(seed);
  return Uint8Array.from({ length: SIDE * SIDE * 3 }, () => 256 * random.next());
};

/** softmax(W·f + b) */
function answers(features: Float32Array, weights: Float32Array, bias: Float32Array): number[] {
  const logits = Array.from(bias, (offset, row) =>
    features.reduce((sum, value, i) => sum + value * weights[row * features.length + i]!, offset),
  );
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

test('a head computes its scores from the pooled features that the network outputs', async () => {
  const original = await network(1);
  const picture = noise(2);
  const { embedding } = await runModel(original, picture);
  const { model: head, weights, bias } = headModel({ sha256, features: embedding!.length, labels: LABELS });
  const composed = withHead(original, head);
  const { probabilities, ...others } = await runModel(composed, picture);
  assert.deepEqual(others, {});
  for (const [i, expected] of answers(embedding!, weights, bias).entries()) {
    assert.ok(
      Math.abs(probabilities![i]! - expected) < 1e-4,
      `${probabilities} instead of ${expected} at ${i}`,
    );
  }
  const names = composed.graph.initializer.map(({ name }) => name);
  assert.ok(!names.some((name) => name.startsWith('classifier')), 'the old classifier is still there');
});

test('a head ignores additional features', async () => {
  const original = await network(1);
  const picture = noise(3);
  const { embedding } = await runModel(original, picture);
  const known = embedding!.length - 8;
  const { model: head, weights, bias } = headModel({ sha256, features: known, labels: LABELS });
  const { probabilities } = await runModel(withHead(original, head), picture);
  for (const [i, expected] of answers(embedding!.slice(0, known), weights, bias).entries()) {
    assert.ok(Math.abs(probabilities![i]! - expected) < 1e-4);
  }
});

test('a head with more features than the network is refused, and so is any other model', async () => {
  const original = await network(1);
  const { model: large } = headModel({ sha256, features: 4096, labels: LABELS });
  assert.throws(() => withHead(original, large), /takes 4096 features, the network has 1280/);
  assert.throws(() => withHead(original, original), /not a single convolution|not a 1×1 convolution/);
  assert.throws(() => withHead(large, large), /no quantised pooled features/);
});

test('a head names its network', () => {
  const { model } = headModel({ sha256, features: 8, labels: LABELS });
  assert.deepEqual(backboneOf(model), { name: 'mobilenet_v2_imagenet', sha256 });
  assert.throws(
    () => backboneOf({ ...model, metadataProps: [] }),
    /the metadata entry lookout_backbone is missing/,
  );
  const damaged = [{ key: 'lookout_backbone', value: '{' }];
  assert.throws(() => backboneOf({ ...model, metadataProps: damaged }), /damaged/);
});
