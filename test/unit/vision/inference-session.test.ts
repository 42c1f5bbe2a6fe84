import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { scoresForLabels } from '../../../src/model/answers.ts';
import { ModelSession, type SessionConfig } from '../../../src/vision/inference-session.ts';
import { toProbabilities } from '../../../src/vision/probabilities.ts';
import { colourModel, singleModel } from './colour-model.ts';

const CPU: SessionConfig = { providers: ['cpu'], threads: 1, spinning: false, exact: 'auto' };

test('a session reads and writes buffers that other threads share', () => {
  const { file, description, remove } = colourModel();
  const session = ModelSession.open(file, description, CPU);
  const shared = new SharedArrayBuffer(1024 + 16 * 16 * 3);
  const input = new Uint8Array(shared, 1024);
  const output = new Float32Array(shared, 64, 3);
  const run = session.bind(input, output);
  for (const strongest of [0, 1, 2]) {
    for (let index = 0; index < input.length; index++) input[index] = index % 3 === strongest ? 200 : 0;
    run();
    assert.ok(output[strongest]! > 0.75, `${output}`);
    assert.ok(Math.abs(output.reduce((a, b) => a + b) - 1) < 1e-5);
  }
  session.release();
  remove();
});

test('unavailable providers are skipped with the reason, and the next one runs', () => {
  const { file, description, remove } = colourModel();
  const session = ModelSession.open(file, description, {
    ...CPU,
    providers: ['tensorrt', 'cuda', 'cpu'],
  });
  assert.equal(session.info.provider, 'cpu');
  assert.deepEqual(
    session.info.skipped.map(({ provider }) => provider),
    ['tensorrt', 'cuda'],
  );
  for (const { reason } of session.info.skipped) assert.notEqual(reason, '');
  session.release();
  remove();
});

test('without any working provider the error names each and why', () => {
  const { file, description, remove } = colourModel();
  assert.throws(() => ModelSession.open(file, description, { ...CPU, providers: ['tensorrt'] }), {
    code: 'MODEL_PROVIDER_MISSING',
    message: /^model\.providers: no provider is available \(tensorrt: .+\)$/,
  });
  remove();
});

test('half of the cores run a model unless a number is given', () => {
  const { file, description, remove } = colourModel();
  const session = ModelSession.open(file, description, { ...CPU, threads: 0 });
  assert.ok(session.info.threads >= 1);
  session.release();
  const two = ModelSession.open(file, description, { ...CPU, threads: 2 });
  assert.equal(two.info.threads, 2);
  two.release();
  remove();
});

test('a description that contradicts the model is rejected with the expected and the found values', () => {
  const { file, description, remove } = colourModel();
  const wider = { ...description, input: { ...description.input, width: 32 } };
  assert.throws(() => ModelSession.open(file, wider, CPU), {
    code: 'MODEL_INPUT_UNSUPPORTED',
    message: 'model: expected the input image uint8 1×16×32×3, found image uint8 1×16×16×3',
  });
  const floats = { ...description, input: { ...description.input, type: 'float32' as const } };
  assert.throws(() => ModelSession.open(file, floats, CPU), { code: 'MODEL_INPUT_UNSUPPORTED' });
  const fewer = { ...description, labels: ['red', 'green'] };
  assert.throws(() => ModelSession.open(file, fewer, CPU), {
    code: 'MODEL_OUTPUT_UNSUPPORTED',
    message: /with one number for each of 2 labels, found probabilities float32 1×3$/,
  });
  const other = { ...description, output: { ...description.output, name: 'scores' } };
  assert.throws(() => ModelSession.open(file, other, CPU), { code: 'MODEL_OUTPUT_UNSUPPORTED' });
  remove();
});

test('the error for a file that ONNX Runtime cannot load names it', () => {
  const { file, description, remove } = colourModel();
  writeFileSync(file, 'not a model');
  assert.throws(() => ModelSession.open(file, description, CPU), { code: 'MODEL_UNUSABLE' });
  remove();
});

test('a single number is the probability of the only label, or of the second of two', () => {
  const one = singleModel();
  const two = { ...one.description, labels: ['nobody', 'face'] };
  for (const [description, expected] of [
    [one.description, [0.75]],
    [two, [0.25, 0.75]],
  ] as const) {
    const session = ModelSession.open(one.file, description, CPU);
    const output = new Float32Array(description.labels.length);
    session.bind(new Uint8Array(16 * 16 * 3).fill(191.25), output)();
    const found = toProbabilities(output, description.output.kind);
    for (const [index, share] of expected.entries())
      assert.ok(Math.abs(found[index]! - share) < 0.002, `${found}`);
    session.release();
  }
  const three = { ...one.description, labels: ['a', 'b', 'c'] };
  assert.throws(() => ModelSession.open(one.file, three, CPU), { code: 'MODEL_OUTPUT_UNSUPPORTED' });
  one.remove();
});

test('a single logit counts against 0, for one label and for two', () => {
  const logit = Float32Array.of(2);
  const share = 1 / (1 + Math.exp(-2));
  assert.ok(Math.abs(toProbabilities(logit, 'logits')[0]! - share) < 1e-6);
  const pair = new Float32Array(2);
  scoresForLabels(logit, 'logits', pair);
  const [against, second] = toProbabilities(pair, 'logits');
  assert.ok(Math.abs(second! - share) < 1e-6 && Math.abs(against! - (1 - share)) < 1e-6);
});

test('logits become probabilities, probabilities stay as they are, and both are copies', () => {
  const output = Float32Array.of(1000, 1001, 999);
  const softmax = toProbabilities(output, 'logits');
  const e = [Math.exp(-1), 1, Math.exp(-2)];
  const sum = e[0]! + e[1]! + e[2]!;
  for (const [index, value] of softmax.entries()) assert.ok(Math.abs(value - e[index]! / sum) < 1e-6);
  const same = toProbabilities(output, 'probabilities');
  assert.deepEqual(same, output);
  assert.notEqual(same.buffer, output.buffer);
});
