import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parts } from '../../../src/runtime/parts.ts';
import type { Service } from '../../../src/types.ts';
import { FakeLog } from '../../fakes/log.ts';

function bench() {
  const log = new FakeLog();
  const stopping = new AbortController();
  const stopped: string[] = [];
  const part = (name: string, changes: Partial<Service> = {}): Service => ({
    start: async () => {},
    stop: async () => void stopped.push(name),
    ...changes,
  });
  return { log, stopping, stopped, part, parts: new Parts(log.logger, stopping.signal) };
}

test('parts stop in reverse order of their registration, whatever started first', async () => {
  const { parts, part, stopped } = bench();
  const [database, events, threads] = [part('database'), part('events'), part('threads')];
  parts.register('database', database);
  parts.register('events', events);
  parts.register('threads', threads);
  await parts.start(threads);
  await parts.start(database);
  await parts.start(events);
  await parts.stop();
  assert.deepEqual(stopped, ['threads', 'events', 'database']);
});

test('a part that never started is not stopped; one whose start failed is', async () => {
  const { parts, part, stopped } = bench();
  const failing = part('failing', { start: () => Promise.reject(new Error('no port')) });
  parts.register('failing', failing);
  parts.register('idle', part('idle'));
  await assert.rejects(parts.start(failing), /no port/);
  await parts.stop();
  assert.deepEqual(stopped, ['failing']);
});

test('a part that does not stop cleanly is logged by name, and the others stop', async () => {
  const { parts, part, stopped, log } = bench();
  const first = part('first');
  const second = part('second', { stop: () => Promise.reject(new Error('stuck')) });
  parts.register('first', first);
  parts.register('second', second);
  await parts.start(first);
  await parts.start(second);
  await parts.stop();
  assert.deepEqual(stopped, ['first']);
  assert.equal(log.lines[0]?.msg, 'second did not stop cleanly');
});

test('nothing starts once the stop has begun', async () => {
  const { parts, part, stopping, stopped } = bench();
  const late = part('late');
  parts.register('late', late);
  stopping.abort();
  await assert.rejects(parts.start(late), { name: 'AbortError' });
  await parts.stop();
  assert.deepEqual(stopped, []);
});
