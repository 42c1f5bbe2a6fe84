import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { TinyNet } from '../support/tflite-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'lookout-model-'));
after(() => rmSync(folder, { recursive: true }));
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

test('lookout model import says what it made', () => {
  const out = join(folder, 'made.onnx');
  const { status, stdout, stderr } = lookout(['import', net, '--out', out]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^written +.*made\.onnx, \d+ bytes$/m);
  assert.match(stdout, /^input +image: uint8 1×33×33×3 RGB$/m);
  assert.match(stdout, /^cpu +\d+ nodes after fusing: 3 QLinearConv/m);
  assert.match(stdout, /^warning +There are no labels/m);
  assert.match(lookout(['inspect', out]).stdout, /^source +net\.tflite, sha256 [0-9a-f]{64}$/m);
});

test('lookout model import leaves nothing behind when the disk is full', () => {
  const before = readdirSync(folder);
  const { status, stderr } = lookout(['import', net, '--out', join(folder, 'full.onnx')], 16);
  assert.equal(status, 78);
  assert.match(stderr, /^MODEL_WRITE_FAILED: .*full\.onnx cannot be written/);
  assert.deepEqual(readdirSync(folder), before);
});
