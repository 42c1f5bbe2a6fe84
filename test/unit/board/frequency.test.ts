import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFrequency } from '../../../src/board/frequency.ts';
import { pi5, plant } from '../../fakes/boards.ts';

const policy = (number: number, files: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(files).map(([name, value]) => [
      `sys/devices/system/cpu/cpufreq/policy${number}/${name}`,
      `${value}\n`,
    ]),
  );

test('the clock is that of the fastest core group, the limit that of the slowest', async () => {
  const root = plant({
    ...pi5,
    ...policy(0, { scaling_cur_freq: '1500000', scaling_max_freq: '2400000', scaling_governor: 'ondemand' }),
    ...policy(4, {
      scaling_cur_freq: '1800000',
      scaling_max_freq: '2000000',
      scaling_governor: 'performance',
    }),
  });
  assert.deepEqual(await readFrequency(root), {
    mhz: 1800,
    limit_mhz: 2000,
    governor: 'ondemand, performance',
  });
});

test('the value of the hardware takes precedence over the requested one', async () => {
  const root = plant(policy(0, { scaling_cur_freq: '2400000', cpuinfo_cur_freq: '1500048' }));
  assert.deepEqual(await readFrequency(root), { mhz: 1500, limit_mhz: null, governor: null });
});

test('without frequency scaling there may be a clock in /proc/cpuinfo, or nothing', async () => {
  const root = plant({
    'proc/cpuinfo': 'processor\t: 0\ncpu MHz\t\t: 2596.099\n\nprocessor\t: 1\ncpu MHz\t\t: 2600.5\n',
  });
  assert.deepEqual(await readFrequency(root), { mhz: 2601, limit_mhz: null, governor: null });
  assert.deepEqual(await readFrequency(plant(pi5)), { mhz: null, limit_mhz: null, governor: null });
});
