import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EnergyMeter, findPowerSource, used } from '../../../src/board/energy.ts';
import { pc, pi5, plant } from '../../fakes/boards.ts';

const RAPL = 'sys/class/powercap';
const zone = (number: number, name: string, microjoules: number) => ({
  [`${RAPL}/intel-rapl:${number}/name`]: `${name}\n`,
  [`${RAPL}/intel-rapl:${number}/energy_uj`]: `${microjoules}\n`,
  [`${RAPL}/intel-rapl:${number}/max_energy_range_uj`]: '262143328850\n',
});
/** An INA3221 of a Jetson, as its kernel shows it. */
const HWMON = 'sys/bus/i2c/devices/1-0040/hwmon/hwmon3';
const JETSON: Record<string, string> = {
  [`${HWMON}/name`]: 'ina3221\n',
  ...Object.fromEntries(
    ['VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC'].flatMap((label, index) => [
      [`${HWMON}/in${index + 1}_label`, `${label}\n`],
      [`${HWMON}/in${index + 1}_input`, '5000\n'],
      [`${HWMON}/curr${index + 1}_input`, `${1000 - 300 * index}\n`],
    ]),
  ),
};

test('a machine without a meter has none', async () => {
  assert.equal(await findPowerSource(plant(pi5)), null);
});

test('RAPL counts all packages, or the whole platform where that is counted', async () => {
  const packages = { ...pc, ...zone(0, 'package-0', 5e6), ...zone(1, 'package-1', 7e6) };
  const both = (await findPowerSource(plant(packages)))!;
  assert.equal(both.name, 'RAPL package-0 + package-1');
  assert.equal(await both.read(), 12);
  assert.equal(both.wrap, 2 * 262143.32885);
  const platform = (await findPowerSource(plant({ ...packages, ...zone(2, 'psys', 30e6) })))!;
  assert.equal(platform.name, 'RAPL psys');
  assert.equal(await platform.read(), 30);
});

test('a Jetson is measured at the rail that feeds all of it', async () => {
  const source = (await findPowerSource(plant(JETSON)))!;
  assert.equal(source.name, 'INA VDD_IN');
  assert.equal(await source.read(), 5);
});

test('without such a rail all rails are added up, and an INA226 gives its power itself', async () => {
  const hat = 'sys/class/hwmon/hwmon0';
  const single = { [`${hat}/name`]: 'ina226\n', [`${hat}/power1_input`]: '3250000\n' };
  const source = (await findPowerSource(plant(single)))!;
  assert.equal(source.name, 'INA ina226');
  assert.equal(await source.read(), 3.25);
  const { [`${HWMON}/in1_label`]: _, ...nameless } = JETSON;
  assert.equal(await (await findPowerSource(plant(nameless)))!.read(), 5 + 3.5 + 2);
});

test('a counter may wrap, a sensor is averaged', async () => {
  const read = async () => 0;
  const counter = { name: 'c', kind: 'counter', read, wrap: 100 } as const;
  assert.equal(used(counter, { at: 0, value: 10 }, { at: 1000, value: 25 }), 15);
  assert.equal(used(counter, { at: 0, value: 90 }, { at: 1000, value: 5 }), 15);
  const sensor = { name: 's', kind: 'sensor', read, wrap: 1 } as const;
  assert.equal(used(sensor, { at: 0, value: 4 }, { at: 500, value: 6 }), 2.5);
});

test('a meter returns the joules of each lap', async () => {
  const root = plant(zone(0, 'package-0', 5e6));
  const meter = new EnergyMeter((await findPowerSource(root))!);
  const count = (joules: number) =>
    writeFileSync(join(root, `${RAPL}/intel-rapl:0/energy_uj`), `${joules * 1e6}\n`);
  await meter.start();
  count(8);
  assert.equal(await meter.lap(), 3);
  count(10);
  assert.equal(await meter.stop(), 2);
});
