import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildMember } from '../../../src/profile/family.ts';
import { encodingsOf } from '../../../src/tune/encodings.ts';
import { type Choice, type Circumstances, TuneCache } from '../../../src/tune/tuning-cache.ts';
import { tempFolder } from '../../support/daemon.ts';
import { colourModel } from '../vision/colour-model.ts';

const HERE: Circumstances = {
  ...{ exact: 'auto', inexact: false },
  ...{ models: ['ab'], cpu: 'Cortex-A76', cores: 4, onnxruntime: '1.30.0', width: 640, height: 480 },
  goal: { fps: 5, cameras: 1, minIdle: 50 },
};
const CHOICE: Choice = {
  exact: null,
  ...{ file: null, threads: 1, sessions: 4, spinning: false, width: 640, height: 480 },
  ...{ temperature: null, lines: ['a', 'b', 'c'], at: '2026-05-01T12:00:00.000Z' },
};

test('a choice is found again under the same circumstances only', async () => {
  const folder = join(tempFolder(), 'data');
  const cache = new TuneCache(folder);
  assert.equal(await cache.find(HERE), null);
  await cache.keep(HERE, CHOICE);
  await cache.keep({ ...HERE, cores: 2 }, { ...CHOICE, sessions: 2 });
  assert.deepEqual(await new TuneCache(folder).find(HERE), CHOICE);
  for (const change of [
    { models: ['cd'] },
    { cpu: 'Cortex-A72' },
    { onnxruntime: '1.31.0' },
    { exact: 'never' as const },
    { inexact: true },
    { goal: { ...HERE.goal, fps: 10 } },
  ]) {
    assert.equal(await cache.find({ ...HERE, ...change }), null, JSON.stringify(change));
  }
});

test('a damaged cache counts as empty', async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, 'tune.json'), '{"x": {"threads": "many"}}');
  const cache = new TuneCache(folder);
  assert.equal(await cache.find(HERE), null);
  await cache.keep(HERE, CHOICE);
  assert.deepEqual(await cache.find(HERE), CHOICE);
});

test('other encodings of a model are files next to it with the same labels', async () => {
  const folder = tempFolder();
  const member = { width: 0.35, resolution: 32, precision: 'fp32' } as const;
  const float = join(folder, 'birds.onnx');
  const int8 = join(folder, 'birds.int8.onnx');
  await buildMember(member, float);
  copyFileSync(float, int8);
  copyFileSync(float, join(folder, 'cats.onnx'));
  const { file, remove } = colourModel();
  copyFileSync(file, join(folder, 'birds.int8.tensorrt.onnx'));
  remove();
  assert.deepEqual(await encodingsOf(float), [float, int8]);
  assert.deepEqual(await encodingsOf(int8), [int8, float]);
  assert.deepEqual(await encodingsOf(join(folder, 'cats.onnx')), [join(folder, 'cats.onnx')]);
});
