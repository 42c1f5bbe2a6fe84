import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Message, TooLargeError } from '../../../src/publish/requests.ts';
import { RetainedState } from '../../../src/publish/retained-state.ts';
import { FakeLog } from '../../fakes/log.ts';

function setUp() {
  const sent: { topic: string; text: string; resolve: () => void; reject: (error: Error) => void }[] = [];
  const log = new FakeLog();
  const live = new RetainedState((message: Message) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    sent.push({ topic: message.topic, text: String(message.payload), resolve, reject });
    return promise;
  }, log.logger);
  const set = (topic: string, payload: string) => live.set({ topic, payload, qos: 1, retain: true });
  const texts = () => sent.map(({ topic, text }) => `${topic}=${text}`);
  return { sent, log, live, set, texts };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('nothing is sent while there is no connection, and only the latest value afterwards', () => {
  const { live, set, texts } = setUp();
  set('a', 'ON');
  set('b', '1');
  set('a', 'OFF');
  assert.deepEqual(texts(), []);
  live.connected();
  assert.deepEqual(texts(), ['a=OFF', 'b=1']);
});

test('a topic is cleared once, and published again when it comes back', async () => {
  const { sent, live, set, texts } = setUp();
  live.connected();
  set('a', 'ON');
  set('a', '');
  sent[0]!.resolve();
  await settle();
  sent[1]!.resolve();
  await live.idle();
  live.disconnected();
  live.connected();
  set('a', 'ON');
  assert.deepEqual(texts(), ['a=ON', 'a=', 'a=ON']);
});

test('everything is published again with each connection', async () => {
  const { sent, live, set, texts } = setUp();
  set('a', 'ON');
  live.connected();
  sent[0]!.resolve();
  await live.idle();
  live.disconnected();
  set('a', 'OFF');
  set('a', 'ON');
  live.connected();
  assert.deepEqual(texts(), ['a=ON', 'a=ON']);
});

test('a topic has one message in flight; the latest value follows, without the values in between', async () => {
  const { sent, live, set, texts } = setUp();
  live.connected();
  set('a', '1');
  set('a', '2');
  set('a', '3');
  assert.deepEqual(texts(), ['a=1']);
  sent[0]!.resolve();
  await settle();
  assert.deepEqual(texts(), ['a=1', 'a=3']);
});

test('an unchanged value is not published again, unless requested', async () => {
  const { sent, live, set, texts } = setUp();
  live.connected();
  set('a', '1');
  sent[0]!.resolve();
  await settle();
  set('a', '1');
  assert.equal(sent.length, 1);
  live.republish('a');
  live.republish('never set');
  assert.deepEqual(texts(), ['a=1', 'a=1']);
});

test('snapshots with the same bytes are published each time', async () => {
  const { sent, live } = setUp();
  live.connected();
  const picture = Buffer.from([1, 2, 3]);
  live.set({ topic: 'p', payload: picture, qos: 0, retain: true });
  sent[0]!.resolve();
  await settle();
  live.set({ topic: 'p', payload: picture, qos: 0, retain: true });
  assert.equal(sent.length, 2);
});

test('many topics are published a few at a time', async () => {
  const { sent, live, set } = setUp();
  for (let i = 0; i < 50; i++) set(`t${i}`, 'x');
  live.connected();
  const atOnce = sent.length;
  assert.ok(atOnce < 10);
  for (let i = 0; i < 50; i++) {
    sent[i]!.resolve();
    await settle();
    assert.ok(sent.length - i - 1 <= atOnce);
  }
  assert.equal(new Set(sent.map(({ topic }) => topic)).size, 50);
  await live.idle();
});

test('a message that the broker refuses is logged and does not delay the others', async () => {
  const { sent, log, live, set } = setUp();
  live.connected();
  for (const topic of ['a', 'b', 'c', 'd', 'e', 'f']) set(topic, 'x');
  sent[0]!.reject(new Error('Not authorized'));
  await settle();
  assert.match(log.lines[0]!.msg, /rejected a message on topic a: Not authorized/);
  for (let i = 1; i < 6; i++) {
    sent[i]!.resolve();
    await settle();
  }
  await live.idle();
  assert.equal(sent.length, 6);
});

test('answers on a lost connection change nothing', async () => {
  const { sent, log, live, set } = setUp();
  live.connected();
  set('a', '1');
  live.disconnected();
  await live.idle();
  sent[0]!.reject(new Error('lost'));
  await settle();
  assert.deepEqual(log.lines, []);
});

test('a snapshot that is too large is published smaller, and one that cannot shrink is logged once', async () => {
  const { sent, log, live, set } = setUp();
  live.connected();
  const smaller = async (bytes: number) => Buffer.alloc(bytes, 'y');
  const picture = { topic: 'p', payload: Buffer.alloc(90, 'x'), qos: 0, retain: true, smaller } as const;
  for (let round = 0; round < 2; round++) {
    live.set(picture);
    sent.at(-1)!.reject(new TooLargeError(picture, 100, 50));
    await settle();
    assert.equal(sent.at(-1)!.text, 'y'.repeat(40));
    sent.at(-1)!.resolve();
    await settle();
  }
  assert.equal(
    log.lines.filter(({ msg }) => /published smaller: 100 bytes reduced to 40/.test(msg)).length,
    1,
  );
  const large = { topic: 'd', payload: 'x'.repeat(90), qos: 1, retain: true } as const;
  set('d', large.payload);
  sent.at(-1)!.reject(new TooLargeError(large, 100, 50));
  await settle();
  assert.match(
    log.lines.at(-1)!.msg,
    /rejected a message on topic d: 100 bytes are more than the broker accepts \(50\)/,
  );
  await live.idle();
});
