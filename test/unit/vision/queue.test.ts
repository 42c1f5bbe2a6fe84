import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SlotQueue } from '../../../src/vision/queue.ts';

function queueOf(slots: number, sessions: number): SlotQueue {
  const bytes = SlotQueue.length(slots, sessions) * Int32Array.BYTES_PER_ELEMENT;
  return new SlotQueue(new Int32Array(new SharedArrayBuffer(bytes)), slots);
}

test('slots are taken in the order in which they were put, whoever takes them', () => {
  const queue = queueOf(3, 2);
  assert.equal(queue.take(), -1);
  for (const slot of [2, 0, 1]) queue.put(slot);
  assert.deepEqual([queue.take(), queue.take(), queue.take(), queue.take()], [2, 0, 1, -1]);
});

test('a slot wakes one session that sleeps, and none that works', () => {
  const queue = queueOf(3, 2);
  assert.equal(queue.put(0), -1, 'both work');
  assert.equal(queue.sleep(1), false, 'there is a slot to take');
  assert.equal(queue.take(), 0);
  assert.equal(queue.sleep(0), true);
  assert.equal(queue.sleep(1), true);
  assert.deepEqual([queue.put(0), queue.put(1), queue.put(2)], [0, 1, -1]);
});

test('answers wake the vision worker once, and only while it sleeps', () => {
  const queue = queueOf(3, 2);
  assert.deepEqual([queue.answer(1), queue.answer(0)], [true, false]);
  queue.visionWakes();
  assert.deepEqual([queue.nextAnswer(), queue.nextAnswer(), queue.nextAnswer()], [0, 1, -1]);
  assert.equal(queue.answer(2), false);
  queue.visionSleeps();
  assert.equal(queue.nextAnswer(), 2, 'what came before it slept is found when it looks once more');
  assert.equal(queue.answer(0), true);
});

test('counters may overflow: the order stays', () => {
  const state = new Int32Array(new SharedArrayBuffer(4 * SlotQueue.length(3, 1)));
  state.fill(2 ** 31 - 2, 0, 2);
  const queue = new SlotQueue(state, 3);
  for (let round = 0; round < 5; round++) {
    for (const slot of [2, 0, 1]) queue.put(slot);
    assert.deepEqual([queue.take(), queue.take(), queue.take(), queue.take()], [2, 0, 1, -1]);
  }
});

/** Takes slots and gives them back at once; sleeps between messages as an inference worker does. */
const SESSION = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.module).then(({ SlotQueue }) => {
    const queue = new SlotQueue(new Int32Array(workerData.memory), workerData.slots);
    const work = () => {
      for (;;) {
        const slot = queue.take();
        if (slot >= 0) { if (queue.answer(slot)) parentPort.postMessage(null); }
        else if (queue.sleep(workerData.session)) return;
      }
    };
    parentPort.on('message', work);
    work();
    parentPort.postMessage('ready');
  });`;

test('three threads lose no slot, none comes twice, and nobody sleeps while there is work', async () => {
  const [slots, sessions, wanted] = [4, 3, 20_000];
  const memory = new SharedArrayBuffer(4 * SlotQueue.length(slots, sessions));
  const queue = new SlotQueue(new Int32Array(memory), slots);
  const module = new URL('../../../src/vision/queue.ts', import.meta.url).href;
  const workers = Array.from({ length: sessions }, (_, session) => {
    const workerData = { module, memory, slots, session };
    return new Worker(SESSION, { eval: true, workerData });
  });
  try {
    await Promise.all(
      workers.map((worker) => new Promise<void>((resolve) => worker.once('message', () => resolve()))),
    );
    const under = new Set<number>();
    let answered = 0;
    await new Promise<void>((resolve, reject) => {
      const ask = (slot: number) => {
        assert.ok(!under.has(slot));
        under.add(slot);
        const session = queue.put(slot);
        if (session >= 0) workers[session]!.postMessage(null);
      };
      const takeAll = () => {
        for (let slot = queue.nextAnswer(); slot >= 0; slot = queue.nextAnswer()) {
          assert.ok(under.delete(slot), `slot ${slot} was not under way`);
          if (++answered <= wanted - slots) ask(slot);
        }
      };
      const look = () => {
        try {
          queue.visionWakes();
          takeAll();
          queue.visionSleeps();
          takeAll();
          if (answered === wanted) resolve();
        } catch (error) {
          reject(error);
        }
      };
      for (const worker of workers) worker.on('message', look);
      for (let slot = 0; slot < slots; slot++) ask(slot);
    });
    assert.equal(under.size, 0);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});
