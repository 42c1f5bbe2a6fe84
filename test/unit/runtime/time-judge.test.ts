import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type ClockSetting, TimeJudge } from '../../../src/runtime/time-judge.ts';
import { askTimeServers } from '../../../src/runtime/time-servers.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeLog } from '../../fakes/log.ts';
import { tempFolder } from '../../support/daemon.ts';
import { until } from '../../support/until.ts';

const NOW = Date.UTC(2026, 5, 15, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BOOT = 'boot-1';

interface Setup {
  now?: number;
  knownAt?: number | null;
  last?: ClockSetting | null;
  /** What chronyc says. */
  answer?: string;
}

/** A judge in a machine without systemd, where nobody sets the clock unless `answer` says so. */
async function setup(t: TestContext, { now = NOW, knownAt = NOW - HOUR, last = null, answer }: Setup = {}) {
  const root = tempFolder();
  mkdirSync(join(root, 'proc/sys/kernel/random'), { recursive: true });
  writeFileSync(join(root, 'proc/sys/kernel/random/boot_id'), `${BOOT}\n`);
  const programs = tempFolder();
  const say = (text: string) =>
    writeFileSync(join(programs, 'chronyc'), `#!/bin/sh\necho '${text}'\n`, { mode: 0o755 });
  if (answer !== undefined) say(answer);
  const clock = new FakeClock(now);
  const log = new FakeLog();
  const judge = new TimeJudge({ clock, log: log.logger, root, env: { PATH: programs } });
  const known: number[] = [];
  judge.onKnown = () => known.push(clock.now());
  await judge.start();
  t.after(() => judge.stop());
  judge.begin({ knownAt, last });
  return { judge, clock, log, root, say, known };
}

/** What ntpq prints when ntpd set the clock at this time, which it says in seconds since 1900. */
const ntpd = (state: string, time: number) =>
  `associd=0 status=0615 ${state}, 1 event, clock_sync,
version="ntpd 4.2.8p17", stratum=2, refid=1.2.3.4,
reftime=${(time / 1000 + 2_208_988_800).toString(16)}.5e3b1d5c  Mon, Jun 15 2026 12:00:00.368,`;

/** What chronyc prints when a server was heard at this time. */
const heard = (time: number) => `A,1.2.3.4,2,${time / 1000},0,0,0,0,0,0,0,0,64.0,Normal`;

test('the clock is believed when it is within a day of the last run, or there was none', async (t) => {
  for (const knownAt of [NOW - 23 * HOUR, NOW + 23 * HOUR, null]) {
    const { judge } = await setup(t, { knownAt });
    assert.equal(judge.now(), NOW, String(knownAt));
    assert.deepEqual(judge.stamp(NOW), { clock: 1, timeUncertain: false });
  }
});

test('a clock that is ahead, behind or not set is not believed at the start, and it is said', async (t) => {
  for (const [now, expected] of [
    [
      Date.UTC(2099, 0, 1),
      /the clock says 2099-01-01T00:00:00.000Z: nothing is deleted for its age until a time server agrees/,
    ],
    [NOW + 35 * DAY, /35 days after/],
    [NOW - 30 * HOUR, /29 hours before/],
    [5000, /the clock is not set/],
  ] as const) {
    const { judge, log } = await setup(t, { now });
    assert.equal(judge.now(), null);
    assert.equal(judge.time(), null);
    assert.deepEqual(judge.stamp(now), { clock: 1, timeUncertain: true });
    assert.equal(log.withCode('TIME_UNKNOWN').length, 1);
    assert.match(log.text, expected);
  }
});

test('a board that was off for a month is believed when a time server agrees', async (t) => {
  const { judge, clock, say, known, log } = await setup(t, { knownAt: NOW - 30 * DAY });
  assert.equal(judge.known, false);
  say('A,,0,0,0,0,0,0,0,0,0,0,0,Not synchronised');
  await clock.advanceAsync(60_000, 2000);
  assert.equal(judge.known, false);
  say(heard(NOW));
  await until('a time server to be asked', () => {
    clock.advance(2000);
    return judge.known;
  });
  await until('it to be told', () => known.length === 1);
  assert.match(log.text, /the clock is believed/);
});

test('a server that was heard at quite another time does not agree', async (t) => {
  const ahead = Date.UTC(2099, 0, 1);
  const { judge } = await setup(t, { now: ahead, answer: heard(NOW) });
  assert.equal(judge.known, false);
  const { judge: asked } = await setup(t, { now: ahead, answer: heard(ahead - HOUR) });
  assert.equal(asked.known, true);
});

test('without a time server hours at the same time are enough, and jumps start them again', async (t) => {
  const { judge, clock } = await setup(t, { knownAt: NOW - 30 * DAY });
  clock.advance(5.9 * HOUR);
  assert.equal(judge.known, false);
  clock.jump(40 * DAY);
  clock.advance(5.9 * HOUR);
  assert.equal(judge.known, false);
  clock.advance(0.2 * HOUR);
  assert.equal(judge.known, true);
});

test('a time before this program was made is never believed', async (t) => {
  const { judge, clock } = await setup(t, { now: 5000, knownAt: null });
  clock.advance(7 * HOUR);
  assert.equal(judge.known, false);
});

test('a year that a flat battery made up is believed of a time server alone', async (t) => {
  const ahead = Date.UTC(2099, 0, 1);
  const { judge, clock, say } = await setup(t, { now: ahead, knownAt: null });
  clock.advance(DAY);
  assert.equal(judge.known, false);
  say(heard(clock.now()));
  await until('a time server to be asked', () => {
    clock.advance(2000);
    return judge.known;
  });
});

test('after a first start in 1970 a jump is judged by the time that was believed in between', async (t) => {
  const { judge, clock } = await setup(t, { now: 5000, knownAt: null });
  clock.jump(NOW - 5000);
  assert.equal(judge.known, true);
  clock.jump(35 * DAY);
  assert.equal(judge.known, false);
});

test('a board that was suspended for days was where its clock says', async (t) => {
  const { judge, clock } = await setup(t);
  const before = judge.stamp(NOW);
  clock.suspend(9 * DAY);
  assert.equal(judge.known, true);
  assert.deepEqual(judge.stamp(clock.now()), before, 'the clock was not set');
  clock.advance(HOUR);
  clock.jump(9 * DAY);
  assert.equal(judge.known, false);
});

test('a time server that agreed is not asked again until the clock jumps', async (t) => {
  const { judge, clock, say } = await setup(t, { knownAt: NOW - 30 * DAY, answer: heard(NOW) });
  say('A,,0,0,0,0,0,0,0,0,0,0,0,Not synchronised');
  await clock.advanceAsync(200_000, 2000);
  assert.equal(judge.known, true, 'the network has gone, the time has not');
  clock.jump(2 * DAY);
  assert.equal(judge.known, false);
});

test('what is numbered by time goes on from the last believed time while the clock is wrong', async (t) => {
  const { judge, clock } = await setup(t);
  clock.advance(HOUR);
  assert.equal(judge.likely(clock.now() - 10), NOW + HOUR - 10);
  clock.jump(400 * DAY);
  clock.advance(HOUR);
  assert.equal(judge.likely(clock.now() - 10), NOW + 2 * HOUR - 10);
  clock.jump(-400 * DAY);
  clock.advance(HOUR);
  assert.equal(judge.likely(clock.now()), NOW + 3 * HOUR);
  const { judge: fresh } = await setup(t, { now: Date.UTC(2099, 0, 1), knownAt: null });
  assert.ok(fresh.likely(Date.UTC(2099, 0, 1)) < NOW);
});

test('when something was recorded in this run is known whatever the clock does, of an earlier run it is not', async (t) => {
  const { judge, clock } = await setup(t);
  clock.advance(5000);
  const [wall, { clock: setting }] = [clock.now(), judge.stamp(clock.now())];
  clock.jump(-35 * DAY);
  clock.advance(5000);
  assert.equal(judge.monotonic(wall, setting), 5000);
  assert.equal(judge.monotonic(clock.now(), judge.stamp(clock.now()).clock), 10_000);
  assert.equal(judge.monotonic(wall, 99), null);
  assert.equal(judge.monotonic(wall, null), null);
});

test('a restart of the daemon does not start the hours again, a restart of the board does', async (t) => {
  const last = { id: 7, boot: BOOT, ahead: NOW - 1000 - 7 * HOUR, began: -7 * HOUR };
  const same = await setup(t, { knownAt: NOW - 30 * DAY, last: { ...last, ahead: NOW - 1000 } });
  assert.equal(same.judge.known, true, 'it has been at that time for seven hours');
  assert.equal(same.judge.stamp(NOW).clock, 7);
  const other = await setup(t, {
    knownAt: NOW - 30 * DAY,
    last: { ...last, ahead: NOW - 1000, boot: 'boot-0' },
  });
  assert.equal(other.judge.known, false);
  assert.equal(other.judge.stamp(NOW).clock, 8);
});

test('a jump while running is judged like a start', async (t) => {
  const { judge, clock, known } = await setup(t);
  clock.advance(HOUR);
  clock.jump(2 * HOUR);
  assert.equal(judge.known, true, 'a time zone or a time server may do that');
  clock.jump(35 * DAY);
  assert.equal(judge.known, false);
  const ahead = judge.stamp(clock.now());
  assert.equal(ahead.timeUncertain, true);
  clock.advance(1000);
  clock.jump(-35 * DAY);
  assert.equal(judge.known, true);
  await until('it to be told', () => known.length >= 1);
  assert.deepEqual(
    judge.settings.map(({ id }) => id),
    [1, 2, 3, 4],
  );
  // A frame from before the jump is known by its time.
  const before = judge.stamp(clock.now() + 35 * DAY - 300);
  assert.deepEqual(before, { clock: ahead.clock, timeUncertain: true });
});

test('small jumps one after the other do not lead away from the last believed time', async (t) => {
  const { judge, clock } = await setup(t);
  for (let hours = 0; hours < 40; hours += 10) clock.jump(10 * HOUR);
  assert.equal(judge.known, false);
});

test('what was recorded before a jump is corrected by its size', async (t) => {
  const { judge, clock } = await setup(t, { now: 60_000 });
  const { clock: unset } = judge.stamp(60_000);
  assert.deepEqual(judge.correction(unset), { shift: 0, stamp: { clock: unset, timeUncertain: true } });
  clock.advance(5000);
  clock.jump(NOW - 60_000);
  const { shift, stamp } = judge.correction(unset);
  assert.ok(Math.abs(shift - (NOW - 60_000)) < 1, `${shift}`);
  assert.deepEqual(stamp, { clock: 2, timeUncertain: false });
  assert.deepEqual(judge.correction(99), { shift: 0, stamp: { clock: 99, timeUncertain: false } });
});

test('slow corrections of a time server, and a leap second, are taken as they are', async (t) => {
  const { judge, clock } = await setup(t);
  for (let i = 0; i < 10; i++) {
    clock.advance(60_000);
    clock.jump(40);
    assert.equal(judge.known, true);
  }
  clock.jump(-1000);
  assert.equal(judge.known, true);
});

describe('time servers', () => {
  const question = { now: NOW, tolerance: DAY };
  const withPrograms = (programs: Record<string, string>) => {
    const folder = tempFolder();
    for (const [name, answer] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
    }
    return { ...question, root: tempFolder(), env: { PATH: folder } };
  };

  test('systemd-timesyncd agrees when it has touched its file lately', async () => {
    const root = tempFolder();
    const asked = { ...question, root, env: { PATH: '' } };
    assert.equal(await askTimeServers(asked), 'none');
    mkdirSync(join(root, 'run/systemd/timesync'), { recursive: true });
    assert.equal(await askTimeServers(asked), 'waiting');
    const file = join(root, 'run/systemd/timesync/synchronized');
    writeFileSync(file, '');
    utimesSync(file, (NOW - HOUR) / 1000, (NOW - HOUR) / 1000);
    assert.equal(await askTimeServers(asked), 'agree');
    assert.equal(await askTimeServers({ ...asked, now: Date.UTC(2099, 0, 1) }), 'waiting');
  });

  test('chrony is asked although the folder of systemd-timesyncd is there', async () => {
    const asked = withPrograms({ chronyc: `echo '${heard(NOW)}'` });
    mkdirSync(join(asked.root, 'run/systemd/timesync'), { recursive: true });
    assert.equal(await askTimeServers(asked), 'agree');
    assert.equal(await askTimeServers({ ...asked, env: { PATH: '' } }), 'waiting');
  });

  test('chrony, ntpd and the kernel are asked through their programs', async () => {
    for (const [programs, expected] of [
      [{}, 'none'],
      [{ chronyc: `echo '${heard(NOW)}'` }, 'agree'],
      [{ chronyc: `echo '${heard(NOW - 3 * DAY)}'` }, 'waiting'],
      [{ chronyc: 'echo 506 Cannot talk to daemon; exit 1' }, 'none'],
      [{ ntpq: `echo '${ntpd('leap_none, sync_ntp', NOW)}'` }, 'agree'],
      [{ ntpq: `echo '${ntpd('leap_none, sync_ntp', NOW - 3 * DAY)}'` }, 'waiting'],
      [{ ntpq: `echo '${ntpd('leap_alarm, sync_unspec', NOW)}'` }, 'waiting'],
      [{ ntpq: `echo '${ntpd('leap_none, sync_ntp', NOW).replace(/reftime.*/, '')}'` }, 'waiting'],
      [{ ntpq: 'echo "ntpq: read: Connection refused"' }, 'none'],
      [{ timedatectl: 'echo NTP=yes; echo NTPSynchronized=yes' }, 'agree'],
      [{ timedatectl: 'echo NTP=yes; echo NTPSynchronized=no' }, 'waiting'],
      [{ timedatectl: 'echo NTP=no; echo NTPSynchronized=no' }, 'none'],
    ] as const) {
      assert.equal(await askTimeServers(withPrograms(programs)), expected, JSON.stringify(programs));
    }
  });
});
