import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiplyAdds } from '../../../scripts/train/evaluate/product.ts';
import { encodeModel } from '../../../src/model/onnx.ts';
import { buildFamily, type FamilyOptions } from '../../../src/modelkit/mobilenet.ts';

test('multiply-adds that are counted in a file are those that its builder counts', () => {
  for (const [family, width, resolution] of [
    ['v1', 0.25, 96],
    ['v2', 0.35, 128],
    ['v2', 0.5, 100],
  ] as const) {
    const options: FamilyOptions = { family, width, resolution, classes: 11, expansion: 6, seed: 1 };
    const { model, multiplyAdds: expected } = buildFamily(options);
    assert.equal(multiplyAdds(encodeModel(model), resolution), expected);
  }
});
