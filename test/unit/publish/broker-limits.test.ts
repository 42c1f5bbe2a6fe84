import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BrokerLimits } from '../../../src/publish/broker-limits.ts';
import type { Message, Request } from '../../../src/publish/requests.ts';

const DAY = 86_400_000;
const STATUS = 'lookout/garden/status';

function request(topic: string, bytes: number, { qos, retain }: { qos: 0 | 1; retain: boolean }): Request {
  const message: Message = { topic, payload: 'x'.repeat(Math.max(0, bytes - 50)), qos: 1, retain: true };
  return { topic, bytes, qos, retain, message };
}

/** A message with the flags that the limits allow now. */
const sent = (
  limits: BrokerLimits,
  topic: string,
  bytes: number,
  wanted: Pick<Message, 'qos' | 'retain'>,
) => {
  const message: Message = { topic, payload: 'x'.repeat(bytes), ...wanted };
  return { topic, bytes, message, ...limits.delivery(message) };
};
const state = { qos: 1, retain: true } as const;
const event = { qos: 1, retain: false } as const;

const cut = (limits: BrokerLimits, open: Request[], now = 0, answered = 1) =>
  limits.ended({ reason: null, up: true, open, answered }, 4, now);

/** An MQTT 3.1.1 broker that accepts this and closes the connection at anything else. Returns after how many sessions. */
function untilTaken(limits: BrokerLimits, takes: (request: Request) => boolean): number {
  for (let sessions = 1; sessions < 20; sessions++) {
    const first = sent(limits, STATUS, 40, state);
    if (takes(first)) {
      limits.accepted(first);
      return sessions;
    }
    cut(limits, [first], 0, 0);
  }
  return Number.POSITIVE_INFINITY;
}

test('an MQTT 3.1.1 broker that closes the connection at a flag gets messages without it', () => {
  for (const [takes, retains, qos, sessions] of [
    [() => true, true, 1, 1],
    [({ retain }: Request) => !retain, false, 1, 3],
    [(one: Request) => one.qos === 0, true, 0, 4],
    [(one: Request) => one.qos === 0 && !one.retain, false, 0, 5],
  ] as const) {
    const limits = new BrokerLimits();
    assert.equal(untilTaken(limits, takes), sessions);
    assert.deepEqual([limits.retains, limits.qos], [retains, qos]);
  }
});

test('a broker that accepts nothing at all keeps getting all flags, as its access rules may be corrected', () => {
  const limits = new BrokerLimits();
  assert.equal(
    untilTaken(limits, () => false),
    Number.POSITIVE_INFINITY,
  );
  assert.deepEqual([limits.retains, limits.qos], [true, 1]);
});

test('a single connection that ends for another reason proves nothing', () => {
  const limits = new BrokerLimits();
  assert.deepEqual(cut(limits, [sent(limits, STATUS, 40, state)], 0, 0), { text: null, retryNow: false });
  limits.accepted(sent(limits, STATUS, 40, state));
  assert.deepEqual(cut(limits, []), { text: null, retryNow: false });
  assert.equal(cut(limits, [sent(limits, 'a', 90_000, state)]).retryNow, false);
  // The next time another message is in flight.
  assert.equal(cut(limits, [sent(limits, 'b', 80_000, state)]).retryNow, false);
  assert.equal(cut(limits, [sent(limits, 'a', 90_000, state)]).retryNow, false);
  assert.deepEqual([limits.retains, limits.qos, limits.largest], [true, 1, Number.POSITIVE_INFINITY]);
});

test('a size is too large if nothing else can have ended the connection twice in a row', () => {
  const limits = new BrokerLimits();
  const small = sent(limits, STATUS, 400, state);
  limits.accepted(small);
  const large = sent(limits, 'picture', 80_000, state);
  assert.equal(cut(limits, [small, large]).retryNow, false);
  const conclusion = cut(limits, [large]);
  assert.deepEqual([conclusion.retryNow, limits.largest], [true, 79_999]);
  assert.match(conclusion.text!, /80000 bytes on picture, which is too large/);
  // A message that can shrink keeps a distance; one that cannot is tried.
  const smaller = async () => null;
  assert.equal(limits.excess({ ...large.message!, smaller }, 50_000)!.limit, 40_000);
  assert.equal(limits.excess(large.message!, 50_000), null);
  assert.equal(limits.excess(large.message!, 80_000)!.limit, 79_999);
});

test('an event is never given up if something as large was accepted, and else only after three cases', () => {
  const limits = new BrokerLimits();
  limits.accepted(sent(limits, STATUS, 400, state));
  const small = sent(limits, 'event', 300, event);
  for (let i = 0; i < 10; i++) assert.equal(cut(limits, [small]).retryNow, false);
  assert.equal(limits.isBanned('event'), false);
  const large = sent(limits, 'event', 700, event);
  cut(limits, []);
  const conclusions = [1, 2, 3].map(() => cut(limits, [large]).retryNow);
  assert.ok(conclusions.includes(true) && !conclusions[0]);
  assert.equal(limits.largest, 699);
});

test('a topic at which the connection ends repeatedly is given up, except for events', () => {
  const limits = new BrokerLimits();
  limits.accepted(sent(limits, STATUS, 400, state));
  const odd = sent(limits, 'odd', 20, state);
  cut(limits, [odd]);
  assert.ok(cut(limits, [odd]).retryNow);
  assert.ok(limits.isBanned('odd'));
  const subscription = { topic: 'a/+', bytes: 0, message: null, qos: 1, retain: false } as const;
  cut(limits, [subscription]);
  assert.ok(cut(limits, [subscription]).retryNow);
  assert.ok(limits.isDenied('a/+'));
});

test('everything learnt is tried again after a day', () => {
  const limits = new BrokerLimits();
  limits.accepted(sent(limits, STATUS, 400, state));
  const large = sent(limits, 'picture', 80_000, state);
  cut(limits, [large], 1000);
  cut(limits, [large], 1000);
  limits.connecting(DAY);
  assert.equal(limits.largest, 79_999);
  limits.connecting(DAY + 1000);
  assert.equal(limits.largest, Number.POSITIVE_INFINITY);
});

test('an MQTT 5 broker is believed, and what it refuses with a code is left out immediately', () => {
  const limits = new BrokerLimits();
  limits.announced(5, { maximumQoS: 0, retainAvailable: false, maximumPacketSize: 999, receiveMaximum: 3 });
  assert.deepEqual([limits.qos, limits.retains, limits.largest, limits.window], [0, false, 999, 3]);
  limits.announced(5, {});
  assert.deepEqual([limits.qos, limits.retains, limits.largest], [1, true, Number.POSITIVE_INFINITY]);
  const refuse = (code: number, open: Request[] = [], up = false) =>
    limits.ended({ reason: Object.assign(new Error('x'), { code }), up, open, answered: 0 }, 5, 0).retryNow;
  assert.ok(refuse(154));
  assert.ok(refuse(155));
  assert.deepEqual(limits.will, { qos: 0, retain: false });
  // A broker that refuses what it announced is not asked repeatedly.
  limits.announced(5, {});
  assert.ok(!refuse(154) && !refuse(155));
  assert.ok(refuse(149, [request('a', 5000, state), request('b', 50, state)], true));
  assert.equal(limits.largest, 4999);
  assert.ok(refuse(147, [], true));
  assert.equal(limits.window, 8);
});

test('a last will that ends the connection loses its flags immediately, at every other attempt while nothing is known', () => {
  const limits = new BrokerLimits();
  const early = () => limits.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  assert.deepEqual([1, 2, 3, 4].map(early), [
    { text: null, retryNow: true },
    { text: null, retryNow: false },
    { text: null, retryNow: true },
    { text: null, retryNow: false },
  ]);
  const wills = [1, 2, 3, 4].map(() => {
    early();
    return limits.will.retain;
  });
  assert.deepEqual(wills, [false, true, false, true]);
  // The broker was only offline: its last will is complete again after one more connection.
  early();
  limits.announced(4);
  assert.equal(limits.needsRenewal(), false);
  limits.accepted(sent(limits, STATUS, 40, state));
  assert.equal(limits.needsRenewal(), true);
  assert.equal(limits.needsRenewal(), false);
  assert.equal(limits.will.retain, true);
  limits.announced(4);
  assert.equal(early().retryNow, false);
  assert.equal(limits.will.retain, true, 'it has worked');
});

test('a last will that was refused counts against the flags of the first message', () => {
  const limits = new BrokerLimits();
  limits.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  limits.announced(4);
  const conclusion = cut(limits, [sent(limits, STATUS, 40, state)], 0, 0);
  assert.deepEqual([conclusion.retryNow, limits.retains, limits.qos], [true, false, 1]);
  assert.match(conclusion.text!, /trying without the retain flag/);
});

test('an MQTT 5 broker gives reasons, so its last will stays unchanged', () => {
  const limits = new BrokerLimits();
  const conclusion = limits.ended({ reason: null, up: false, open: [], answered: 0 }, 5, 0);
  assert.deepEqual([conclusion, limits.will.retain], [{ text: null, retryNow: false }, true]);
});

test('a last will that is refused although messages are retained stays without flags', () => {
  const limits = new BrokerLimits();
  const early = () => limits.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  early();
  limits.announced(4);
  limits.accepted(sent(limits, STATUS, 40, state));
  assert.ok(limits.needsRenewal());
  for (let i = 0; i < 5; i++) {
    assert.equal(early().retryNow, false);
    assert.equal(limits.will.retain, false);
  }
});
