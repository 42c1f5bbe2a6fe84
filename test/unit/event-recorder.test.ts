import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as settle } from 'node:timers/promises';
import { EventRecorder } from '../../src/event-recorder.ts';
import type { LeftOpen, OutboxMessage } from '../../src/store/store-types.ts';
import type { EventChange } from '../../src/types.ts';
import { eventChange } from '../fakes/events.ts';
import { FakeLog } from '../fakes/log.ts';

function bench({ committed = true, leftOpen = [] as LeftOpen[] } = {}) {
  const log = new FakeLog();
  const seen = {
    recorded: [] as EventChange[],
    messages: [] as OutboxMessage[][],
    wakes: 0,
    /** What a corrected clock adds to times of the setting of the clock. */
    shifts: new Map<number | null, number>(),
    setting: 1,
  };
  const recorder = new EventRecorder({
    log: log.logger,
    store: {
      recordEvent: async (change, messages) => {
        seen.recorded.push(change);
        seen.messages.push(messages);
        return committed;
      },
      leftOpen: async () => leftOpen,
      flush: async () => {},
    },
    publisher: {
      eventMessages: ({ type }) => [{ topic: type, payload: '', qos: 1, retain: false, live: false }],
      wake: () => seen.wakes++,
    },
    judge: {
      stamp: () => ({ clock: seen.setting, timeUncertain: false }),
      correction: (clock) => ({
        shift: seen.shifts.get(clock) ?? 0,
        stamp: { clock, timeUncertain: seen.shifts.has(clock) },
      }),
    },
  });
  return { recorder, log, seen };
}

test('a step is logged for its camera, recorded with its messages, and the publisher wakes', async () => {
  const { recorder, log, seen } = bench();
  recorder.record(eventChange());
  await settle();
  assert.match(log.lines[0]!.msg, /^vehicle seen in gate/);
  assert.equal(log.lines[0]!.camera, 'drive');
  assert.deepEqual(
    seen.messages.map((messages) => messages.map(({ topic }) => topic)),
    [['start']],
  );
  assert.equal(seen.wakes, 1);
});

test('a step that the store gives up does not wake the publisher', async () => {
  const { recorder, seen } = bench({ committed: false });
  recorder.record(eventChange());
  await settle();
  assert.equal(seen.recorded.length, 1);
  assert.equal(seen.wakes, 0);
});

test('all steps of an event keep the setting of the clock in which it started, and are corrected together', () => {
  const { recorder, seen } = bench();
  const start = eventChange();
  recorder.record(start);
  assert.equal(start.event.clock, 1);
  seen.setting = 2;
  seen.shifts.set(1, 60_000);
  const end = eventChange({}, 'end');
  recorder.record(end);
  const { startedAt, endedAt } = end.event;
  const recorded = seen.recorded[1]!.event;
  assert.equal(recorded.startedAt, startedAt + 60_000);
  assert.equal(recorded.endedAt, endedAt! + 60_000);
  assert.equal(recorded.timeUncertain, true);
  assert.equal(end.event.startedAt, startedAt, 'the event itself is unchanged');

  const next = eventChange();
  recorder.record(next);
  assert.equal(next.event.clock, 2, 'an event of the same id after the end starts in the current setting');
});

test('a step that is amended is recorded and published, and not logged again', async () => {
  const { recorder, log, seen } = bench();
  const change = eventChange();
  recorder.record(change);
  seen.shifts.set(1, 1000);
  recorder.amend({ type: 'update', event: { ...change.event, snapshot: null } });
  await settle();
  assert.equal(log.lines.length, 1);
  assert.equal(seen.recorded[1]!.event.snapshot, null);
  assert.equal(seen.recorded[1]!.event.startedAt, change.event.startedAt + 1000);
  assert.equal(seen.wakes, 2);
});

test('events that the last run left open end at their last detection, with one log line', async () => {
  const { event } = eventChange();
  const lastSeenAt = event.startedAt + 5000;
  const { recorder, log, seen } = bench({
    leftOpen: [
      { event, lastSeenAt },
      { event: { ...event, id: 'b' }, lastSeenAt },
    ],
  });
  await recorder.endLeftOpen();
  assert.deepEqual(
    seen.recorded.map(({ type, event: { endedAt } }) => [type, endedAt]),
    [
      ['end', lastSeenAt],
      ['end', lastSeenAt],
    ],
  );
  assert.deepEqual(
    log.lines.map(({ msg }) => msg),
    ['ended 2 events that the last run left open'],
  );
  await settle();
  assert.equal(seen.wakes, 2);
});

test('without events left open nothing is logged', async () => {
  const { recorder, log, seen } = bench();
  await recorder.endLeftOpen();
  assert.deepEqual([log.lines, seen.recorded], [[], []]);
});
