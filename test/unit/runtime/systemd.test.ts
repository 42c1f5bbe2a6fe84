import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { notify, Watchdog } from '../../../src/runtime/systemd.ts';
import { FakeClock } from '../../fakes/clock.ts';

function setUp(env: NodeJS.ProcessEnv = { WATCHDOG_USEC: '60000000' }) {
  const clock = new FakeClock();
  const state = { progress: 0, idle: false, fed: 0 };
  const errors: string[] = [];
  const watchdog = new Watchdog({
    clock,
    log: pino({ level: 'error' }, { write: (line: string) => errors.push(line) }),
    progress: () => state.progress,
    idle: () => state.idle,
    env,
    feed: async () => {
      state.fed++;
    },
  });
  return { clock, state, errors, watchdog };
}

test('the watchdog is fed twice in WatchdogSec while frames are finished', async () => {
  const { clock, state, watchdog, errors } = setUp();
  await watchdog.start();
  for (let i = 0; i < 4; i++) {
    state.progress++;
    clock.advance(30_000);
  }
  assert.equal(state.fed, 4);
  assert.deepEqual(errors, []);
});

test('the watchdog is not fed without progress, and this is said once', async () => {
  const { clock, state, watchdog, errors } = setUp();
  await watchdog.start();
  clock.advance(30_000);
  assert.equal(state.fed, 1, 'the first look has nothing to compare with');
  clock.advance(90_000);
  assert.equal(state.fed, 1);
  assert.equal(errors.length, 1);
  state.progress++;
  clock.advance(30_000);
  assert.equal(state.fed, 2);
});

test('the watchdog is fed while there is nothing to do', async () => {
  const { clock, state, watchdog, errors } = setUp();
  state.idle = true;
  await watchdog.start();
  clock.advance(300_000);
  assert.equal(state.fed, 10);
  assert.deepEqual(errors, []);
});

test('without a watchdog, or with one meant for another process, nothing is fed', async () => {
  for (const env of [{}, { WATCHDOG_USEC: '0' }, { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }]) {
    const { clock, state, watchdog } = setUp(env);
    await watchdog.start();
    clock.advance(300_000);
    assert.equal(watchdog.intervalMs, null);
    assert.equal(state.fed, 0);
  }
});

test('a stopped watchdog is fed no more', async () => {
  const { clock, state, watchdog } = setUp({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) });
  state.idle = true;
  await watchdog.start();
  clock.advance(30_000);
  await watchdog.stop();
  clock.advance(300_000);
  assert.equal(state.fed, 1);
});

test('where no systemd listens, nothing is said', async () => {
  const before = process.env.NOTIFY_SOCKET;
  delete process.env.NOTIFY_SOCKET;
  await notify('READY=1');
  if (before !== undefined) process.env.NOTIFY_SOCKET = before;
});
