import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { FailingDisk } from '../support/failing-disk.ts';
import { cutPower, filesBelow } from '../support/power-cut.ts';
import { Seeded } from '../support/random.ts';
import { requires } from '../support/requires.ts';
import { define } from './fault.ts';
import { inLab } from './lab.ts';

/** Seconds between two group commits of detections. */
const COMMIT_INTERVAL = 1;
/** For a busy machine, and the time that a frame takes from the camera to the disk. */
const SLACK_MS = 3000;

interface Detections {
  last: number;
  count: number;
}

function detections(file: string): Detections {
  if (!existsSync(file)) return { last: 0, count: 0 };
  const db = new Database(file, { readonly: true });
  try {
    return db
      .prepare<[], Detections>(
        'SELECT coalesce(max(captured_at), 0) AS last, count(*) AS count FROM detections',
      )
      .get()!;
  } finally {
    db.close();
  }
}

export const faults = [
  define({
    name: 'power-cut',
    promise:
      'a power cut that loses every write that was not synced costs at most the last group of detections',
    times: { full: 50, fast: 3 },
    skip: requires('cc'),
    inject: (times) => {
      let disk!: FailingDisk;
      const options = {
        settings: { store: { commit_interval: COMMIT_INTERVAL } },
        env: (folder: string) => {
          disk = new FailingDisk(join(folder, 'data'));
          return disk.env;
        },
      };
      return inLab(options, async (lab) => {
        const data = join(lab.folder, 'data');
        const random = new Seeded(7);
        const recovery: number[] = [];
        for (let cut = 0; cut < times; cut++) {
          rmSync(disk.log, { force: true });
          const before = filesBelow(data);
          const took = await lab.start();
          const startedAt = Date.now();
          if (cut > 0) recovery.push(took);
          await delay(500 + 2000 * random.next());
          lab.observe();
          const seen = detections(lab.database);
          await lab.daemon.stop('SIGKILL');
          const cutAt = Date.now();
          cutPower(data, disk.log, before, cut % 3 === 0 ? null : random);
          const left = detections(lab.database);
          assert.ok(left.count >= seen.count, `${seen.count - left.count} committed detections are gone`);
          const gap = cutAt - Math.max(left.last, startedAt);
          assert.ok(gap < COMMIT_INTERVAL * 1000 + SLACK_MS, `the last detection is ${gap} ms old`);
        }
        recovery.push(await lab.start());
        lab.observe();
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      });
    },
  }),
];
