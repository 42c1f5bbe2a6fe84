import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { type Board, readBoard, readThermals } from '../../../src/board/board.ts';
import { type FileTree, orinNano, pc, pi4, pi5, plant, plantVcgencmd, zero2w } from '../../fakes/boards.ts';

async function readOf(tree: FileTree): Promise<Board> {
  const root = plant(tree);
  try {
    return await readBoard({ root, vcgencmd: '/nonexistent' });
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('a Raspberry Pi 4 reports a weak power supply, now and since boot', async () => {
  assert.deepEqual(await readOf(pi4), {
    model: 'Raspberry Pi 4 Model B Rev 1.4',
    cpu: 'Cortex-A72',
    cores: 4,
    memory_mb: 3793,
    kernel: '6.12.34+rpt-rpi-v8',
    os: 'Debian GNU/Linux 12 (bookworm)',
    temperature_c: 61.3,
    throttled: true,
    throttle_reasons: ['under-voltage', 'under-voltage-since-boot', 'throttled', 'throttled-since-boot'],
  });
});

test('a Raspberry Pi 5 keeps the flags of its firmware elsewhere', async () => {
  const board = await readOf(pi5);
  assert.equal(board.model, 'Raspberry Pi 5 Model B Rev 1.0');
  assert.equal(board.cpu, 'Cortex-A76');
  assert.equal(board.throttled, false);
  assert.deepEqual(board.throttle_reasons, []);
});

test('earlier throttling is reported but does not count as throttling now', async () => {
  const board = await readOf({ ...pi4, 'sys/devices/platform/soc/soc:firmware/get_throttled': '0xe0000\n' });
  assert.equal(board.throttled, false);
  assert.deepEqual(board.throttle_reasons, [
    'frequency-capped-since-boot',
    'throttled-since-boot',
    'soft-temperature-limit-since-boot',
  ]);
});

test('without kernel flags a Raspberry Pi is queried through vcgencmd', async () => {
  const root = plant(zero2w);
  const thermals = await readThermals({ root, vcgencmd: plantVcgencmd(root, '0x8') });
  assert.deepEqual(thermals, {
    temperature_c: 52.1,
    throttled: true,
    throttle_reasons: ['soft-temperature-limit'],
  });
  rmSync(root, { recursive: true });
});

test('a Raspberry Pi Zero 2 W without either still reports low voltage', async () => {
  const board = await readOf(zero2w);
  assert.equal(board.model, 'Raspberry Pi Zero 2 W Rev 1.0');
  assert.equal(board.cpu, 'Cortex-A53');
  assert.equal(board.memory_mb, 416);
  assert.equal(board.throttled, true);
  assert.deepEqual(board.throttle_reasons, ['under-voltage']);
});

test('a Jetson Orin Nano reports which part is throttled and that the current was too high', async () => {
  assert.deepEqual(await readOf(orinNano), {
    model: 'NVIDIA Jetson Orin Nano Developer Kit',
    cpu: 'Cortex-A78AE',
    cores: 6,
    memory_mb: 7619,
    kernel: '5.15.148-tegra',
    os: 'Ubuntu 22.04.5 LTS',
    temperature_c: 51.5,
    throttled: true,
    throttle_reasons: ['gpu-throttle', 'over-current-since-boot'],
  });
});

test('a PC has a processor, a temperature and no information on throttling', async () => {
  assert.deepEqual(await readOf(pc), {
    model: 'Example Box 3000',
    cpu: 'AMD EPYC 7B13',
    cores: 2,
    memory_mb: 16000,
    kernel: '6.1.0-18-amd64',
    os: null,
    temperature_c: 44,
    throttled: null,
    throttle_reasons: [],
  });
});

test('a machine without these files gives nulls, and so does invalid content', async () => {
  const nothing = {
    model: null,
    cpu: null,
    cores: null,
    memory_mb: null,
    kernel: null,
    os: null,
    temperature_c: null,
    throttled: null,
    throttle_reasons: [],
  };
  assert.deepEqual(await readOf({}), nothing);
  const rubbish = {
    'proc/cpuinfo': 'x',
    'proc/meminfo': 'MemTotal: lots',
    'etc/os-release': '\n',
    'sys/class/thermal/thermal_zone0/temp': '-273200\n',
    'sys/class/thermal/thermal_zone1/temp': 'hot\n',
    'sys/devices/platform/soc/soc:firmware/get_throttled': 'yes\n',
  };
  assert.deepEqual(await readOf(rubbish), nothing);
});

test('this machine can be read', async () => {
  const board = await readBoard();
  assert.ok((board.cores ?? 0) >= 1);
  assert.ok((board.memory_mb ?? 0) > 100);
  assert.ok(board.kernel);
});
