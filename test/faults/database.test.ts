import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readEvents } from '../support/log.ts';
import { Seeded } from '../support/random.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab } from './lab.ts';

/** Overwrites pages of the file with rubbish: all but the first, or all. */
function damage(file: string, random: Seeded): void {
  const page = 4096;
  const pages = statSync(file).size / page;
  const fd = openSync(file, 'r+');
  const first = random.chance(0.5) ? 0 : 1;
  for (let n = first; n < pages; n++) writeSync(fd, Buffer.alloc(page, 0xa5), 0, page, n * page);
  closeSync(fd);
}

/** Holds what is left against what the last backup had. */
async function recovered(lab: Lab, backedUp: string[]): Promise<void> {
  await lab.healthy('STORE_CORRUPT', ({ problems }) =>
    problems.some((problem) => /^STORE_CORRUPT: .*\d+ events restored$/.test(problem)),
  );
  const kept = readdirSync(join(lab.folder, 'data')).filter((name) => /\.corrupt-\d+T\d+Z$/.test(name));
  assert.ok(kept.length > 0, 'the damaged file is kept');
  await lab.daemon.line(({ err }) => (err as { code?: string } | undefined)?.code === 'STORE_CORRUPT');
  const missing = () => backedUp.filter((id) => !ids(lab).includes(id));
  await until('what was in the backup to be there again', () => missing().length === 0);
  const before = ids(lab).length;
  await until('new events in the log', () => ids(lab).length > before + 3);
}

/** Ids in the log; none while another file is put in its place. */
function ids(lab: Lab): string[] {
  try {
    return readEvents(lab.database).map(({ id }) => id);
  } catch {
    return [];
  }
}

export const faults = [
  define({
    name: 'database-corrupt-at-start',
    promise:
      'a database that is damaged at the start is set aside, its backup is restored, and Lookout runs aloud',
    times: { full: 20, fast: 1 },
    inject: (times) =>
      inLab({}, async (lab): Promise<Outcome> => {
        const random = new Seeded(3);
        const recovery: number[] = [];
        await lab.start();
        for (let round = 0; round < times; round++) {
          await until('some events', () => ids(lab).length > 6 * (round + 1));
          assert.equal((await lab.daemon.stop()).code, 0);
          const before = ids(lab);
          damage(lab.database, random);
          recovery.push(await lab.start());
          await recovered(lab, before);
        }
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      }),
  }),
  define({
    name: 'database-corrupt-while-running',
    promise: 'a database that is damaged while it is used is replaced from its backup without a restart',
    times: { full: 20, fast: 1 },
    inject: (times) =>
      inLab({}, async (lab): Promise<Outcome> => {
        const random = new Seeded(4);
        const recovery: number[] = [];
        for (let round = 0; round < times; round++) {
          // Each stop makes a backup, and empties the write-ahead log, which would hide the damage.
          await lab.start();
          await until('some events', () => ids(lab).length > 6 * (round + 1));
          assert.equal((await lab.daemon.stop()).code, 0);
          const before = ids(lab);
          await lab.start();
          await delay(1000 * random.next());
          damage(lab.database, random);
          const began = performance.now();
          await recovered(lab, before);
          recovery.push(performance.now() - began);
          assert.equal((await lab.daemon.stop()).code, 0);
        }
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      }),
  }),
];
