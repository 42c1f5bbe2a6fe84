import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJob } from '../../src/profile/profile-process.ts';

const module = new URL('../fakes/profile-child.ts', import.meta.url);
const model = { name: 'm', file: '/m.onnx' };
const never = new AbortController().signal;

function run(folder: string, options: { signal?: AbortSignal; timeoutMs?: number } = {}) {
  return runJob(
    'facts',
    { model, exact: 'auto', folder },
    { signal: never, timeoutMs: 60_000, module, ...options },
  );
}

test('a job returns its answer or its failure', async () => {
  assert.deepEqual(await run('answer'), { multiplyAdds: 1, operators: [] });
  await assert.rejects(run('refuse'), { code: 'MODEL_CORRUPT', message: 'no model' });
});

test('a process that crashes ends only its own job, and its last line is reported', async () => {
  await assert.rejects(run('crash'), {
    code: 'PROFILE_CRASHED',
    message: 'the measuring process was killed by SIGSEGV: free(): invalid pointer',
  });
  await assert.rejects(run('exit'), { code: 'PROFILE_CRASHED', message: /ended with exit code 3/ });
  assert.equal((await run('answer')).multiplyAdds, 1);
});

test('a process that hangs is killed', async () => {
  await assert.rejects(run('hang', { timeoutMs: 1500 }), {
    code: 'PROFILE_CRASHED',
    message: /did not answer within 1\.5 s/,
  });
});

test('a job can be stopped, and does not start after that', async () => {
  const stop = new AbortController();
  const job = run('hang', { signal: stop.signal });
  setImmediate(() => stop.abort());
  await assert.rejects(job);
  await assert.rejects(run('answer', { signal: stop.signal }), { name: 'AbortError' });
});
