import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EventRow, readEvents } from '../support/log.ts';
import { times } from '../support/requires.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions, timeMachine } from './lab.ts';

const HOUR = 3_600_000;
/** Milliseconds that an event of this lab lasts, by the clock that never jumps. */
const LASTS = 1000;

/** From the real time to 1970, and what a board is told then and later: summer time, a leap second, a step back. */
const JUMPS = [-1, HOUR, -HOUR, 1000, -1000, -90_000, 0];

function setTime(lab: Lab, offset: number): void {
  writeFileSync(join(lab.folder, 'time'), JSON.stringify({ offset }));
}

/** The events that began and ended after `seen` others, when there are some more. */
async function more(lab: Lab, seen: number): Promise<EventRow[]> {
  await until('events after the jump', () => closed(lab).length >= seen + 6);
  return readEvents(lab.database);
}

const closed = (lab: Lab) => readEvents(lab.database).filter(({ ended_at }) => ended_at !== null);

export const faults = [
  define({
    name: 'clock-jumps',
    promise:
      'jumps of the clock change no duration and no order, and rows are marked until the time is known',
    times: { full: 35, fast: times(2, 4) },
    inject: (times) => {
      const options: LabOptions = {
        env: timeMachine,
        files: { time: JSON.stringify({ offset: -Date.now() }) },
      };
      return inLab(options, async (lab): Promise<Outcome> => {
        const recovery: number[] = [];
        let offset = -Date.now();
        await lab.start();
        await lab.healthy('that the time is not known', ({ problems }) =>
          problems.some((problem) => problem.startsWith('TIME_UNKNOWN')),
        );
        for (let jump = 0; jump < times; jump++) {
          const before = (await more(lab, closed(lab).length)).length;
          const step = JUMPS[jump % JUMPS.length]!;
          offset = step === -1 ? (offset < -HOUR * 24 * 365 ? 0 : -Date.now()) : step;
          setTime(lab, offset);
          const began = performance.now();
          const known = offset > -HOUR * 24 * 365;
          await lab.healthy(
            known ? 'that the time is known' : 'that it is not',
            ({ problems }) => problems.some((problem) => problem.startsWith('TIME_UNKNOWN')) !== known,
          );
          recovery.push(performance.now() - began);
          const rows = await more(lab, before);
          // Events that were open at the jump have times of both sides.
          const after = rows.slice(before + 6).filter(({ ended_at }) => ended_at !== null);
          for (const { started_at, ended_at, time_uncertain } of after) {
            const lasted = ended_at! - started_at;
            assert.ok(lasted >= LASTS - 200 && lasted < LASTS + 1500, `an event of 1 s lasted ${lasted} ms`);
            assert.equal(time_uncertain, known ? 0 : 1);
          }
          for (const { started_at, ended_at } of rows) assert.ok(ended_at === null || ended_at >= started_at);
          const ids = rows.map(({ id }) => id);
          assert.deepEqual(ids, [...ids].sort(), 'ids keep their order');
          lab.observe();
        }
        assert.equal((await lab.daemon.stop()).code, 0);
        const { lost, duplicated, events } = await lab.balance();
        const marked = lab.told().filter(({ time_uncertain }) => time_uncertain);
        assert.ok(marked.length > 0, 'messages say so too');
        return { injected: times, lost, duplicated, recovery, notes: `${events} events` };
      });
    },
  }),
];
