import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FlakyProxy } from '../fakes/flaky-proxy.ts';
import { type EventMessage, readEvents } from '../support/log.ts';
import { until } from '../support/until.ts';
import { define, type Outcome } from './fault.ts';
import { inLab, type Lab, type LabOptions, rssMb, TOPIC } from './lab.ts';

/** Memory in MB by which a daemon may grow while nobody takes what it has to say. */
const MOST_GROWTH = 24;

interface Outage {
  times: number;
  lab?: LabOptions;
  /** Milliseconds that the fault lasts. */
  lasts: number;
  begin: (lab: Lab, proxy: FlakyProxy) => Promise<void>;
  end: (lab: Lab, proxy: FlakyProxy) => Promise<void>;
  /** Holds what the daemon did meanwhile against what was promised. */
  check?: (lab: Lab, since: number) => void;
  /** The line stays up, only slower. */
  connected?: boolean;
}

/** Goes through outages of one kind, with a daemon that reaches its broker through a proxy. */
async function goThrough({
  times,
  lab: options,
  lasts,
  begin,
  end,
  check,
  connected,
}: Outage): Promise<Outcome> {
  let proxy: FlakyProxy | undefined;
  return inLab(
    { ...options, url: () => `mqtt://127.0.0.1:${proxyPort()}` },
    async (lab) => {
      const recovery: number[] = [];
      let growth = 0;
      await lab.start();
      await until('some events', () => lab.told().length > 6);
      for (let outage = 0; outage < times; outage++) {
        const logged = lab.daemon.log.length;
        const before = rssMb(lab.daemon.child.pid!);
        await begin(lab, proxy!);
        await delay(lasts);
        growth = Math.max(growth, rssMb(lab.daemon.child.pid!) - before);
        lab.observe();
        check?.(lab, logged);
        const arrived = lab.recorder.messages.length;
        const ended = performance.now();
        await end(lab, proxy!);
        await catchUp(lab, lasts);
        recovery.push(performance.now() - ended);
        if (!connected) nothingStale(lab, arrived, recovery.at(-1)!);
      }
      lab.observe();
      assert.equal((await lab.daemon.stop()).code, 0);
      const { lost, duplicated, events } = await lab.balance();
      assert.ok(growth < MOST_GROWTH, `grew by ${growth} MB in the outage`);
      const notes = `${events} events, memory ${growth >= 0 ? '+' : ''}${growth.toFixed(0)} MB`;
      return { injected: times, lost, duplicated, recovery, notes };
    },
    async (broker) => {
      proxy = await FlakyProxy.start(broker.port);
    },
  ).finally(() => proxy?.stop());

  function proxyPort(): number {
    return proxy!.port;
  }
}

/** Resolves when everything that is committed now was told. */
async function catchUp(lab: Lab, lasted: number): Promise<void> {
  const ended = readEvents(lab.database).filter(({ ended_at }) => ended_at !== null);
  await until(
    'the events of the outage to be told',
    () => {
      const told = new Set(lab.told().map(({ type, id }) => `${type} ${id}`));
      return ended.every(({ id }) => told.has(`end ${id}`));
    },
    60_000 + lasted,
  );
}

/** States and pictures that come after an outage are those of now: one of each, and the newest picture. */
function nothingStale(lab: Lab, since: number, took: number): void {
  const after = lab.recorder.messages.slice(since).filter(({ retained }) => !retained);
  const payloads = (topic: string) =>
    after.filter((message) => message.topic === topic).map(({ payload }) => payload);
  const events = payloads(`${TOPIC}/door/event`).map(
    (payload) => JSON.parse(payload.toString()) as EventMessage,
  );
  const live = events.filter(({ replayed }) => !replayed).length;

  const ids = readEvents(lab.database).map(({ id }) => id);
  const newest = Math.max(...events.filter(({ replayed }) => replayed).map(({ id }) => ids.indexOf(id)));
  const pictures = new Map<string, number>();
  for (const [at, { snapshot }] of readEvents(lab.database).entries()) {
    const file = join(lab.folder, 'data', 'snapshots', String(snapshot));
    if (existsSync(file)) pictures.set(digest(readFileSync(file)), at);
  }
  const [first] = payloads(`${TOPIC}/door/snapshot`);
  if (first) {
    // The picture of an event's end replaces that of its start on the disk: then it is none that is known.
    const shown = pictures.get(digest(first)) ?? newest;
    // Three events begin at a time. The pictures of the newest three may not be written yet.
    assert.ok(shown > newest - 6, `the first picture is that of event ${shown}, the newest was ${newest}`);
  }
  const changes = payloads(`${TOPIC}/door/person`).length;
  // While old events are told, new ones change the label: each lasts a second.
  const most = live + 4 + (3 * took) / 1000;
  assert.ok(changes <= most, `${changes} changes of a label, but only ${live} live messages`);
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Waits between attempts grow to half a minute, and none is a round number. */
function backsOff(lab: Lab, since: number): void {
  const waits = lab.daemon.log.slice(since).flatMap(({ msg, time }) => {
    return /; retrying in \d+ s$/.test(msg) ? [Date.parse(String(time))] : [];
  });
  const gaps = waits.slice(1).map((time, i) => time - waits[i]!);
  assert.ok(waits.length > 0, 'the log says that it will try again');
  for (const [i, gap] of gaps.entries()) {
    const least = Math.min(1000 * 2 ** i, 30_000);
    assert.ok(gap >= least * 0.99 && gap <= least * 1.25 + 12_000, `gap ${i} was ${gap} ms`);
  }
  if (gaps.length > 8)
    assert.ok(new Set(gaps.slice(-4).map((gap) => Math.round(gap / 100))).size > 1, 'jitter');
}

export const faults = [
  define({
    name: 'broker-down',
    promise:
      'a broker that is down for long costs no event, no memory and no order, and nothing stale is told afterwards',
    times: { full: 1, fast: 1 },
    inject: (times, fast) =>
      goThrough({
        times,
        lasts: fast ? 6000 : 600_000,
        begin: async (lab, proxy) => {
          await proxy.set('refuse');
          await lab.broker.stop();
        },
        end: async (lab, proxy) => {
          await lab.broker.start();
          await until('the subscriber to be back', () => lab.recorder.connected);
          await proxy.set('forward');
        },
        check: backsOff,
      }),
  }),
  define({
    name: 'broker-forgets',
    promise: 'a broker that comes back with nothing of its state is told everything again',
    times: { full: 20, fast: 1 },
    inject: (times) =>
      goThrough({
        times,
        lasts: 2000,
        begin: async (lab, proxy) => {
          await proxy.set('refuse');
          await lab.broker.stop('SIGKILL');
        },
        end: async (lab, proxy) => {
          await lab.broker.start();
          await until('the subscriber to be back', () => lab.recorder.connected);
          const since = lab.recorder.messages.length;
          await proxy.set('forward');
          const states = ['status', 'info', 'door/status', 'door/enabled', 'door/threshold', 'door/person'];
          await until(
            'every state to be told again',
            () => {
              const topics = new Set(lab.recorder.messages.slice(since).map(({ topic }) => topic));
              return states.every((state) => topics.has(`${TOPIC}/${state}`));
            },
            60_000,
          );
        },
      }),
  }),
  define({
    name: 'broker-slow',
    promise: 'a broker behind a slow line gets everything in order, and nothing piles up in memory',
    times: { full: 5, fast: 0 },
    inject: (times, fast) =>
      goThrough({
        times,
        lasts: fast ? 5000 : 60_000,
        begin: (_, proxy) => proxy.set({ bytesPerSecond: 4000 }),
        end: (_, proxy) => proxy.set('forward'),
        connected: true,
      }),
  }),
  define({
    name: 'broker-refuses',
    promise: 'a broker that refuses the password is asked again, and the right one counts without a restart',
    times: { full: 10, fast: 1 },
    inject: async (times) => {
      const users = { recorder: 'r', dut: 'right' };
      let round = 0;
      return goThrough({
        times,
        lasts: 1000,
        lab: {
          broker: { users },
          files: { password: 'right' },
          mqtt: { username: 'dut', password_file: 'password' },
        },
        begin: async (lab, proxy) => {
          await proxy.set('refuse');
          await lab.broker.stop();
          lab.broker.setUsers({ ...users, dut: `right${++round}` });
          await lab.broker.start();
          await until('the subscriber to be back', () => lab.recorder.connected);
          const since = lab.daemon.log.length;
          await proxy.set('forward');
          const refused = () => lab.daemon.log.slice(since).some(({ code }) => code === 'MQTT_REFUSED');
          await until('the refusal', refused, 60_000);
        },
        end: async (lab) => writeFileSync(join(lab.folder, 'password'), `right${round}`),
      });
    },
  }),
  define({
    name: 'broker-half-open',
    promise:
      'a network that swallows everything without a word is noticed by the keepalive, and costs nothing',
    times: { full: 10, fast: 1 },
    inject: (times, fast) =>
      goThrough({
        times,
        lasts: fast ? 9000 : 20_000,
        begin: (_, proxy) => proxy.set('hold'),
        end: (_, proxy) => proxy.set('forward'),
        check: (lab, since) => {
          const noticed = lab.daemon.log.slice(since).filter(({ code }) => code === 'MQTT_UNREACHABLE');
          assert.ok(noticed.length > 0, 'the log says that the broker is not there');
        },
      }),
  }),
];
