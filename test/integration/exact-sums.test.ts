import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { exactModel } from '../../src/model/exact/make-exact.ts';
import { encodeModel } from '../../src/model/onnx.ts';
import { openTflite } from '../../src/modelkit/import.ts';
import { lacksVnni, requiresVnniSwitch, withoutVnni } from '../support/processor-without-vnni.ts';
import { Seeded } from '../support/random.ts';
import { INPUT_BYTES, randomNet } from '../support/random-net.ts';
import { requiresShared, shared } from '../support/requires.ts';
import { runModels } from '../support/run-models.ts';

const NETS = 60;
const skip = requiresVnniSwitch();
const PRECISE = { x64quantprecision: '1' };

/** Inputs of so many bytes: random ones, and those that make the largest sums. */
function inputs(bytes: number): Uint8Array {
  const random = new Seeded(1);
  const kinds = [
    () => random.int(0, 255),
    () => random.pick([0, 255]),
    () => 255,
    () => random.int(240, 255),
    () => 0,
  ];
  return Uint8Array.from({ length: bytes * kinds.length }, (_, at) => kinds[Math.floor(at / bytes)]!());
}

/** Indices of the models that answer otherwise. */
function differing(answers: readonly unknown[], wanted: readonly unknown[]): number[] {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  return [...answers.keys()].filter((index) => !same(answers[index], wanted[index]));
}

const quantised = 'models/mobilenet_v2_1.0_224_quant.tflite';
const builtin = new URL('../../models/lookout.onnx', import.meta.url);

describe('exact sums', { skip }, () => {
  test('whatever a net is made of, its exact form answers as the exact kernel does, to the bit', () => {
    // ONNX Runtime cannot make weights exact that two layers share.
    const nets = Array.from({ length: NETS }, (_, seed) => randomNet(seed, { shared: false }));
    const exact = nets.map((_, seed) => exactModel(randomNet(seed))!);
    const data = inputs(INPUT_BYTES);
    const wanted = runModels(nets, data, PRECISE, withoutVnni());
    assert.deepEqual(differing(runModels(exact, data, {}, withoutVnni()), wanted), []);
    // The check can fail: most are wrong as they are.
    assert.ok(differing(runModels(nets, data, {}, withoutVnni()), wanted).length > NETS / 2);
    if (!lacksVnni()) assert.deepEqual(differing(runModels(nets, data, {}, {}), wanted), []);
  });

  test("Coral's MobileNetV2 and the built-in model answer alike, to the bit", {
    skip: requiresShared(quantised),
  }, async () => {
    const { converted } = await openTflite({ file: shared(quantised) });
    for (const [model, side] of [
      [encodeModel(converted.model), 224],
      [readFileSync(builtin), 140],
    ] as const) {
      const data = inputs(side * side * 3);
      const wanted = runModels([model], data, PRECISE, withoutVnni());
      assert.deepEqual(differing(runModels([exactModel(model)!], data, {}, withoutVnni()), wanted), []);
      assert.deepEqual(differing(runModels([model], data, {}, withoutVnni()), wanted), [0]);
    }
  });
});
