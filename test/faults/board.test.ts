import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { readEvents } from '../support/log.ts';
import { times } from '../support/requires.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions, rssMb, TOPIC } from './lab.ts';

const preload = new URL('../fakes/board-files.ts', import.meta.url).href;

const SHORT = 'MemTotal:       1000000 kB\nMemAvailable:    30000 kB\n';
/** Programs that want a processor each. */
const HOGS = 16;

const options: LabOptions = {
  env: (folder) => ({ NODE_OPTIONS: `--import ${preload}`, BOARD_FILES: join(folder, 'board') }),
};

const overrun = (text: RegExp) => (health: { problems: string[] }) =>
  health.problems.some((problem) => problem.startsWith('BOARD_OVERRUN') && text.test(problem));

const isOverrun = overrun(/./);

/** Shows the daemon other files of the kernel; null: takes them away again. */
function show(lab: Lab, files: Record<string, string> | null): void {
  const board = join(lab.folder, 'board');
  rmSync(board, { recursive: true, force: true });
  for (const [path, content] of Object.entries(files ?? {})) {
    mkdirSync(join(board, path, '..'), { recursive: true });
    writeFileSync(join(board, path), content);
  }
}

const THERMAL = 'sys/class/thermal/thermal_zone0';
const COOL_C = 45;
/** The limit is 75 °C where the kernel names no temperature at which it slows a processor down. */
const HOT_C = 90;

const atHeat = (celsius: number) => ({
  [`${THERMAL}/type`]: 'cpu-thermal\n',
  [`${THERMAL}/temp`]: `${celsius * 1000}\n`,
});

interface Thermal {
  limiting: boolean;
  temperature_c: number;
  analysed_share: number;
}

const thermal = (lab: Lab) => JSON.parse(lab.recorder.last(`${TOPIC}/thermal`) ?? '{}') as Partial<Thermal>;

/** Frames that were analysed and dropped in the next seconds, a second. */
async function rates(lab: Lab, seconds: number): Promise<{ analysed: number; dropped: number }> {
  const before = lab.health()!;
  await delay(seconds * 1000);
  const after = lab.health()!;
  return {
    analysed: (after.frames_analysed - before.frames_analysed) / seconds,
    dropped: (after.frames_dropped - before.frames_dropped) / seconds,
  };
}

async function settle(lab: Lab, injected: number, recovery: number[], notes: string): Promise<Outcome> {
  lab.observe();
  assert.equal((await lab.daemon.stop()).code, 0);
  const { lost, duplicated, events } = await lab.balance();
  return { injected, lost, duplicated, recovery, notes: `${events} events, ${notes}` };
}

export const faults = [
  define({
    name: 'memory-short',
    promise: 'while memory is short fewer frames are analysed, Lookout says why, and every event is written',
    times: { full: 5, fast: 0 },
    inject: (times) =>
      inLab(options, async (lab) => {
        const recovery: number[] = [];
        const shares: number[] = [];
        await lab.start();
        for (let fault = 0; fault < times; fault++) {
          await lab.healthy('frames', ({ frames_analysed }) => frames_analysed > 0);
          show(lab, { 'proc/meminfo': SHORT, 'proc/pressure/memory': '' });
          await lab.healthy(
            'that memory is short',
            overrun(/^BOARD_OVERRUN: short of memory: analysing 1 of 8 /),
            40_000,
          );
          const { analysed } = await rates(lab, 4);
          shares.push(analysed);
          assert.ok(analysed > 0.5 && analysed < 4, `${analysed} of 10 frames a second`);
          const events = readEvents(lab.database).length;
          await until('events in the log', () => readEvents(lab.database).length > events + 2);
          show(lab, null);
          const began = performance.now();
          await lab.healthy('that all is well', (health) => !isOverrun(health), 90_000);
          recovery.push(performance.now() - began);
        }
        return settle(lab, times, recovery, `${shares[0]!.toFixed(1)} of 10 frames a second`);
      }),
  }),
  define({
    name: 'heat',
    promise:
      'while the board is too hot fewer frames are analysed, Lookout says why, and every event is written',
    times: { full: 5, fast: 1 },
    inject: (times) =>
      inLab(options, async (lab) => {
        const recovery: number[] = [];
        const rate: number[] = [];
        show(lab, atHeat(COOL_C));
        await lab.start();
        await until('the board to be cool', () => thermal(lab).limiting === false);
        for (let fault = 0; fault < times; fault++) {
          await lab.healthy('frames', ({ frames_analysed }) => frames_analysed > 5);
          const logged = lab.daemon.log.length;
          show(lab, atHeat(HOT_C));
          await lab.healthy(
            'that it is hot',
            overrun(/^BOARD_OVERRUN: the board is hot: 10 % of the frames/),
          );
          assert.equal(thermal(lab).temperature_c, HOT_C);
          const said = lab.daemon.log.slice(logged).filter(({ msg }) => /^90 °C, limit 75 °C: /.test(msg));
          assert.equal(said.length, 1, 'the log says so once');
          const { analysed } = await rates(lab, 5);
          rate.push(analysed);
          assert.ok(analysed < 3, `${analysed} of 10 frames a second`);
          const events = readEvents(lab.database).length;
          await until('events in the log', () => readEvents(lab.database).length > events + 2);
          lab.observe();
          const began = performance.now();
          show(lab, atHeat(COOL_C));
          await lab.healthy('that all is well', (health) => !isOverrun(health), 90_000);
          recovery.push(performance.now() - began);
        }
        return settle(lab, times, recovery, `${Math.max(...rate).toFixed(1)} of 10 frames a second`);
      }),
  }),
  define({
    name: 'cpu-hog',
    promise: `${HOGS} programs that want the processor cost frames, but no event`,
    times: { full: 3, fast: times(0, 1) },
    inject: (times, fast) =>
      inLab({}, async (lab) => {
        const recovery: number[] = [];
        let worst = Number.POSITIVE_INFINITY;
        await lab.start();
        for (let fault = 0; fault < times; fault++) {
          await lab.healthy('frames', ({ frames_analysed }) => frames_analysed > 5);
          const hogs: ChildProcess[] = [];
          try {
            for (let n = 0; n < HOGS; n++) hogs.push(spawn(process.execPath, ['-e', 'for (;;);']));
            const { analysed } = await rates(lab, fast ? 6 : 30);
            worst = Math.min(worst, analysed);
            lab.observe();
          } finally {
            for (const hog of hogs) hog.kill('SIGKILL');
          }
          const began = performance.now();
          const since = lab.recorder.messages.length;
          await until('the rate to be back', () => (lab.health(since)?.fps ?? 0) > 8, 60_000);
          recovery.push(performance.now() - began);
        }
        return settle(lab, times, recovery, `at worst ${worst.toFixed(1)} of 10 frames a second`);
      }),
  }),
  define({
    name: 'events-flood',
    promise:
      'when events come faster than pictures can be written, pictures are left out and memory stays flat',
    times: { full: 1, fast: times(0, 1) },
    inject: async (times, fast) => {
      const labels = Array.from({ length: 60 }, (_, n) => `person-${n}`);
      const each = { on: 0, off: 0, window: 1, hits: 1, hold: 0, max: 1 };
      const flood: LabOptions = {
        settings: {
          labels: Object.fromEntries(labels.map((name) => [name, each])),
          groups: Object.fromEntries(labels.map((name) => [name, ['person']])),
        },
      };
      return inLab(flood, async (lab) => {
        await lab.start();
        await until('memory to settle', () => readEvents(lab.database).length > 6 * labels.length, 60_000);
        const before = rssMb(lab.daemon.child.pid!);
        await delay(fast ? 5000 : 120_000);
        const growth = rssMb(lab.daemon.child.pid!) - before;
        assert.ok(growth < 40, `memory grew by ${growth} MB`);
        return settle(lab, times, [], `memory ${growth.toFixed(0)} MB`);
      });
    },
  }),
  define({
    name: 'card-budget',
    promise: 'a card that has had its bytes for the day gets events only, and Lookout says so',
    times: { full: 1, fast: times(0, 1) },
    inject: (times) =>
      inLab({ settings: { store: { max_writes_per_day: 1, commit_interval: 0.5 } } }, async (lab) => {
        const detections = () => {
          const db = new Database(lab.database, { readonly: true });
          try {
            return Number(db.prepare('SELECT count(*) FROM detections').pluck().get());
          } finally {
            db.close();
          }
        };
        await lab.start();
        const { bytes_written } = await lab.healthy(
          'that the card has had enough',
          ({ problems }) => problems.includes('STORE_BUDGET: detections and snapshots are not kept'),
          60_000,
        );
        assert.ok(Number(bytes_written) > 900_000, `after ${bytes_written} bytes`);
        await delay(7000);
        const [before, events] = [detections(), readEvents(lab.database).length];
        await until('more events', () => readEvents(lab.database).length > events + 6);
        assert.equal(detections(), before);
        return settle(lab, times, [], `${bytes_written} bytes until then`);
      }),
  }),
];
