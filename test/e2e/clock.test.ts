import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, readEvents } from '../support/log.ts';
import { until } from '../support/until.ts';

const DAY = 86_400_000;
const preload = new URL('../fakes/time-machine.ts', import.meta.url).href;

/** A board whose clock can be moved, that no time server sets and whose broker is away. */
function board() {
  const folder = tempFolder();
  const { camera, labels } = busyCamera(1, ['person', 'car']);
  const programs = tempFolder();
  for (const program of ['chronyc', 'ntpq', 'timedatectl']) {
    writeFileSync(join(programs, program), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  }
  const config = {
    device: 'clock',
    cameras: { door: camera },
    labels,
    health_interval: 1,
    store: { commit_interval: 0.5 },
    mqtt: { url: 'mqtt://127.0.0.1:1' },
  };
  const set = (offset: number) => writeFileSync(join(folder, 'time'), JSON.stringify({ offset }));
  const env = {
    NODE_OPTIONS: `--import ${preload}`,
    TIME_MACHINE: join(folder, 'time'),
    PATH: `${programs}:${process.env.PATH}`,
  };
  const database = join(folder, 'data/lookout.db');
  const start = (offset: number) => {
    set(offset);
    return new DaemonProcess(config, folder, env);
  };
  return { folder, database, set, start };
}

type Board = ReturnType<typeof board>;

const closed = ({ database }: Board) =>
  existsSync(database) ? readEvents(database).filter(({ ended_at }) => ended_at !== null) : [];

/** Waits until so many more events have ended, and the clean-up after the start is through. */
async function more(lab: Board, daemon: DaemonProcess): Promise<void> {
  const before = closed(lab).length;
  await daemon.line(({ msg }) => msg.includes('camera is online'));
  await until('events', () => closed(lab).length >= before + 4);
}

/** Runs a daemon with the clock so far ahead. */
async function run(lab: Board, offset: number): Promise<DaemonProcess> {
  const daemon = lab.start(offset);
  try {
    await more(lab, daemon);
  } finally {
    assert.equal((await daemon.stop()).code, 0);
  }
  return daemon;
}

const doubts = (daemon: DaemonProcess) => daemon.log.filter(({ code }) => code === 'TIME_UNKNOWN').length;

function outboxIn({ database }: Board): number[] {
  const db = new Database(database, { readonly: true });
  try {
    return db.prepare<[], number>('SELECT id FROM outbox ORDER BY id').pluck().all();
  } finally {
    db.close();
  }
}

for (const [name, offset] of [
  ['in 2099', Date.UTC(2099, 0, 1) - Date.now()],
  ['35 days ahead', 35 * DAY],
  ['in 1970', 1000 - Date.now()],
] as const) {
  test(`a start ${name} deletes nothing, and what it records is put right when the time is`, async () => {
    const lab = board();
    await run(lab, 0);
    const before = closed(lab);
    const files = before.map(({ snapshot }) => join(lab.folder, 'data/snapshots', String(snapshot)));
    const waiting = outboxIn(lab);
    assert.ok(waiting.length > 0 && files.some((file) => existsSync(file)));

    const daemon = lab.start(offset);
    try {
      await more(lab, daemon);
      assert.equal(doubts(daemon), 1, 'it is said once');
      const wrong = closed(lab).slice(before.length);
      assert.ok(wrong.every(({ time_uncertain }) => time_uncertain === 1));
      assert.ok(wrong.every(({ started_at }) => Math.abs(started_at - Date.now()) > 30 * DAY));
      for (const row of before) assert.ok(closed(lab).some(({ id }) => id === row.id));
      assert.deepEqual(outboxIn(lab).slice(0, waiting.length), waiting, 'no message is dropped');

      lab.set(0);
      await daemon.line(({ msg }) => msg.startsWith('corrected the times'));
      await more(lab, daemon);
      await until('all times to be right', () =>
        readEvents(lab.database).every(({ time_uncertain }) => time_uncertain === 0),
      );
    } finally {
      assert.equal((await daemon.stop()).code, 0);
    }
    const rows = closed(lab);
    for (const { started_at, ended_at } of rows) {
      assert.ok(
        started_at <= Date.now() && started_at > Date.now() - DAY,
        new Date(started_at).toISOString(),
      );
      assert.ok(ended_at! - started_at < 3000, `it lasted ${ended_at! - started_at} ms`);
    }
    const times = rows.map(({ started_at }) => started_at);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
      'in the order in which they happened',
    );
    const ids = rows.map(({ id }) => id);
    assert.deepEqual(ids, ids.toSorted(), 'and so are their ids');
    assert.ok(Number.parseInt(ids.at(-1)!.replaceAll('-', '').slice(0, 12), 16) <= Date.now());
    assert.equal(files.filter((file) => existsSync(file)).length > 0, true);
  });
}

test('a clock that jumps ahead while the daemon runs deletes nothing, and a restart puts right what it left', async () => {
  const lab = board();
  const daemon = lab.start(0);
  try {
    await more(lab, daemon);
    const before = closed(lab).map(({ id }) => id);
    const waiting = outboxIn(lab);
    lab.set(400 * DAY);
    await daemon.line(({ code }) => code === 'TIME_UNKNOWN');
    await more(lab, daemon);
    const now = closed(lab).map(({ id }) => id);
    assert.ok(before.every((id) => now.includes(id)));
    assert.deepEqual(outboxIn(lab).slice(0, waiting.length), waiting);
  } finally {
    assert.equal((await daemon.stop()).code, 0);
  }
  assert.ok(closed(lab).some(({ started_at }) => started_at > Date.now() + DAY));
  await run(lab, 0);
  assert.ok(closed(lab).every(({ started_at }) => started_at <= Date.now()));
});
