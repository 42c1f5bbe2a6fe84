import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeModel } from '../../../src/model/onnx.ts';
import { buildFamily, familyCost, scaledChannels } from '../../../src/modelkit/mobilenet.ts';
import { runModel } from '../model/run-model.ts';

const options = (family: 'v1' | 'v2', width: number, resolution: number, classes: number) => ({
  ...{ family, width, resolution, classes },
  ...{ expansion: 6, seed: 1 },
});
const member = (...args: Parameters<typeof options>) => buildFamily(options(...args));

test('channels are scaled to multiples of 8, at most 10 % down', () => {
  assert.deepEqual(
    [1, 3, 11.2, 12, 16, 33.6, 44.8, 134.4].map(scaledChannels),
    [8, 8, 16, 16, 16, 32, 48, 136],
  );
});

test('the family costs what its papers state', () => {
  // Sandler et al. print 3.4 M and 300 M for V2, Howard et al. 4.2 M and 569 M for V1.
  assert.deepEqual(cost('v2', 1), [3_470_760, 300_774_272]);
  assert.deepEqual(cost('v1', 1), [4_210_088, 568_740_352]);
  assert.deepEqual(cost('v2', 1.4), [6_060_840, 582_195_824]);
});

function cost(family: 'v1' | 'v2', width: number): [number, number] {
  const { parameters, multiplyAdds } = familyCost(options(family, width, 224, 1000));
  return [parameters, multiplyAdds];
}

test('every member runs and returns probabilities', async () => {
  for (const [family, width, side] of [
    ['v2', 0.35, 96],
    ['v2', 0.5, 33],
    ['v1', 0.25, 64],
  ] as const) {
    const { model } = member(family, width, side, 7);
    const { probabilities } = await runModel(model, new Uint8Array(side * side * 3).fill(90));
    assert.equal(probabilities!.length, 7);
    assert.ok(Math.abs(probabilities!.reduce((a, b) => a + b) - 1) < 1e-5);
  }
});

test('the same seed gives the same weights, byte for byte', () => {
  assert.deepEqual(
    encodeModel(member('v2', 0.35, 32, 4).model),
    encodeModel(member('v2', 0.35, 32, 4).model),
  );
});
