/**
 * The contract of the private module of onnxruntime-node that src/model/onnxruntime.ts uses. When a test here fails
 * after an update of the package, compare its dist/binding.d.ts and lib/inference_session_wrap.cc with what the file uses.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { elementType, loadSession, Tensor } from '../../../src/model/onnxruntime.ts';
import { colourModel } from '../vision/colour-model.ts';

const require = createRequire(import.meta.url);
const SETTINGS = { exact: 'auto', executionProviders: ['cpu'], intraOpNumThreads: 1 } as const;

test('the binding is that of the version whose binding these tests have checked', () => {
  const { version } = require('onnxruntime-node/package.json') as { version: string };
  assert.equal(version, '1.30.0', 'check the binding of the new version, then name it here');
});

test('the binding has the methods and accessors that sessions use', () => {
  const { binding, initOrt } = require('onnxruntime-node/dist/binding.js') as {
    binding: Record<string, unknown> & { InferenceSession: { prototype: object } };
    initOrt: unknown;
  };
  assert.equal(typeof initOrt, 'function');
  assert.equal(typeof binding.listSupportedBackends, 'function');
  const { prototype } = binding.InferenceSession;
  const kinds = ['loadModel', 'run', 'dispose', 'inputMetadata', 'outputMetadata'].map((name) => {
    const property = Object.getOwnPropertyDescriptor(prototype, name);
    return property?.get ? 'accessor' : typeof property?.value;
  });
  assert.deepEqual(kinds, ['function', 'function', 'function', 'accessor', 'accessor']);
});

test('a session runs synchronously on inputs by name, and returns the outputs that were asked for', () => {
  const { file, remove } = colourModel();
  const session = loadSession(file, SETTINGS);
  const [input, ...moreInputs] = session.inputMetadata;
  const [output] = session.outputMetadata;
  assert.equal(moreInputs.length, 0);
  assert.deepEqual(
    { ...input, symbolicDimensions: input!.symbolicDimensions.length },
    { name: input!.name, isTensor: true, type: 2, shape: [1, 16, 16, 3], symbolicDimensions: 4 },
  );
  const data = new Uint8Array(16 * 16 * 3).fill(100);
  const feeds = { [input!.name]: new Tensor('uint8', data, [1, 16, 16, 3]) };
  const results = session.run(feeds, { [output!.name]: null }, {});
  assert.deepEqual(Object.keys(results), [output!.name]);
  const scores = results[output!.name] as Tensor;
  assert.ok(scores.data instanceof Float32Array);
  assert.equal(scores.data.length, 3);
  session.dispose();
  remove();
});

test('a model can be loaded from a part of a buffer', () => {
  const { file, remove } = colourModel();
  const { binding, initOrt } = require('onnxruntime-node/dist/binding.js') as {
    binding: { InferenceSession: new () => ReturnType<typeof loadSession> };
    initOrt: () => void;
  };
  initOrt();
  const bytes = readFileSync(file);
  const padded = new Uint8Array(bytes.length + 16);
  padded.set(bytes, 8);
  const session = new binding.InferenceSession();
  session.loadModel(padded.buffer, 8, bytes.length, { executionProviders: ['cpu'] });
  assert.equal(session.inputMetadata.length, 1);
  session.dispose();
  remove();
});

test('element types have the numbers of TensorProto.DataType', () => {
  const numbers = {
    float32: 1,
    uint8: 2,
    int8: 3,
    uint16: 4,
    int16: 5,
    int32: 6,
    int64: 7,
    string: 8,
    bool: 9,
    float16: 10,
  };
  for (const [name, number] of Object.entries(numbers)) assert.equal(elementType(number), name);
  assert.equal(elementType(0), undefined);
  assert.equal(elementType(99), undefined);
});
