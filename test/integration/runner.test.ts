/** The runner of the tests itself. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileResult, runFile } from '../runner/file.ts';
import { MARK, processesOf } from '../runner/processes.ts';
import { tempFolder } from '../support/folder.ts';
import { isRunning, until } from '../support/programs.ts';

const SPAWN = `const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  writeFileSync(process.env.PID_FILE, String(child.pid));`;

/** A mark within the one of this process, so that nothing outlives a runner that is killed. */
const newMark = () => `${process.env[MARK] ?? ''}${randomUUID()}.`;

/** Runs a test file with this content. @returns what came of it, and the process that it started */
async function run(body: string): Promise<FileResult & { pid: number }> {
  const folder = tempFolder();
  const file = join(folder, 'one.test.mjs');
  const pidFile = join(folder, 'pid');
  process.env.PID_FILE = pidFile;
  writeFileSync(
    file,
    `import { spawn } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { test } from 'node:test';
    ${body}`,
  );
  const result = await runFile({ file, limitMs: 1000, seed: 1, folder, mark: newMark() });
  return { ...result, pid: existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0 };
}

test('results, reasons and messages of a file arrive', async () => {
  const { tests, messages, faults } = await run(`
    test('good', (t) => t.diagnostic('by the way'));
    test('bad', () => { throw new Error('no good'); });
    test('left out', { skip: 'needs luck' }, () => {});`);
  const found = tests.map(({ name, passed, skipped }) => [name, passed, skipped]);
  assert.deepEqual(found.sort(), [
    ['bad', false, undefined],
    ['good', true, undefined],
    ['left out', true, 'needs luck'],
  ]);
  assert.match(tests.find(({ name }) => name === 'bad')!.error!, /no good/);
  assert.deepEqual([messages, faults], [['by the way'], []]);
});

test('a file that leaves a process running has failed, and the process is ended', async () => {
  const { tests, faults, pid } = await run(`test('leaves one', () => { ${SPAWN} child.unref(); });`);
  assert.ok(tests.every(({ passed }) => passed));
  assert.deepEqual(faults, [`left process ${pid} running: sleep 600`]);
  assert.equal(await isRunning(pid), false);
});

test('what a test has started ends with it when it fails or takes too long', async () => {
  for (const [end, error] of [
    ["throw new Error('no good')", /no good/],
    ['return new Promise((resolve) => setTimeout(resolve, 60_000))', /timed out after 1000ms/],
  ] as const) {
    const { tests, pid } = await run(`test('one', () => { ${SPAWN} ${end}; });`);
    assert.match(tests[0]!.error!, error);
    assert.equal(await isRunning(pid), false);
  }
});

test('a file that never comes to an end is ended', async () => {
  const { faults, pid } = await run(`test('loops', () => { ${SPAWN} for (;;); });`);
  assert.deepEqual(faults, ['no test ended for 6 s']);
  assert.equal(await isRunning(pid), false);
});

test('everything ends when the runner is killed', async () => {
  const mark = newMark();
  const root = new URL('../..', import.meta.url).pathname;
  const args = [
    'test/run.ts',
    'test/integration/runner.test.ts',
    '--name',
    'a file that never comes to an end',
  ];
  const runner = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, [MARK]: mark },
    stdio: 'ignore',
  });
  const commands = () => processesOf(mark).map(({ command }) => command);
  await until(() => commands().includes('sleep 600'), 'what the test starts');
  runner.kill('SIGKILL');
  await until(() => commands().length === 0, 'the end of all', 4000);
});
