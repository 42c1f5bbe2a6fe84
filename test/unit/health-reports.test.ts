import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthSample } from '../../src/board/health.ts';
import { HealthReports, listProblems, type ProblemSources } from '../../src/health-reports.ts';
import type { StoreStats } from '../../src/store/store-types.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeLog } from '../fakes/log.ts';

const FINE_STORE = { error: null, damage: null, throttled: null };
const FINE: ProblemSources = { configError: null, pressure: null, thermal: null, timeDoubt: null };

test('a device without problems lists none', () => {
  assert.deepEqual(listProblems(FINE_STORE, FINE), []);
  assert.deepEqual(listProblems(FINE_STORE, { ...FINE, thermal: { limiting: false, analysisRate: 1 } }), []);
});

test('every problem is listed after its code', () => {
  assert.deepEqual(
    listProblems(
      { error: 'STORE_FULL: the disk is full', damage: 'page 7', throttled: 'no detections' },
      {
        configError: 'cameras: expected a group',
        pressure: 'short of memory',
        thermal: { limiting: true, analysisRate: 0.404 },
        timeDoubt: 'the clock is in 1970',
      },
    ),
    [
      'STORE_FULL: the disk is full',
      'STORE_BUDGET: no detections',
      'STORE_CORRUPT: page 7',
      'CONFIG_INVALID: cameras: expected a group',
      'BOARD_OVERRUN: short of memory',
      'BOARD_OVERRUN: the board is hot: 40 % of the frames are analysed',
      'TIME_UNKNOWN: the clock is in 1970',
    ],
  );
});

function bench(stats: () => Promise<StoreStats>) {
  const clock = new FakeClock();
  const log = new FakeLog();
  const seen = { problems: [] as string[][], recorded: 0, published: 0 };
  const reports = new HealthReports({
    interval: 60_000,
    monitor: {
      sample: async (_stats, problems) => {
        seen.problems.push(problems ?? []);
        return {} as HealthSample;
      },
    },
    store: { stats, recordSample: () => seen.recorded++ },
    publisher: { publishHealth: () => seen.published++ },
    problems: () => ({ ...FINE, configError: 'no such model' }),
    clock,
    log: log.logger,
  });
  return { clock, log, seen, reports };
}

test('a report is recorded and published once an interval until the stop', async () => {
  const { clock, seen, reports } = bench(async () => FINE_STORE as StoreStats);
  await reports.start();
  await clock.advanceAsync(120_000, 30_000);
  assert.deepEqual(seen.problems, [['CONFIG_INVALID: no such model'], ['CONFIG_INVALID: no such model']]);
  assert.deepEqual([seen.recorded, seen.published], [2, 2]);
  await reports.stop();
  await clock.advanceAsync(120_000, 30_000);
  assert.equal(seen.recorded, 2);
});

test('a report that fails is logged, and the next one is made', async () => {
  let fails = true;
  const { clock, log, seen, reports } = bench(async () => {
    if (fails) throw new Error('the store thread has ended');
    return FINE_STORE as StoreStats;
  });
  await reports.start();
  await clock.advanceAsync(60_000, 30_000);
  assert.equal(log.lines[0]?.msg, 'cannot measure the health of the device');
  fails = false;
  await clock.advanceAsync(60_000, 30_000);
  assert.equal(seen.published, 1);
  await reports.stop();
});
