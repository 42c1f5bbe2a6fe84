import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PressureGovernor } from '../../../src/board/memory-pressure.ts';
import { type FileTree, plant } from '../../fakes/boards.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeLog } from '../../fakes/log.ts';

const SOUND: FileTree = {
  'proc/meminfo': 'MemTotal:       1000000 kB\nMemAvailable:    400000 kB\n',
  'proc/pressure/memory': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
  'proc/pressure/cpu': 'some avg10=12.50 avg60=0.00 avg300=0.00 total=0\n',
  'proc/loadavg': '90.00 2.00 1.00 1/200 999\n',
};
const SHORT = 'MemTotal:       1000000 kB\nMemAvailable:    50000 kB\n';

function governed(changes: FileTree = {}) {
  const root = plant({ ...SOUND, ...changes });
  const log = new FakeLog();
  const rates: number[] = [];
  const frames = { captured: 0, dropped: 0 };
  const governor = new PressureGovernor({
    clock: new FakeClock(),
    log: log.logger,
    frames: () => frames,
    onAnalysisRate: (rate) => rates.push(rate),
    root,
  });
  const look = async (times: number) => {
    for (let n = 0; n < times; n++) await governor.check();
  };
  return { root, log, governor, rates, frames, look };
}

test('with enough memory every frame is analysed', async () => {
  const { governor, rates, log, look } = governed();
  await look(3);
  assert.equal(governor.problem, null);
  assert.deepEqual(rates, []);
  assert.deepEqual(log.lines, []);
});

test('too little memory halves the rate down to an eighth with a log message, and it recovers step by step', async () => {
  const { root, governor, rates, log, look } = governed({ 'proc/meminfo': SHORT });
  await look(5);
  assert.deepEqual(rates, [1 / 2, 1 / 4, 1 / 8]);
  assert.equal(governor.problem, 'short of memory: analysing 1 of 8 frames');
  assert.equal(log.withCode('BOARD_OVERRUN').length, 3);

  writeFileSync(join(root, 'proc/meminfo'), SOUND['proc/meminfo']!);
  await look(3);
  assert.equal(rates.length, 3, 'not at once');
  await look(9);
  assert.deepEqual(rates.slice(3), [1 / 4, 1 / 2, 1]);
  assert.equal(governor.problem, null);
  assert.match(log.lines.at(-1)!.msg, /memory is available again/);
});

test('processes that wait for memory also reduce the rate', async () => {
  const { governor, look } = governed({ 'proc/pressure/memory': 'some avg10=11.00 avg60=0.00\n' });
  await look(1);
  assert.equal(governor.problem, 'short of memory: analysing 1 of 2 frames');
});

test('when most frames are dropped the reason is logged once and the rate is unchanged', async () => {
  const busy = 'other programs use the processor';
  const cases: [FileTree, string][] = [
    [{ 'proc/pressure/cpu': 'some avg10=93.10 avg60=0.00\n' }, busy],
    [{ 'proc/pressure/cpu': '', 'proc/loadavg': '9000.00 2.00 1.00 1/200 999\n' }, busy],
    [{ 'proc/loadavg': '9000.00 2.00 1.00 1/200 999\n' }, 'the model is slower than the cameras'],
  ];
  for (const [changes, why] of cases) {
    const { governor, frames, log, rates, look } = governed(changes);
    for (let n = 0; n < 3; n++) {
      frames.captured += 100;
      frames.dropped += 60;
      await look(1);
      assert.equal(governor.problem, `most frames are dropped: ${why}`);
    }
    assert.deepEqual(rates, []);
    assert.equal(log.withCode('BOARD_OVERRUN').length, 1);
    frames.captured += 100;
    await look(1);
    assert.equal(governor.problem, null);
  }
});

test('a machine without these files keeps its rate', async () => {
  const { governor, look } = governed(Object.fromEntries(Object.keys(SOUND).map((path) => [path, ''])));
  await look(1);
  assert.equal(governor.problem, null);
});
