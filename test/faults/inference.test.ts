import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requires } from '../support/requires.ts';
import { ServiceManager } from '../support/service-manager.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions } from './lab.ts';

const skip = requires('mkfifo');
const preload = new URL('../fakes/faulty-inference.ts', import.meta.url).href;

/** Milliseconds within which another worker must have taken over. */
const LONGEST_REPLACEMENT = 5000;
/** Hanging threads that one process puts up with before it ends. */
const PATIENCE = 3;

const options = (more: NodeJS.ProcessEnv = {}): LabOptions => ({
  env: (folder) => {
    spawnSync('mkfifo', [join(folder, 'fault.fifo')]);
    return {
      ...more,
      NODE_OPTIONS: `--import ${preload}`,
      FAULTY_INFERENCE: join(folder, 'fault'),
    };
  },
});

/** Resolves when the model has answered since `since` messages: a first answer may take its time. */
async function isAtWork(lab: Lab, since: number): Promise<void> {
  await until('frames to be analysed', () => (lab.health(since)?.frames_analysed ?? 0) > 5);
}

/** Breaks the inference so often; each time another worker must take over soon, and count what was dropped. */
async function breakIt(lab: Lab, kind: string, times: number): Promise<Outcome> {
  const recovery: number[] = [];
  let started = 0;
  await lab.start();
  for (let fault = 0; fault < times; fault++) {
    await isAtWork(lab, started);
    const logged = lab.daemon.log.length;
    const failed = () =>
      lab.daemon.log.slice(logged).find(({ msg }) => msg.startsWith('vision threads failed'));
    const dropped = lab.health()!.frames_dropped;
    lab.observe();
    const began = performance.now();
    writeFileSync(join(lab.folder, 'fault'), kind);
    if (kind === 'hang' && fault % PATIENCE === PATIENCE - 1) {
      assert.equal(
        (await lab.daemon.exited).code,
        70,
        'too many hang: the service manager is to start it anew',
      );
      started = lab.recorder.messages.length;
      await lab.start();
      recovery.push(performance.now() - began);
      continue;
    }
    await until('the failure to be said', () => failed() !== undefined);
    const next = lab.recorder.messages.length;
    await until('the next event', () => {
      return lab.recorder.messages.slice(next).some(({ topic }) => topic.endsWith('/event'));
    });
    recovery.push(performance.now() - began);
    await lab.healthy('dropped frames', ({ frames_dropped }) => frames_dropped > dropped);
  }
  lab.observe();
  const exit = await lab.daemon.stop();
  assert.equal(exit.code, 0, 'it ends also when threads hang');
  const { lost, duplicated, events } = await lab.balance();
  const replaced = recovery.filter((_, fault) => kind !== 'hang' || fault % PATIENCE !== PATIENCE - 1);
  const slowest = Math.max(...replaced);
  const broken = slowest > LONGEST_REPLACEMENT + 1000 && `replaced after ${slowest.toFixed(0)} ms`;
  return { injected: times, lost, duplicated, recovery, broken, notes: `${events} events` };
}

export const faults = [
  ...(['hang', 'throw', 'die'] as const).map((kind) =>
    define({
      name: `inference-${{ hang: 'hangs', throw: 'throws', die: 'dies' }[kind]}`,
      promise: `an inference worker that ${{ hang: 'hangs', throw: 'throws', die: 'dies' }[kind]} is replaced within 5 s, and what is dropped is counted`,
      times: { full: 20, fast: 1 },
      skip,
      inject: (times) => inLab(options(), (lab) => breakIt(lab, kind, times)),
    }),
  ),
  define({
    name: 'inference-hangs-for-ever',
    promise:
      'while no frame is finished the watchdog is not fed, and Lookout ends by itself for the service manager',
    times: { full: 3, fast: 0 },
    skip,
    inject: (times) => {
      const systemd = new ServiceManager();
      return inLab(options(systemd.env(2000)), async (lab): Promise<Outcome> => {
        const recovery: number[] = [];
        for (let fault = 0; fault < times; fault++) {
          const started = lab.recorder.messages.length;
          await lab.start();
          await until('a sign of life', () => systemd.told('WATCHDOG=1').length > 0);
          await isAtWork(lab, started);
          lab.observe();
          const began = Date.now();
          writeFileSync(join(lab.folder, 'fault'), 'hang always');
          const exit = await lab.daemon.exited;
          assert.equal(exit.code, 70);
          recovery.push(Date.now() - began);
          const fed = systemd.told('WATCHDOG=1').filter((time) => time > began + 1500 + 500);
          assert.deepEqual(fed, [], 'the watchdog is not fed while nothing is finished');
          spawnSync('rm', [join(lab.folder, 'fault')]);
        }
        await lab.start();
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      });
    },
  }),
];
