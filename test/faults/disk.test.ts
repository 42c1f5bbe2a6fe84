import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { FileList } from '../../src/store/file-list.ts';
import { FailingDisk } from '../support/failing-disk.ts';
import { readEvents } from '../support/log.ts';
import { requires } from '../support/requires.ts';
import { fileNote, markedJpeg } from '../support/store.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions, TOPIC } from './lab.ts';

const root = process.getuid?.() === 0 ? requires('mount') : 'needs the right to mount a small file system';

/** Size of the disk: room for a database and a few pictures. */
const DISK_MB = 8;

/** Breaks the disk so many times, which must be said once and keep nothing from being told, and mends it. */
async function goThrough(
  lab: Lab,
  times: number,
  reason: RegExp,
  begin: () => void,
  end: () => void,
): Promise<Outcome> {
  const recovery: number[] = [];
  await lab.start();
  for (let fault = 0; fault < times; fault++) {
    await until('events in the log', () => readEvents(lab.database).length > 6 * (fault + 1));
    const logged = lab.daemon.log.length;
    const live = states(lab);
    lab.observe();
    begin();
    await lab.healthy('why it cannot write', ({ problems }) => problems.some((text) => reason.test(text)));
    await until('live states during the fault', () => states(lab) > live + 4);
    await delay(1500);
    const said = lab.daemon.log
      .slice(logged)
      .filter(({ msg }) => msg.startsWith('cannot write the database'));
    if (fault === 0) {
      assert.equal(said.length, 1, 'the log says so once');
      assert.match(String(said[0]?.reason), reason);
      assert.equal(said[0]?.code, 'STORE_FULL');
    } else assert.ok(said.length <= 1, 'a fault that comes back soon is said at most once');
    const ended = performance.now();
    end();
    await lab.healthy('that all is well', ({ problems }) => !problems.some(isDiskProblem), 60_000);
    recovery.push(performance.now() - ended);
    lab.observe();
  }
  assert.equal((await lab.daemon.stop()).code, 0);
  const { lost, duplicated, events } = await lab.balance();
  return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
}

/** A lab whose data lies on a small disk of its own. */
function onSmallDisk(
  options: LabOptions,
  work: (lab: Lab, data: string) => Promise<Outcome>,
): Promise<Outcome> {
  return inLab(options, async (lab) => {
    const data = join(lab.folder, 'data');
    mkdirSync(data);
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', data]);
    assert.equal(status, 0, String(stderr));
    try {
      return await work(lab, data);
    } finally {
      await lab.close();
      spawnSync('umount', ['-l', data]);
    }
  });
}

/** A lab whose disk fails every write with an error number of the system, and works again. */
function withErrors(times: number, errno: number, reason: RegExp): Promise<Outcome> {
  let disk!: FailingDisk;
  return inLab(
    {
      env: (folder) => {
        disk = new FailingDisk(folder);
        return disk.env;
      },
    },
    (lab) =>
      goThrough(
        lab,
        times,
        reason,
        () => disk.fail(errno),
        () => disk.fail(null),
      ),
  );
}

/** Messages by which the state of a label was told. */
function states(lab: Lab): number {
  return lab.recorder.messages.filter(({ topic }) => topic === `${TOPIC}/door/person`).length;
}

function isDiskProblem(problem: string): boolean {
  return problem.startsWith('STORE_');
}

function fill(data: string): void {
  try {
    writeFileSync(join(data, 'filler'), Buffer.alloc(DISK_MB * 1_100_000));
  } catch {}
}

/** Fills the disk with snapshots of events long ago, as this installation would have written them. */
function fillWithPictures(lab: Lab, data: string, round: number): void {
  const day = 'door/2026-01-02';
  const db = new Database(lab.database);
  try {
    const list = new FileList(db);
    const events = Array.from({ length: DISK_MB * 5 }, (_, n) => `${round}-${n}`);
    db.transaction(() => {
      for (const [n, event] of events.entries()) {
        list.note(fileNote(`${day}/${event}.jpg`, { event, at: Date.UTC(2026, 0, 2) }));
        // Before all that the daemon has written.
        db.prepare('UPDATE files SET seq = ? WHERE event = ?').run(n - 1_000_000, event);
      }
    }).immediate();
    for (const event of events) {
      const file = join(data, 'snapshots', day, `${event}.jpg`);
      writeFileSync(file, markedJpeg(list.installation, event, 200_000));
    }
  } catch {
  } finally {
    db.close();
  }
}

export const faults = [
  define({
    name: 'disk-full',
    promise: 'a full disk is said once, live states go on, and everything is written when there is room',
    times: { full: 10, fast: 1 },
    skip: root,
    inject: (times) =>
      onSmallDisk({}, (lab, data) =>
        goThrough(
          lab,
          times,
          /full/,
          () => fill(data),
          () => rmSync(join(data, 'filler')),
        ),
      ),
  }),
  define({
    name: 'disk-full-of-pictures',
    promise: 'on a disk full of its own pictures the oldest make room by themselves, and no event is lost',
    times: { full: 10, fast: 1 },
    skip: root,
    inject: (times) =>
      onSmallDisk({ settings: { store: { max_snapshots: 10_000 } } }, async (lab, data) => {
        const recovery: number[] = [];
        await lab.start();
        const old = join(data, 'snapshots', 'door', '2026-01-02');
        for (let round = 0; round < times; round++) {
          await until('events in the log', () => readEvents(lab.database).length > 6 * (round + 1));
          lab.observe();
          const logged = lab.daemon.log.length;
          mkdirSync(old, { recursive: true });
          fillWithPictures(lab, data, round);
          const began = performance.now();
          const made = () =>
            lab.daemon.log.slice(logged).some(({ msg }) => /deleted the oldest \d+ snapshots/.test(msg));
          await until('room to be made', made, 60_000);
          await lab.healthy('that all is well', ({ problems }) => !problems.some(isDiskProblem), 60_000);
          recovery.push(performance.now() - began);
          assert.ok(readdirSync(old).length > 0, 'only as many went as were needed');
          rmSync(old, { recursive: true });
        }
        lab.observe();
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      }),
  }),
  define({
    name: 'disk-read-only',
    promise: 'a disk that has gone read-only is said once, live states go on, and all is written afterwards',
    times: { full: 10, fast: 1 },
    skip: requires('cc'),
    inject: (times) => withErrors(times, constants.errno.EROFS, /the file system is read-only \(EROFS\)/),
  }),
  define({
    name: 'disk-errors',
    promise: 'I/O errors are said once, live states go on, and everything is written afterwards',
    times: { full: 10, fast: 1 },
    skip: requires('cc'),
    inject: (times) => withErrors(times, constants.errno.EIO, /the disk reports an I\/O error \(EIO\)/),
  }),
];
