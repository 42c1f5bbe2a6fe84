import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import {
  defaultLimit,
  ThermalController,
  ThermalGovernor,
  type ThermalState,
} from '../../../src/board/thermal.ts';
import { orinNano, pi4, plant } from '../../fakes/boards.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { until } from '../../support/until.ts';

/** A board in its case: the chip warms up in seconds, what is around it in minutes. */
class Board {
  temperature = 45;
  #around = 45;
  readonly #heat: number;

  /** @param heat °C above the idle board's with everything analysed, once all is warm */
  constructor(heat: number) {
    this.#heat = heat;
  }

  run(share: number, seconds: number): void {
    const work = this.#heat * share;
    this.#around += ((45 + 0.7 * work - this.#around) * seconds) / 240;
    this.temperature += ((this.#around + 0.3 * work - this.temperature) * seconds) / 15;
  }
}

const calm = (temperature_c: number | null) => ({ temperature_c, throttled: false, throttle_reasons: [] });

/** Two hours of a board under its controller, looked at every 2 s. */
function live(heat: number, limit: number): { temperatures: number[]; shares: number[] } {
  const board = new Board(heat);
  const controller = new ThermalController(limit);
  const [temperatures, shares] = [[board.temperature], [1]];
  for (let second = 0; second < 7200; second += 2) {
    const share = controller.step(calm(Math.round(board.temperature * 10) / 10), 2);
    board.run(share, 2);
    temperatures.push(board.temperature);
    shares.push(share);
  }
  return { temperatures, shares };
}

test('a board that stays cool analyses everything', () => {
  const { shares } = live(20, 75);
  assert.ok(shares.every((share) => share === 1));
});

test('a board that would get too hot settles below its limit without oscillating', () => {
  for (const heat of [35, 50, 80]) {
    const { temperatures, shares } = live(heat, 75);
    assert.ok(Math.max(...temperatures) < 75, `${heat}: ${Math.max(...temperatures)}`);
    const [restT, restS] = [temperatures.slice(-900), shares.slice(-900)];
    assert.ok(Math.min(...restT) > 70, `${heat}: no more is left out than must be, ${Math.min(...restT)}`);
    assert.ok(Math.max(...restS) - Math.min(...restS) < 0.05, `${heat}: it rests`);
    assert.ok(Math.abs(restS.at(-1)! - 26 / heat) < 0.05, `${heat}: at what the board can bear`);
  }
});

test('a board that throttles counts as too hot whatever its sensor shows, but not for a weak power supply', () => {
  const controller = new ThermalController(75);
  const slowed = (reason: string) => ({ ...calm(60), throttled: true, throttle_reasons: [reason] });
  for (let step = 0; step < 30; step++) assert.equal(controller.step(slowed('under-voltage'), 2), 1);
  let share = 1;
  for (let step = 0; step < 30; step++) share = controller.step(slowed('soft-temperature-limit'), 2);
  assert.ok(share < 0.9, String(share));
  for (let step = 0; step < 300; step++) share = controller.step(calm(60), 2);
  assert.equal(share, 1);
});

test('without a sensor no frame is skipped, and at any temperature some frames are analysed', () => {
  const blind = new ThermalController(75);
  assert.equal(blind.step({ temperature_c: null, throttled: null, throttle_reasons: [] }, 2), 1);
  const burning = new ThermalController(75);
  let share = 1;
  for (let step = 0; step < 1000; step++) share = burning.step(calm(110), 2);
  assert.equal(share, 0.1);
});

test('the limit keeps its distance to the throttling temperature of the kernel', async () => {
  const trips = {
    'sys/class/thermal/thermal_zone0/trip_point_0_type': 'critical\n',
    'sys/class/thermal/thermal_zone0/trip_point_0_temp': '104500\n',
    'sys/class/thermal/thermal_zone0/trip_point_1_type': 'passive\n',
    'sys/class/thermal/thermal_zone0/trip_point_1_temp': '99000\n',
  };
  assert.equal(await defaultLimit(plant({ ...orinNano, ...trips })), 94);
  assert.equal(await defaultLimit(plant(pi4)), 75);
});

test('the governor reports relevant changes and logs when it begins and ends', async () => {
  const root = plant({
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'sys/class/thermal/thermal_zone0/temp': '50000\n',
  });
  const clock = new FakeClock();
  const lines: { level: number; msg: string }[] = [];
  const states: ThermalState[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const governor = new ThermalGovernor({
    limit: 70,
    clock,
    log,
    root,
    onChange: (state) => states.push(state),
  });
  await governor.start();
  assert.deepEqual(states, [{ analysisRate: 1, limiting: false, temperature_c: 50, limit_c: 70 }]);

  const heat = (celsius: number) =>
    writeFileSync(join(root, 'sys/class/thermal/thermal_zone0/temp'), `${celsius * 1000}\n`);
  const waitFor = async (what: string, seen: () => boolean) => {
    const timer = setInterval(() => clock.advance(2000), 5);
    await until(what, seen).finally(() => clearInterval(timer));
  };
  heat(71);
  await waitFor('a limit', () => states.at(-1)!.limiting);
  assert.ok(states.at(-1)!.analysisRate < 0.9);
  heat(50);
  await waitFor('its end', () => states.at(-1)!.analysisRate === 1);
  await governor.stop();
  assert.deepEqual(
    lines.filter(({ msg }) => /limit 70|all frames/.test(msg)).map(({ level }) => level)[0],
    40,
  );
  assert.equal(lines.at(-1)!.msg, '50 °C: analysing all frames again');
});
