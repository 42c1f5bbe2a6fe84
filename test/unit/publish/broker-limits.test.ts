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

/** A message as the terms have it sent just now. */
const sent = (terms: BrokerLimits, topic: string, bytes: number, wanted: Pick<Message, 'qos' | 'retain'>) => {
  const message: Message = { topic, payload: 'x'.repeat(bytes), ...wanted };
  return { topic, bytes, message, ...terms.manner(message) };
};
const state = { qos: 1, retain: true } as const;
const event = { qos: 1, retain: false } as const;

const cut = (terms: BrokerLimits, open: Request[], now = 0, answered = 1) =>
  terms.ended({ reason: null, up: true, open, answered }, 4, now);

/** A broker of MQTT 3.1.1 that takes this and ends the connection at anything else. Returns after how many sessions. */
function untilTaken(terms: BrokerLimits, takes: (request: Request) => boolean): number {
  for (let sessions = 1; sessions < 20; sessions++) {
    const first = sent(terms, STATUS, 40, state);
    if (takes(first)) {
      terms.taken(first);
      return sessions;
    }
    cut(terms, [first], 0, 0);
  }
  return Number.POSITIVE_INFINITY;
}

test('a broker of MQTT 3.1.1 that ends the connection at a flag gets messages without it', () => {
  for (const [takes, retains, qos, sessions] of [
    [() => true, true, 1, 1],
    [({ retain }: Request) => !retain, false, 1, 3],
    [(one: Request) => one.qos === 0, true, 0, 4],
    [(one: Request) => one.qos === 0 && !one.retain, false, 0, 5],
  ] as const) {
    const terms = new BrokerLimits();
    assert.equal(untilTaken(terms, takes), sessions);
    assert.deepEqual([terms.retains, terms.qos], [retains, qos]);
  }
});

test('one that takes nothing at all is left with all flags, for its access rules may be corrected', () => {
  const terms = new BrokerLimits();
  assert.equal(
    untilTaken(terms, () => false),
    Number.POSITIVE_INFINITY,
  );
  assert.deepEqual([terms.retains, terms.qos], [true, 1]);
});

test('one connection that ends for another reason teaches nothing', () => {
  const terms = new BrokerLimits();
  assert.deepEqual(cut(terms, [sent(terms, STATUS, 40, state)], 0, 0), { text: null, again: false });
  terms.taken(sent(terms, STATUS, 40, state));
  assert.deepEqual(cut(terms, []), { text: null, again: false });
  assert.equal(cut(terms, [sent(terms, 'a', 90_000, state)]).again, false);
  // The next time it is another one that is on its way.
  assert.equal(cut(terms, [sent(terms, 'b', 80_000, state)]).again, false);
  assert.equal(cut(terms, [sent(terms, 'a', 90_000, state)]).again, false);
  assert.deepEqual([terms.retains, terms.qos, terms.largest], [true, 1, Number.POSITIVE_INFINITY]);
});

test('a size is too large when twice in a row nothing else can have ended the connection', () => {
  const terms = new BrokerLimits();
  const small = sent(terms, STATUS, 400, state);
  terms.taken(small);
  const large = sent(terms, 'picture', 80_000, state);
  assert.equal(cut(terms, [small, large]).again, false);
  const lesson = cut(terms, [large]);
  assert.deepEqual([lesson.again, terms.largest], [true, 79_999]);
  assert.match(lesson.text!, /80000 bytes for picture, which are too large/);
  // What can be made smaller keeps its distance; what cannot tries its luck.
  const smaller = async () => null;
  assert.equal(terms.excess({ ...large.message!, smaller }, 50_000)!.limit, 40_000);
  assert.equal(terms.excess(large.message!, 50_000), null);
  assert.equal(terms.excess(large.message!, 80_000)!.limit, 79_999);
});

test('an event is never given up where something as large was taken, and needs three cases where not', () => {
  const terms = new BrokerLimits();
  terms.taken(sent(terms, STATUS, 400, state));
  const small = sent(terms, 'event', 300, event);
  for (let i = 0; i < 10; i++) assert.equal(cut(terms, [small]).again, false);
  assert.equal(terms.isBanned('event'), false);
  const large = sent(terms, 'event', 700, event);
  cut(terms, []);
  const lessons = [1, 2, 3].map(() => cut(terms, [large]).again);
  assert.ok(lessons.includes(true) && !lessons[0]);
  assert.equal(terms.largest, 699);
});

test('a topic at which the connection ends again and again is given up, but for events', () => {
  const terms = new BrokerLimits();
  terms.taken(sent(terms, STATUS, 400, state));
  const odd = sent(terms, 'odd', 20, state);
  cut(terms, [odd]);
  assert.ok(cut(terms, [odd]).again);
  assert.ok(terms.isBanned('odd'));
  const subscription = { topic: 'a/+', bytes: 0, message: null, qos: 1, retain: false } as const;
  cut(terms, [subscription]);
  assert.ok(cut(terms, [subscription]).again);
  assert.ok(terms.isDenied('a/+'));
});

test('what was learnt is tried anew after a day', () => {
  const terms = new BrokerLimits();
  terms.taken(sent(terms, STATUS, 400, state));
  const large = sent(terms, 'picture', 80_000, state);
  cut(terms, [large], 1000);
  cut(terms, [large], 1000);
  terms.connecting(DAY);
  assert.equal(terms.largest, 79_999);
  terms.connecting(DAY + 1000);
  assert.equal(terms.largest, Number.POSITIVE_INFINITY);
});

test('a broker of MQTT 5 is believed, and what it refuses by its code is left out at once', () => {
  const terms = new BrokerLimits();
  terms.announced(5, { maximumQoS: 0, retainAvailable: false, maximumPacketSize: 999, receiveMaximum: 3 });
  assert.deepEqual([terms.qos, terms.retains, terms.largest, terms.window], [0, false, 999, 3]);
  terms.announced(5, {});
  assert.deepEqual([terms.qos, terms.retains, terms.largest], [1, true, Number.POSITIVE_INFINITY]);
  const refuse = (code: number, open: Request[] = [], up = false) =>
    terms.ended({ reason: Object.assign(new Error('x'), { code }), up, open, answered: 0 }, 5, 0).again;
  assert.ok(refuse(154));
  assert.ok(refuse(155));
  assert.deepEqual(terms.will, { qos: 0, retain: false });
  // One that refuses what it says that it takes is not asked again and again.
  terms.announced(5, {});
  assert.ok(!refuse(154) && !refuse(155));
  assert.ok(refuse(149, [request('a', 5000, state), request('b', 50, state)], true));
  assert.equal(terms.largest, 4999);
  assert.ok(refuse(147, [], true));
  assert.equal(terms.window, 8);
});

test('a last will that ends the connection is given plainly at once, every other time while nothing is known', () => {
  const terms = new BrokerLimits();
  const early = () => terms.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  assert.deepEqual([1, 2, 3, 4].map(early), [
    { text: null, again: true },
    { text: null, again: false },
    { text: null, again: true },
    { text: null, again: false },
  ]);
  const wills = [1, 2, 3, 4].map(() => {
    early();
    return terms.will.retain;
  });
  assert.deepEqual(wills, [false, true, false, true]);
  // The broker was only away: its will is full again after one more connection.
  early();
  terms.announced(4);
  assert.equal(terms.wantsRenewal(), false);
  terms.taken(sent(terms, STATUS, 40, state));
  assert.equal(terms.wantsRenewal(), true);
  assert.equal(terms.wantsRenewal(), false);
  assert.equal(terms.will.retain, true);
  terms.announced(4);
  assert.equal(early().again, false);
  assert.equal(terms.will.retain, true, 'it has worked');
});

test('a last will that was refused counts against the flags of the first message', () => {
  const terms = new BrokerLimits();
  terms.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  terms.announced(4);
  const lesson = cut(terms, [sent(terms, STATUS, 40, state)], 0, 0);
  assert.deepEqual([lesson.again, terms.retains, terms.qos], [true, false, 1]);
  assert.match(lesson.text!, /tries to send it without the retain flag/);
});

test('one of MQTT 5 has reasons: its last will stays as it is', () => {
  const terms = new BrokerLimits();
  const lesson = terms.ended({ reason: null, up: false, open: [], answered: 0 }, 5, 0);
  assert.deepEqual([lesson, terms.will.retain], [{ text: null, again: false }, true]);
});

test('a last will that is refused though messages are retained stays plain', () => {
  const terms = new BrokerLimits();
  const early = () => terms.ended({ reason: null, up: false, open: [], answered: 0 }, 4, 0);
  early();
  terms.announced(4);
  terms.taken(sent(terms, STATUS, 40, state));
  assert.ok(terms.wantsRenewal());
  for (let i = 0; i < 5; i++) {
    assert.equal(early().again, false);
    assert.equal(terms.will.retain, false);
  }
});
