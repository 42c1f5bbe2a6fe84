import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limiter } from '../../../src/runtime/limiter.ts';
import { FakeClock } from '../../fakes/clock.ts';

function limited() {
  const clock = new FakeClock();
  const said: [string, number][] = [];
  return { clock, said, limiter: new Limiter(clock, (message, count) => said.push([message, count])) };
}

test('the first message is said at once, a storm once a second with its number', () => {
  const { clock, said, limiter } = limited();
  for (let i = 0; i < 1000; i++) limiter.add(`message ${i}`);
  assert.deepEqual(said, [['message 0', 1]]);
  clock.advance(1000);
  assert.deepEqual(said[1], ['message 999', 999]);
  clock.advance(5000);
  assert.equal(said.length, 2);
});

test('after a quiet second the next message is said at once again', () => {
  const { clock, said, limiter } = limited();
  limiter.add('a');
  clock.advance(1001);
  limiter.add('b');
  assert.deepEqual(said, [
    ['a', 1],
    ['b', 1],
  ]);
});

test('closing says what was held back and nothing after that', () => {
  const { clock, said, limiter } = limited();
  limiter.add('a');
  limiter.add('b');
  limiter.close();
  clock.advance(5000);
  assert.deepEqual(said, [
    ['a', 1],
    ['b', 1],
  ]);
});
