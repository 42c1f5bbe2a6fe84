import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { FlakyProxy } from '../fakes/flaky-proxy.ts';
import { busyCamera, readEvents } from '../support/log.ts';
import { times } from '../support/requires.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions, rssMb, timeMachine } from './lab.ts';

const DAY = 86_400_000;
/** A real second is an hour. */
const SPEED = 3600;
const MAX_MB = 1;
/** Labels that each make an event a second. */
const LABELS = Array.from({ length: 30 }, (_, n) => `person-${n}`);

/** Bytes of the messages that wait for the broker. */
function waiting(file: string): number {
  const db = new Database(file, { readonly: true });
  try {
    return Number(db.prepare('SELECT coalesce(sum(bytes), 0) FROM outbox').pluck().get());
  } finally {
    db.close();
  }
}

/**
 * Keeps the broker away for so many real seconds, each of which is an hour.
 * @param keepDays after which what waits is dropped
 */
async function goThrough(times: number, seconds: number, keepDays: number): Promise<Outcome> {
  let proxy!: FlakyProxy;
  const { camera, labels } = busyCamera(1, LABELS);
  const options: LabOptions = {
    settings: {
      cameras: { door: camera },
      labels,
      groups: Object.fromEntries(LABELS.map((name) => [name, ['person']])),
      store: { keep_outbox: keepDays, max_outbox_size: MAX_MB },
    },
    files: { time: JSON.stringify({ speed: SPEED }) },
    env: timeMachine,
    url: () => `mqtt://127.0.0.1:${proxy.port}`,
  };
  const work = async (lab: Lab): Promise<Outcome> => {
    const recovery: number[] = [];
    await lab.start();
    await until('memory to settle', () => lab.told().length > 24 * LABELS.length, 60_000);
    const before = rssMb(lab.daemon.child.pid!);
    let growth = 0;
    for (let outage = 0; outage < times; outage++) {
      await proxy.set('refuse');
      for (let second = 0; second < seconds; second++) {
        await delay(1000);
        const bytes = waiting(lab.database);
        assert.ok(bytes <= MAX_MB * 1e6, `${bytes} bytes wait`);
      }
      growth = Math.max(growth, rssMb(lab.daemon.child.pid!) - before);
      await proxy.set('forward');
      const began = performance.now();
      const since = lab.recorder.messages.length;
      await until(
        'an empty outbox',
        () => (lab.health(since)?.outbox_depth ?? Number.POSITIVE_INFINITY) < 5 * LABELS.length,
        60_000,
      );
      recovery.push(performance.now() - began);
    }
    const { outbox_dropped } = await lab.healthy('dropped messages', (health) => health.outbox_dropped > 0);
    assert.equal((await lab.daemon.stop()).code, 0);
    const told = new Set(lab.told().map(({ id, type }) => `${type} ${id}`));
    const steps = readEvents(lab.database).flatMap(({ id }) => [`start ${id}`, `end ${id}`]);
    const missing = steps.filter((step) => !told.has(step)).length;
    assert.ok(missing > 0, 'the outage was long enough for messages to be dropped');
    assert.ok(growth < 32, `memory grew by ${growth} MB`);
    const days = (times * seconds * SPEED * 1000) / DAY;
    return {
      ...{ injected: times, lost: Math.max(0, missing - outbox_dropped), duplicated: 0, recovery },
      notes: `${days.toFixed(1)} days; of ${steps.length} messages ${missing} not published, ${outbox_dropped} counted as dropped`,
    };
  };
  return inLab(options, work, async (broker) => {
    proxy = await FlakyProxy.start(broker.port);
  }).finally(() => proxy.stop());
}

export const faults = [
  define({
    name: 'broker-away-for-days',
    promise: 'while the broker is away for days what is too old is dropped, counted and published',
    times: { full: 3, fast: times(0, 1) },
    inject: (times, fast) => goThrough(times, fast ? 12 : 72, 0.25),
  }),
  define({
    name: 'outbox-full',
    promise:
      'while the broker is away what waits keeps its bound in bytes, and what is dropped is counted and published',
    times: { full: 2, fast: 0 },
    inject: (times, fast) => goThrough(times, fast ? 40 : 96, 100),
  }),
];
