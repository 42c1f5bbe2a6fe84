/**
 * A process that records events as fast as it can and names each one on standard output once it was told that it is
 * on the disk. It runs until it is killed. Arguments: folder, number of the run, time of the first event.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/runtime/clock.ts';
import { Store } from '../../src/store/store.ts';
import { detection, entry, storeConfig } from '../support/store.ts';
import { FakeLog } from './log.ts';

const [folder = '', run = '', base = ''] = process.argv.slice(2);
const config = storeConfig({ commit_interval: 0.1, max_outbox: 1_000_000 });
const store = new Store({
  file: join(folder, 'lookout.db'),
  snapshots: join(folder, 'snapshots'),
  config,
  clock: systemClock,
  log: new FakeLog().logger,
});
await store.start();

for (let i = 0; ; i++) {
  const id = `${run}-${String(i).padStart(6, '0')}`;
  // Everything in an event follows from its number, so that the reader can tell whether it was altered.
  const startedAt = Number(base) + i;
  const known = { id, score: i / 1e6, startedAt, snapshot: `${'x'.repeat(i % 3000)}.jpg` };
  const start = entry(known);
  const end = entry({ ...known, endedAt: startedAt + 1 }, 'end');
  store.recordDetections([detection({ capturedAt: startedAt })]);
  const started = store.recordEvent(start.change, start.messages);
  const ended = i % 2 === 0 ? store.recordEvent(end.change, end.messages) : Promise.resolve(false);
  if (await started) writeSync(1, `start ${id}\n`);
  if (await ended) writeSync(1, `end ${id}\n`);
}
