import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Seeded } from '../support/random.ts';
import { times } from '../support/requires.ts';
import { define } from './fault.ts';
import { inLab } from './lab.ts';

/** Milliseconds within which a start must see its first event. */
const LONGEST_START = 2000;

export const faults = [
  define({
    name: 'sigkill',
    promise:
      'SIGKILL at random moments under load loses and alters no committed event, and the next start is quick',
    times: { full: 300, fast: times(1, 3) },
    inject: (times, fast) =>
      inLab({}, async (lab) => {
        const random = new Seeded(20);
        const recovery: number[] = [];
        await lab.start();
        for (let kill = 0; kill < times; kill++) {
          await delay(2000 * random.next());
          lab.observe();
          await lab.daemon.stop('SIGKILL');
          recovery.push(await lab.start());
        }
        lab.observe();
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        assert.ok(events > times, `${events} events`);
        const slow = recovery.filter((ms) => ms > LONGEST_START).length;
        const broken = !fast && slow > times / 20 && `${slow} starts took longer than ${LONGEST_START} ms`;
        const notes = `${events} events, ${slow} starts took longer than ${LONGEST_START / 1000} s`;
        return { injected: times, lost, duplicated, recovery, broken, notes };
      }),
  }),
];
