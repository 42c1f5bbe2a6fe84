import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { LookoutError } from '../../../src/errors.ts';
import { exposeRpc, type Handlers, RpcClient, Transferred } from '../../../src/runtime/rpc.ts';

interface Calculator {
  add(a: number, b: number): number;
  later(value: string): string;
  fill(buffer: ArrayBuffer, value: number): ArrayBuffer;
  fail(kind: 'plain' | 'coded' | 'ours'): void;
}

let answerLater: () => void = () => {};

const handlers: Handlers<Calculator> = {
  add: (a, b) => a + b,
  later: (value) =>
    new Promise((resolve) => {
      answerLater = () => resolve(value);
    }),
  fill: (buffer, value) => {
    new Uint8Array(buffer).fill(value);
    return new Transferred(buffer, [buffer]);
  },
  fail: (kind) => {
    if (kind === 'ours') throw new LookoutError('STORE_LOCKED', 'taken', { hint: 'wait' });
    if (kind === 'coded') throw Object.assign(new Error('no room'), { code: 'SQLITE_FULL' });
    throw new Error('broken');
  },
};

function connect(t: TestContext): RpcClient<Calculator> {
  const { port1, port2 } = new MessageChannel();
  exposeRpc<Calculator>(port2, handlers);
  const caller = new RpcClient<Calculator>((message, transfer) => port1.postMessage(message, transfer));
  port1.on('message', (message) => assert.ok(caller.receive(message)));
  t.after(() => port1.close());
  return caller;
}

test('a call comes back with its result, in any order', async (t) => {
  const caller = connect(t);
  const later = caller.call('later', ['slow']);
  assert.equal(await caller.call('add', [2, 3]), 5);
  answerLater();
  assert.equal(await later, 'slow');
});

test('buffers change hands and come back', async (t) => {
  const caller = connect(t);
  const buffer = new ArrayBuffer(8);
  const reply = caller.call('fill', [buffer, 7], [buffer]);
  assert.equal(buffer.byteLength, 0);
  assert.deepEqual([...new Uint8Array(await reply)], Array(8).fill(7));
});

test('errors keep their message and code, and our own their kind and hint', async (t) => {
  const caller = connect(t);
  await assert.rejects(caller.call('fail', ['plain']), { message: 'broken', code: null });
  await assert.rejects(caller.call('fail', ['coded']), { message: 'no room', code: 'SQLITE_FULL' });
  await assert.rejects(caller.call('fail', ['ours']), (error) => {
    assert.ok(error instanceof LookoutError);
    assert.equal(error.hint, 'wait');
    return error.code === 'STORE_LOCKED';
  });
});

test('what cannot be sent is an error of the call', async (t) => {
  const caller = connect(t);
  const spent = new ArrayBuffer(8);
  structuredClone(spent, { transfer: [spent] });
  await assert.rejects(caller.call('fill', [spent, 1], [spent]), { name: 'DataCloneError' });
});

test('when the other side has gone, waiting and later calls fail', async (t) => {
  const caller = connect(t);
  const waiting = caller.call('later', ['never']);
  caller.close(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  await assert.rejects(caller.call('add', [1, 1]), /gone/);
});

test('messages that are no replies are left to others', () => {
  const caller = new RpcClient<Calculator>(() => {});
  assert.equal(caller.receive({ notice: 'hello' }), false);
  assert.equal(caller.receive({ id: 99, value: 1 }), false);
});
