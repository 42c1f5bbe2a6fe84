import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ChildOptions, endError, runChild } from '../../src/capture/child-process.ts';
import { LookoutError } from '../../src/errors.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FakeLog } from '../fakes/log.ts';
import { fakeEnv, isRunning, temporaryFolder, until } from '../support/programs.ts';
import { requires } from '../support/requires.ts';

/** Runs a program given as JavaScript. */
function run(
  script: string,
  read: (output: AsyncIterable<Buffer>) => Promise<void> = drain,
  options: Partial<ChildOptions> = {},
) {
  const log = new FakeLog();
  const child = runChild(
    {
      file: process.execPath,
      args: ['-e', script],
      env: process.env,
      clock: systemClock,
      log: log.logger,
      signal: new AbortController().signal,
      ...options,
    },
    read,
  );
  return { child, log };
}

async function drain(output: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of output);
}

/** Bytes of all buffers that something still holds. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** The process ids that a script printed, one a line. */
function pidsOf(abort: AbortController, count: number, pids: number[]) {
  return async (output: AsyncIterable<Buffer>) => {
    let text = '';
    for await (const chunk of output) {
      text += chunk.toString();
      const lines = text.split('\n').filter((line) => line !== '');
      if (lines.length < count || !text.endsWith('\n')) continue;
      pids.push(...lines.map(Number));
      abort.abort();
    }
  };
}

test('programs that have exited leave nothing in memory, although their signal never aborts', async () => {
  const outer = new AbortController();
  const again = async (times: number) => {
    for (let n = 0; n < times; n++) {
      const signal = AbortSignal.any([outer.signal]);
      await run('', drain, { file: '/bin/sh', args: ['-c', 'echo bye >&2'], signal }).child;
    }
  };
  const before = heldBytes();
  await again(12);
  // Timers of their ends run for a moment more.
  await until(() => heldBytes() - before < 1_000_000, 'what is left to be freed');
});

test('a program gets its input, is read to its end, and its exit code and last lines are reported', async () => {
  let text = '';
  const { child } = run(
    `process.stdin.on('data', (d) => process.stdout.write(d)).on('end', () => { console.error('one\\ntwo'); process.exitCode = 3 })`,
    async (output) => {
      for await (const chunk of output) text += chunk.toString();
    },
    { input: 'hello' },
  );
  const end = await child;
  assert.equal(text, 'hello');
  assert.deepEqual(
    { code: end.code, signal: end.signal, lines: end.lines },
    { code: 3, signal: null, lines: ['one', 'two'] },
  );
  const error = endError(end);
  assert.equal(error.code, 'CAPTURE_ENDED');
  assert.equal(error.message, 'node ended (exit code 3): two');
});

test('frames can arrive on another descriptor than stdout', async () => {
  let text = '';
  const { child } = run(
    `console.log('noise'); require('node:fs').writeSync(3, 'frame')`,
    async (output) => {
      for await (const chunk of output) text += chunk.toString();
    },
    { output: 3 },
  );
  await child;
  assert.equal(text, 'frame');
});

test('aborting ends the program', async () => {
  const abort = new AbortController();
  const pids: number[] = [];
  const { child } = run(`console.log(process.pid); setInterval(() => {}, 1000)`, pidsOf(abort, 1, pids), {
    signal: abort.signal,
  });
  const end = await child;
  assert.equal(end.signal, 'SIGTERM');
  assert.equal(await isRunning(pids[0]!), false);
});

test('a program that ignores SIGTERM is killed after a grace of 1.2 seconds, and so is what it started', async () => {
  const abort = new AbortController();
  const pids: number[] = [];
  const deaf = `process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000);`;
  const script = `${deaf} require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(deaf)}], { stdio: 'inherit' })`;
  const start = performance.now();
  const { child } = run(script, pidsOf(abort, 2, pids), { signal: abort.signal });
  const end = await child;
  assert.equal(end.signal, 'SIGKILL');
  assert.ok(performance.now() - start >= 1100);
  assert.equal(pids.length, 2);
  for (const pid of pids) await until(async () => !(await isRunning(pid)), `${pid} ends`, 1000);
});

test('when reading fails the program is ended and the failure thrown', async () => {
  let pid = 0;
  const { child } = run(`console.log(process.pid); setInterval(() => {}, 1000)`, async (output) => {
    for await (const chunk of output) {
      pid = Number(chunk.toString());
      throw new LookoutError('CAPTURE_STREAM', 'not a stream');
    }
  });
  await assert.rejects(child, { code: 'CAPTURE_STREAM' });
  assert.equal(await isRunning(pid), false);
});

test('a program that closes its output but does not end is ended', async () => {
  const { child } = run(`require('node:fs').closeSync(1); setInterval(() => {}, 1000)`);
  assert.equal((await child).signal, 'SIGTERM');
});

test('a signal that was aborted beforehand leaves nothing running', async () => {
  const { child } = run(`setInterval(() => {}, 1000)`, drain, { signal: AbortSignal.abort() });
  assert.equal((await child).signal, 'SIGTERM');
});

test('a flood on stderr is logged about once a second, with how many lines it was', async () => {
  const start = performance.now();
  const { child, log } = run(
    `const t = setInterval(() => process.stderr.write('trouble\\n'.repeat(100)), 1); setTimeout(() => clearInterval(t), 1500)`,
  );
  const end = await child;
  const said = log.lines.filter(({ msg }) => msg === 'node: trouble');
  const most = (performance.now() - start) / 1000 + 2;
  assert.ok(said.length >= 2 && said.length <= most, `${said.length} lines`);
  assert.ok(said.some(({ lines }) => typeof lines === 'number' && lines > 1000));
  assert.equal(end.lines.length, 20);
});

test('a line without an end takes no memory', async () => {
  const { child, log } = run(`for (let i = 0; i < 1000; i++) process.stderr.write('x'.repeat(10000))`);
  const end = await child;
  assert.equal(end.lines[0]?.length, 500);
  assert.ok(log.text.length < 10_000);
});

test('secrets are removed from logs and errors, and harmless lines are not logged', async () => {
  const { child, log } = run(
    `console.error('\\x1b[31mINFO all is well\\x1b[0m\\nno entry for geheim')`,
    drain,
    {
      harmless: /INFO/,
      redact: (line) => line.replaceAll('geheim', '…'),
    },
  );
  const end = await child;
  assert.deepEqual(end.lines, ['no entry for …']);
  assert.doesNotMatch(log.text, /geheim/);
  assert.deepEqual(
    log.lines.filter(({ level }) => level >= 40).map(({ msg }) => msg),
    ['node: no entry for …'],
  );
});

test('a line that means failure ends the program', async () => {
  const { child } = run(`console.error('wrong size'); setInterval(() => {}, 1000)`, drain, {
    onLine: (line) => (line === 'wrong size' ? new LookoutError('CAPTURE_FRAME_SIZE', line) : undefined),
  });
  await assert.rejects(child, { code: 'CAPTURE_FRAME_SIZE' });
});

test('a file that is not a program is an error with its name', async (t) => {
  const file = join(await temporaryFolder(t), 'rpicam-vid');
  await writeFile(file, '\x7fELF but not really', { mode: 0o755 });
  const { child } = run('', drain, { file });
  const end = child.then((ended) => {
    throw endError(ended);
  });
  await assert.rejects(end, (error: LookoutError) => /CAPTURE_(PROGRAM_FAILED|ENDED)/.test(error.code));
});

test('a program does not outlive a daemon that is killed', { skip: requires('setpriv') }, async (t) => {
  const pidFile = join(await temporaryFolder(t), 'pids');
  const daemon = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { runChild } = await import(${JSON.stringify(new URL('../../src/capture/child-process.ts', import.meta.url).href)});
       const { systemClock } = await import(${JSON.stringify(new URL('../../src/runtime/clock.ts', import.meta.url).href)});
       const script = "require('node:fs').writeFileSync(process.env.PIDS, String(process.pid)); setInterval(() => {}, 1000)";
       await runChild(
         { file: process.execPath, args: ['-e', script], env: process.env, clock: systemClock,
           log: { warn() {}, trace() {} }, signal: new AbortController().signal },
         async (output) => { for await (const _ of output); },
       );`,
    ],
    { env: { ...fakeEnv(), PIDS: pidFile }, stdio: 'inherit' },
  );
  t.after(() => daemon.kill('SIGKILL'));
  let pid = 0;
  await until(async () => {
    pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
    return pid > 0;
  }, 'the program starts');
  assert.equal(await isRunning(pid), true);
  daemon.kill('SIGKILL');
  await until(async () => !(await isRunning(pid)), 'the program ends', 2000);
});
