import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limiter, type LimiterOptions } from '../../../src/runtime/limiter.ts';
import { FakeClock } from '../../fakes/clock.ts';

function limited(options?: LimiterOptions) {
  const clock = new FakeClock();
  const logged: [string, number][] = [];
  const limiter = new Limiter<string>(clock, (message, count) => logged.push([message, count]), options);
  return { clock, logged, limiter };
}

test('the first message is logged immediately, a storm once a second with its count', () => {
  const { clock, logged, limiter } = limited();
  for (let i = 0; i < 1000; i++) limiter.add(`message ${i}`);
  assert.deepEqual(logged, [['message 0', 1]]);
  clock.advance(1000);
  assert.deepEqual(logged[1], ['message 999', 999]);
  clock.advance(5000);
  assert.equal(logged.length, 2);
});

test('after a quiet second the next message is logged immediately again', () => {
  const { clock, logged, limiter } = limited();
  limiter.add('a');
  clock.advance(1001);
  limiter.add('b');
  assert.deepEqual(logged, [
    ['a', 1],
    ['b', 1],
  ]);
});

test('without trailing messages a limiter drops repetitions until its window is over', () => {
  const { clock, logged, limiter } = limited({ windowMs: 60_000, trailing: false });
  limiter.add('a');
  clock.advance(59_999);
  limiter.add('b');
  clock.advance(1);
  limiter.add('c');
  limiter.close();
  assert.deepEqual(logged, [
    ['a', 1],
    ['c', 1],
  ]);
});

test('closing logs what was held back and nothing after that', () => {
  const { clock, logged, limiter } = limited();
  limiter.add('a');
  limiter.add('b');
  limiter.close();
  clock.advance(5000);
  assert.deepEqual(logged, [
    ['a', 1],
    ['b', 1],
  ]);
});
