import assert from 'node:assert/strict';
import { test } from 'node:test';
import { separatedModel } from '../../../../src/model/exact/separate.ts';
import { decodeModel, encodeModel } from '../../../../src/model/onnx.ts';
import { openSession, Tensor } from '../../../../src/model/onnxruntime.ts';
import { INPUT_BYTES, randomNet } from '../../../support/random-net.ts';
import { runModels } from '../../../support/run-models.ts';

/** A seed whose net uses some weights twice. */
const SEED = [...Array(60).keys()].find((seed) => separatedModel(randomNet(seed)))!;
const PRECISE = { x64quantprecision: '1' };
const skip = process.arch !== 'x64' && 'only x86 processors have two kernels';
const picture = Uint8Array.from({ length: INPUT_BYTES }, (_, index) => (index * 7919) & 255);

test('shared weights become one copy for each layer; others stay', () => {
  assert.equal(separatedModel(randomNet(SEED, { shared: false })), null);
  assert.equal(separatedModel(separatedModel(randomNet(SEED))!), null);
});

test('ONNX Runtime loads a model with shared weights for its exact kernel after they are separated', {
  skip,
}, () => {
  const shared = randomNet(SEED);
  assert.throws(() => runModels([shared], picture, PRECISE, {}));
  const wanted = runModels([randomNet(SEED, { shared: false })], picture, PRECISE, {});
  assert.deepEqual(runModels([separatedModel(shared)!], picture, PRECISE, {}), wanted);
});

test('a session opens such a model if the channels cannot be reordered', { skip }, async () => {
  const model = decodeModel(randomNet(SEED));
  // With an operator of another domain the model cannot be made exact, so ONNX Runtime gets it nearly unchanged.
  const scores = model.graph.node.find(({ output }) => output.includes('scores'))!;
  const [before] = scores.input as [string];
  scores.input = ['gelu'];
  model.graph.node.splice(model.graph.node.indexOf(scores), 0, {
    ...scores,
    name: 'gelu',
    opType: 'Gelu',
    domain: 'com.microsoft',
    input: [before],
    output: ['gelu'],
  });
  model.opsetImport.push({ domain: 'com.microsoft', version: 1 });
  const session = await openSession(encodeModel(model), { exact: 'always', executionProviders: ['cpu'] });
  const side = Math.sqrt(INPUT_BYTES / 3);
  const results = await session.run({ image: new Tensor('uint8', picture, [1, 3, side, side]) });
  assert.equal(results.scores!.data.length, 10);
  await session.release();
});
