import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { tempFolder } from '../support/folder.ts';
import { TinyNet } from '../support/tflite-nets.ts';

const folder = tempFolder();
const cli = resolve(import.meta.dirname, '../../src/cli.ts');
const net = join(folder, 'net.tflite');
writeFileSync(
  net,
  new TinyNet(1, 'uint8', 33).conv(32, 3, 2).conv(64, 3, 2).mean().dense(3).softmax().write(),
);

/** @param blocks of 512 bytes that a file may have */
function lookout(args: string[], blocks?: number) {
  const limit = blocks ? `ulimit -f ${blocks}; ` : '';
  const script = `${limit}exec "$0" "$@"`;
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', script, process.execPath, cli, 'model', ...args],
    {
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

test('lookout model import describes the model that it writes', () => {
  const out = join(folder, 'made.onnx');
  const { status, stdout, stderr } = lookout(['import', net, '--out', out]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^wrote +.*made\.onnx, \d+ bytes$/m);
  assert.match(stdout, /^input +image: uint8 1×33×33×3 RGB$/m);
  assert.match(stdout, /^cpu +\d+ nodes after fusing: 3 QLinearConv/m);
  assert.match(stdout, /^warning +This model has no labels/m);
  assert.match(lookout(['inspect', out]).stdout, /^source +net\.tflite, sha256 [0-9a-f]{64}$/m);
});

test('lookout model import leaves nothing behind when the disk is full', () => {
  const before = readdirSync(folder);
  const { status, stderr } = lookout(['import', net, '--out', join(folder, 'full.onnx')], 16);
  assert.equal(status, 78);
  assert.match(stderr, /^MODEL_WRITE_FAILED: .*full\.onnx cannot be written/);
  assert.deepEqual(readdirSync(folder), before);
});

test('lookout model build writes a member of the family and reports its size', () => {
  const out = join(folder, 'built.onnx');
  const args = ['--width', '0.35', '--resolution', '96', '--classes', '1000', '--embedding', '--out', out];
  const { status, stdout, stderr } = lookout(['build', ...args]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^warning +Random weights/m);
  assert.match(stdout, /^parameters 1\.66 M$/m);
  assert.match(stdout, /^mult-adds +11\.93 M$/m);
  assert.match(stdout, /^cpu .*52 QLinearConv.* 1 QGemm/m);
  assert.match(lookout(['inspect', out]).stdout, /^embedding +embedding: 1280 numbers$/m);
});

test('lookout model build compares its figures with those of the paper', () => {
  const args = ['--precision', 'fp32', '--out', join(folder, 'full.onnx')];
  const { stdout } = lookout(['build', ...args]);
  assert.match(stdout, /^parameters 3\.47 M \(Sandler et al\. 2018: 3\.4 M\)$/m);
  assert.match(stdout, /^mult-adds +300\.77 M \(Sandler et al\. 2018: 300 M\)$/m);
});

test('lookout model build rejects a width outside the range', () => {
  const { status, stderr } = lookout(['build', '--width', '7']);
  assert.equal(status, 64);
  assert.match(stderr, /--width.*from 0\.1 to 2/);
});
