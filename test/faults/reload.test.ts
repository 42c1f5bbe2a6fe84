import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { times } from '../support/requires.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, TOPIC } from './lab.ts';

/** Files that are no sound configuration: cut short, with a wrong value, with a model that is not there, empty. */
const BROKEN = ['cameras: {', 'health_interval: soon\n', 'model: { file: nowhere.onnx }\n', '\u0000\u0001'];

export const faults = [
  define({
    name: 'broken-reload',
    promise:
      'a broken file at SIGHUP changes nothing and is told over MQTT, and a sound one takes the fault back',
    times: { full: 20, fast: times(2, 4) },
    inject: (times) =>
      inLab({}, async (lab): Promise<Outcome> => {
        const recovery: number[] = [];
        const file = join(lab.folder, 'lookout.yaml');
        const info = () => JSON.parse(lab.recorder.last(`${TOPIC}/info`)!) as { config_error: string | null };
        await lab.start();
        await until('the device to be told', () => lab.recorder.last(`${TOPIC}/info`) !== undefined);
        for (let reload = 0; reload < times; reload++) {
          const events = lab.told().length;
          writeFileSync(file, BROKEN[reload % BROKEN.length]!);
          lab.daemon.child.kill('SIGHUP');
          await until('the fault to be told', () => info().config_error !== null);
          await lab.healthy('the fault', ({ problems }) =>
            problems.some((text) => text.startsWith('CONFIG_INVALID')),
          );
          await until('events after it', () => lab.told().length > events + 4);
          lab.observe();
          const began = performance.now();
          writeFileSync(file, stringify(lab.settings));
          lab.daemon.child.kill('SIGHUP');
          await until('the fault to be taken back', () => info().config_error === null);
          recovery.push(performance.now() - began);
        }
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      }),
  }),
];
