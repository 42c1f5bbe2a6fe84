import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readProvenance } from '../../../src/profile/provenance.ts';
import { Stamper } from '../../../src/profile/stamp.ts';
import { orinNano, pi4, plant } from '../../fakes/boards.ts';

const stat = (busy: number, idle: number) => `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 2 3\n`;

test('a stamp has temperature, throttling, and the share of other programs since the previous one', async () => {
  const root = plant({ ...pi4, 'proc/stat': stat(1000, 1000) });
  const stamper = new Stamper(root);
  const first = await stamper.stamp();
  assert.equal(first.temperature_c, 61.3);
  assert.equal(first.throttled, true);
  assert.deepEqual(first.throttle_reasons.slice(0, 2), ['under-voltage', 'under-voltage-since-boot']);
  assert.equal(first.others_percent, null);
  // A thousand seconds of processor time, of which a quarter was busy; that of this test does not count beside it.
  writeFileSync(join(root, 'proc/stat'), stat(26_000, 76_000));
  const { others_percent } = await stamper.stamp();
  assert.ok(others_percent! >= 23 && others_percent! <= 25, String(others_percent));
});

test('the stamp of a machine without sensors is empty', async () => {
  const stamper = new Stamper(plant({ 'etc/hostname': 'bare\n' }));
  await stamper.stamp();
  const { temperature_c, throttled, mhz, others_percent } = await stamper.stamp();
  assert.deepEqual([temperature_c, throttled, mhz, others_percent], [null, null, null, null]);
});

test('the provenance names board, kernel, ONNX Runtime and the power mode of a Jetson', async () => {
  const modes = '# comment\n< POWER_MODEL ID=0 NAME=MAXN >\nCPU 1\n< POWER_MODEL ID=1 NAME=15W >\n';
  const root = plant({
    ...orinNano,
    'var/lib/nvpmodel/status': 'pmode:0001 fmode:quiet\n',
    'etc/nvpmodel.conf': modes,
  });
  const found = await readProvenance(root);
  assert.equal(found.power_mode, '15W');
  assert.equal(found.board, 'NVIDIA Jetson Orin Nano Developer Kit');
  assert.equal(found.kernel, '5.15.148-tegra');
  assert.match(found.onnxruntime, /^\d+\.\d+\.\d+/);
  const unnamed = await readProvenance(plant({ 'var/lib/nvpmodel/status': 'pmode:0002\n' }));
  assert.equal(unnamed.power_mode, 'mode 2');
});
