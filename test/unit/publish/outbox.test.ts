import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutboxDrain } from '../../../src/publish/outbox.ts';
import { type Message, TooLargeError } from '../../../src/publish/requests.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeLog } from '../../fakes/log.ts';
import { FakeOutbox } from '../../fakes/outbox.ts';
import { Seeded } from '../../support/random.ts';

/** The broker: what was sent, for the test to acknowledge, refuse or lose. */
class FakeBroker {
  sent: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
  /** Largest payload in bytes. */
  limit = Number.POSITIVE_INFINITY;

  excess = (message: Message): TooLargeError | null => {
    const bytes = Buffer.byteLength(message.payload);
    return bytes > this.limit ? new TooLargeError(message, bytes, this.limit) : null;
  };

  publish = (message: Message): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.sent.push({ text: String(message.payload), resolve, reject });
    return promise;
  };
}

function setUp() {
  const clock = new FakeClock();
  const log = new FakeLog();
  const outbox = new FakeOutbox();
  const broker = new FakeBroker();
  const drain = new OutboxDrain(outbox, broker, clock, log.logger);
  const add = (text: string) => {
    outbox.add({ topic: 't', payload: text, qos: 1, retain: false, live: false }, clock.monotonic());
    drain.wake();
  };
  return { clock, log, outbox, broker, drain, add };
}

/** Lets everything that is ready run. */
const settle = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('messages are sent in order, a few at a time, and the store learns which were acknowledged', async () => {
  const { outbox, broker, drain, add } = setUp();
  for (let i = 1; i <= 30; i++) add(`m${i}`);
  drain.connected();
  await settle();
  const window = broker.sent.length;
  assert.ok(window >= 2 && window < 20, `${window} messages in flight`);
  for (let i = 0; i < 30; i++) {
    broker.sent[i]!.resolve();
    await settle();
  }
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    Array.from({ length: 30 }, (_, i) => `m${i + 1}`),
  );
  assert.equal(outbox.reports.at(-1), 30);
  assert.deepEqual(outbox.rows, []);
  assert.equal(drain.counters.published, 30);
});

test('a message that was not acknowledged in a row is sent again after a lost connection', async () => {
  const { outbox, broker, drain, add } = setUp();
  for (const text of ['a', 'b', 'c', 'd']) add(text);
  drain.connected();
  await settle();
  broker.sent[0]!.resolve();
  broker.sent[2]!.resolve();
  await settle();
  assert.deepEqual(outbox.reports, [1], 'c is acknowledged, but b before it is not');
  drain.disconnected();
  broker.sent[1]!.reject(new Error('lost'));
  broker.sent[3]!.reject(new Error('lost'));
  await settle();
  broker.sent = [];
  drain.connected();
  await settle();
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    ['b', 'c', 'd'],
  );
});

test('only messages that were recorded before the connection are marked as replayed', async () => {
  const { clock, broker, drain, add } = setUp();
  add('{"id":"old","replayed":false}');
  clock.advance(1000);
  drain.connected();
  clock.jump(-3_600_000);
  add('{"id":"new","replayed":false}');
  await settle();
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    ['{"id":"old","replayed":true}', '{"id":"new","replayed":false}'],
  );
  for (const { resolve } of broker.sent) resolve();
  await settle();
  assert.deepEqual(drain.counters, { published: 2, replayed: 1 });
});

test('new messages wake the outbox, and it is idle in between', async () => {
  const { broker, drain, add } = setUp();
  drain.connected();
  await drain.idle();
  add('one');
  let idle = false;
  const waiting = drain.idle().then(() => {
    idle = true;
  });
  await settle();
  assert.equal(idle, false, 'not acknowledged yet');
  broker.sent[0]!.resolve();
  await waiting;
  add('two');
  await settle();
  assert.equal(broker.sent.length, 2);
});

test('nothing waits for a lost connection', async () => {
  const { drain, add } = setUp();
  await drain.idle();
  add('one');
  drain.connected();
  await settle();
  const waiting = drain.idle();
  drain.disconnected();
  await waiting;
});

test('a refused message is logged and retried alone until the broker accepts it', async () => {
  const { clock, log, broker, drain, add } = setUp();
  for (const text of ['a', 'b', 'c']) add(text);
  drain.connected();
  await settle();
  for (const { reject } of broker.sent) reject(new Error('Not authorized'));
  await settle();
  assert.equal(log.lines.length, 1);
  assert.match(log.lines[0]!.msg, /rejected an event on topic t: Not authorized; retrying in 10 s/);
  assert.equal(log.lines[0]!.code, 'MQTT_FORBIDDEN');
  broker.sent = [];
  clock.advance(9999);
  await settle();
  assert.equal(broker.sent.length, 0);
  clock.advance(1);
  await settle();
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    ['a'],
  );
  broker.sent[0]!.resolve();
  await settle();
  assert.deepEqual(
    broker.sent.map(({ text }) => text),
    ['a', 'b', 'c'],
  );
});

test('a message that is too large is made smaller or dropped in its place, without delaying others', async () => {
  const { outbox, broker, drain, add, log } = setUp();
  broker.limit = 60;
  const long = { scores: Array.from({ length: 20 }, () => 0.5) };
  add(JSON.stringify({ id: 'a', snapshot: 'x', reason: null }));
  add(JSON.stringify({ id: 'b', snapshot: 'x', reason: long }));
  add(JSON.stringify({ id: 'c', snapshot: 'x'.repeat(60), reason: long }));
  add('no JSON, and longer than sixty bytes, which cannot be helped at all');
  add(JSON.stringify({ id: 'd', snapshot: 'x', reason: null }));
  drain.connected();
  await settle();
  const texts = broker.sent.map(({ text }) => JSON.parse(text) as { id: string; snapshot: unknown });
  assert.deepEqual(
    texts.map(({ id, snapshot }) => [id, snapshot]),
    [
      ['a', 'x'],
      ['b', 'x'],
      ['c', null],
      ['d', 'x'],
    ],
  );
  for (const { resolve } of broker.sent) resolve();
  await settle();
  assert.deepEqual(outbox.rows, []);
  assert.equal(outbox.undeliverable, 1);
  assert.equal(drain.counters.published, 4);
  assert.equal(log.withCode('MQTT_LIMITED').length, 2, 'each logged once');
});

test('a message whose size the broker refuses later is made smaller immediately, and the rest follows', async () => {
  const { outbox, broker, drain, add } = setUp();
  const text = JSON.stringify({ id: 'a', snapshot: null, reason: 'x'.repeat(80) });
  add(text);
  add(JSON.stringify({ id: 'b' }));
  drain.connected();
  await settle();
  broker.limit = 60;
  const message = { topic: 't', payload: text, qos: 1, retain: false } as const;
  broker.sent.shift()!.reject(new TooLargeError(message, text.length, 60));
  await settle();
  const again = () => broker.sent.slice(1).map(({ text }) => (JSON.parse(text) as { id: string }).id);
  assert.deepEqual(again(), ['a'], 'one at a time until one is accepted');
  broker.sent[1]!.resolve();
  await settle();
  assert.deepEqual(again(), ['a', 'b']);
  for (const { resolve } of broker.sent) resolve();
  await settle();
  assert.deepEqual(outbox.rows, []);
});

test('a message that the broker refuses permanently does not delay the others', async () => {
  const { outbox, broker, drain, add } = setUp();
  for (const id of ['a', 'b']) add(JSON.stringify({ id }));
  drain.connected();
  await settle();
  broker.sent[0]!.reject(Object.assign(new Error('Publish error: Payload format invalid'), { code: 153 }));
  broker.sent[1]!.resolve();
  await settle();
  assert.deepEqual(outbox.rows, []);
  assert.equal(outbox.undeliverable, 1);
});

test('reading the outbox is retried', async () => {
  const { clock, log, outbox, broker, drain, add } = setUp();
  const read = outbox.outbox.bind(outbox);
  outbox.outbox = () => Promise.reject(new Error('disk gone'));
  add('a');
  drain.connected();
  await settle();
  assert.match(log.lines[0]!.msg, /cannot read the outbox: disk gone/);
  outbox.outbox = read;
  clock.advance(10_000);
  await settle();
  assert.equal(broker.sent.length, 1);
});

test('the outbox is polled, in case the store looked empty because it was unreadable', async () => {
  const { clock, outbox, broker, drain } = setUp();
  drain.connected();
  await drain.idle();
  outbox.add({ topic: 't', payload: 'a', qos: 1, retain: false, live: false }, clock.monotonic());
  await settle();
  assert.equal(broker.sent.length, 0);
  clock.advance(60_000);
  await settle();
  assert.equal(broker.sent.length, 1);
});

test('whatever is lost and whenever, every message arrives, and first deliveries are in order', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Seeded(seed);
    const { outbox, broker, drain, add } = setUp();
    const arrived: string[] = [];
    let added = 0;
    let acknowledgedInRow = 0;
    drain.connected();
    for (let round = 0; round < 60; round++) {
      for (let i = random.int(0, 6); i > 0; i--) add(`m${++added}`);
      await settle();
      // The broker reads what was sent in order and answers some of it, perhaps out of order.
      const read = broker.sent.splice(0, random.int(0, broker.sent.length));
      arrived.push(...read.map(({ text }) => text));
      const answers = read.filter(() => random.chance(0.9)).sort(() => random.next() - 0.5);
      const cut = random.chance(0.3) || answers.length < read.length;
      for (const { resolve } of answers) resolve();
      await settle();
      const reported = outbox.reports.at(-1) ?? 0;
      assert.ok(reported >= acknowledgedInRow && new Set(arrived).size >= reported, `seed ${seed}`);
      acknowledgedInRow = reported;
      if (cut) {
        drain.disconnected();
        const unanswered = read.filter((one) => !answers.includes(one));
        for (const { reject } of [...unanswered, ...broker.sent]) reject(new Error('lost'));
        broker.sent = [];
        await settle();
        drain.connected();
      }
    }
    while (outbox.rows.length > 0) {
      await settle();
      for (const { text, resolve } of broker.sent.splice(0)) {
        arrived.push(text);
        resolve();
      }
    }
    const expected = Array.from({ length: added }, (_, i) => `m${i + 1}`);
    assert.deepEqual([...new Set(arrived)], expected, `seed ${seed}`);
  }
});
