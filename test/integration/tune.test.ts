import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookout } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';

const CONFIG = `# My garden.
cameras:
  garden: # at the gate
    source: { kind: demo, fps: 10 }
`;

test('lookout tune explains its choice in three lines, writes it and remembers it', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, CONFIG);
  const args = [
    'tune',
    '--config',
    file,
    '--fps',
    '2',
    '--min-idle',
    '1%',
    '--within',
    '1s',
    '--max-temp',
    '70',
  ];
  const first = await lookout(args, { cwd: folder });
  assert.equal(first.code, 0, first.stderr);
  const [what, why, heat] = first.stdout.split('\n');
  assert.match(what!, /^Choice: builtin with \d sessions? of \d threads?, frames of 640×480$/);
  assert.match(why!, /^Because: 2 frames per second leave \d+ % of \d+ cores? idle \(goal: 1 %\)/);
  assert.match(heat!, /^Thermal: .*below 70 °C/);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^# My garden\.$/m);
  assert.match(text, /# at the gate/);
  assert.match(text, /^model:\n {2}threads: \d\n {2}sessions: \d\n {2}spinning: false$/m);
  assert.match(text, /kind: demo, fps: 2/);
  assert.match(text, /^thermal:\n {2}limit: 70$/m);
  assert.ok(existsSync(join(folder, 'data/tune.json')));

  const again = await lookout([...args, '--dry-run', '--json'], { cwd: folder });
  assert.equal(again.code, 0, again.stderr);
  const { cached, choice } = JSON.parse(again.stdout) as { cached: boolean; choice: { lines: string[] } };
  assert.equal(cached, true);
  assert.deepEqual(choice.lines, [what, why, heat]);

  const cooler = await lookout([...args.slice(0, -1), '60', '--dry-run'], { cwd: folder });
  assert.match(cooler.stdout, /^Thermal: .*below 60 °C/m);
  assert.match(cooler.stdout, /^\(measured /m, 'another limit is nothing to measure for');
});

test('a goal out of reach changes nothing and says what is in reach', async () => {
  const folder = tempFolder();
  const file = join(folder, 'lookout.yaml');
  writeFileSync(file, CONFIG.replace('kind: demo', 'kind: demo, width: 320, height: 240'));
  const before = readFileSync(file, 'utf8');
  const goal = ['--fps', '120', '--min-idle', '99', '--within', '1s'];
  const { code, stderr } = await lookout(['tune', '--config', file, ...goal]);
  assert.equal(code, 78);
  assert.match(
    stderr,
    /^TUNE_UNREACHABLE: 120 frames per second .* frames per second of each camera are possible$/m,
  );
  assert.equal(readFileSync(file, 'utf8'), before);
});

/** Lets this process and its children use the first of its cores only, so that there are fewer points to measure. */
function useOneCore(t: TestContext): void {
  const cores = /^Cpus_allowed_list:\s+((\d+).*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  const use = (list: string) => spawnSync('taskset', ['--all-tasks', '-pc', list, String(process.pid)]);
  use(cores[2]!);
  t.after(() => use(cores[1]!));
}

test('the daemon tunes itself at its first start and remembers it at the next', async (t) => {
  useOneCore(t);
  const folder = tempFolder();
  const config = {
    tune: { first_start: true, min_idle: 0 },
    cameras: { demo: { source: { kind: 'demo', fps: 2 } } },
    mqtt: { enabled: false },
  };
  for (const said of [/^tuning: Choice: /, /^tuning \(cached\): Choice: /]) {
    const daemon = new DaemonProcess(config, folder);
    const line = await daemon.line(({ msg }) => said.test(msg), 180_000);
    const [, sessions, threads] = /with (\d+) sessions? of (\d+) thread/.exec(line.msg)!;
    assert.ok(Number(sessions) >= 1);
    const model = await daemon.line(({ msg }) => /^model .* with \d+ thread/.test(msg));
    assert.match(model.msg, new RegExp(`with ${threads} thread`));
    const { code } = await daemon.stop();
    assert.equal(code, 0);
  }
});

test('a daemon that is stopped while it tunes itself ends soon', async () => {
  const daemon = new DaemonProcess({ tune: { first_start: true }, mqtt: { enabled: false } }, tempFolder());
  await daemon.line(({ msg }) => msg.startsWith('tuning: '));
  const { code, after } = await daemon.stop();
  assert.equal(code, 0);
  assert.ok(after < 5000, `${after} ms`);
});
