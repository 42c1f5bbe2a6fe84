import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { keepExact } from '../../../../src/model/exact/exact-files.ts';
import { exactModel } from '../../../../src/model/exact/make-exact.ts';
import { int8Kernel } from '../../../../src/model/int8-kernel.ts';
import { tempFolder } from '../../../support/daemon.ts';
import { randomNet } from '../../../support/random-net.ts';

/** A model that is made exact on every x86 processor with AVX2. */
function saved(seed: number) {
  const file = join(tempFolder(), 'net.onnx');
  const bytes = randomNet(seed);
  writeFileSync(file, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { file, sha256, config: { exact: 'always' as const } };
}

const skip = int8Kernel('always').name !== 'exact' && 'needs an x86 processor with AVX2';

test('an exact form is made once, kept, and deleted with its model', { skip }, async () => {
  const folder = join(tempFolder(), 'exact');
  const [one, two] = [saved(1), saved(2)];
  const [first, second] = await keepExact([one, two], folder);
  assert.deepEqual(readFileSync(first!), Buffer.from(exactModel(randomNet(1))!));
  const { mtimeNs } = statSync(first!, { bigint: true });
  assert.deepEqual(await keepExact([one, two], folder), [first, second]);
  assert.equal(statSync(first!, { bigint: true }).mtimeNs, mtimeNs);
  writeFileSync(join(folder, 'mine.onnx'), 'mine');
  assert.deepEqual(await keepExact([two], folder), [second]);
  assert.deepEqual(readdirSync(folder).sort(), [basename(second!), 'mine.onnx'].sort());
});

test('a damaged exact form is made again', { skip }, async () => {
  const folder = join(tempFolder(), 'exact');
  const model = saved(1);
  const [file] = await keepExact([model], folder);
  writeFileSync(file!, readFileSync(file!).subarray(0, -100));
  assert.deepEqual(await keepExact([model], folder), [file]);
  assert.deepEqual(readFileSync(file!), Buffer.from(exactModel(randomNet(1))!));
});

test('there is no exact form if it cannot be written or is not needed', async () => {
  const model = saved(1);
  assert.deepEqual(await keepExact([model], '/dev/null/exact'), [null]);
  const folder = tempFolder();
  assert.deepEqual(await keepExact([{ ...model, config: { exact: 'never' } }], folder), [null]);
  assert.deepEqual(readdirSync(folder), []);
});
