import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Report } from '../../src/profile/profile-types.ts';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { until } from '../support/until.ts';

const STAGES = ['capture', 'motion', 'resize', 'inference', 'decide', 'store', 'publish', 'whole'] as const;
const cli = new URL('../../src/cli.ts', import.meta.url).pathname;

/** A temporary folder of its own, so that what is left behind can be seen. */
function place() {
  const folder = tempFolder();
  return { folder, env: { TMPDIR: folder } };
}

const read = (folder: string, name: string) =>
  JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Report;

test('lookout profile measures every stage of the daemon’s real path, and compares reports', async () => {
  const { folder, env } = place();
  const axes = ['--threads', '1', '--sessions', '2', '--sources', 'raw,jpeg'];
  const args = ['profile', ...axes, '--rounds', '1', '--seconds', '1', '--sustain', '1s', '--out', 'first'];
  const { code, stdout, stderr } = await lookout(args, { cwd: folder, env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^builtin +1×2 +cpu +off +640×480 /m);
  assert.match(stdout, /^fastest: /m);
  assert.match(stderr, /^2\/2 +.* left +builtin 1×2 cpu 640x480 jpeg$/m);

  const report = read(folder, 'first');
  assert.equal(report.rows.length, 2);
  assert.equal(report.interrupted, false);
  for (const { key, failures, metrics, stages, stamps, sha256 } of report.rows) {
    assert.deepEqual(failures, [], key);
    assert.match(sha256!, /^[0-9a-f]{64}$/);
    assert.equal(stamps.length, 1);
    for (const metric of ['inference_fps', 'pipeline_fps', 'paced_cpu_percent', 'rss_mb'] as const) {
      const { value, low, high } = metrics[metric]!;
      assert.ok(value > 0 && low <= value && value <= high, `${key} ${metric}`);
    }
    const expected = key.endsWith('jpeg') ? [...STAGES.slice(1), 'decode' as const] : STAGES;
    for (const stage of expected) {
      const { p50, p90, p99, max, count } = stages!.pipeline[stage]!;
      assert.ok(count > 0 && p50 <= p90 && p90 <= p99 && p99 <= max, `${key} ${stage}`);
    }
  }
  const [paced] = report.rows;
  assert.ok(Math.abs(paced!.pacedFps! - 5) < 2.5, `paced at ${paced!.pacedFps}`);
  assert.ok(report.models[0]!.multiplyAdds! > 1);
  assert.ok(report.models[0]!.operators.length > 3);
  assert.ok(report.sustained!.samples.length >= 1);
  assert.match(report.sustained!.verdict.text, /was not stable/);
  assert.ok(existsSync(join(folder, 'first.csv')) && existsSync(join(folder, 'first.html')));
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('lookout-')),
    [],
    'nothing is left behind',
  );

  const compared = await lookout(['profile', 'compare', 'first.json', 'first.json', '--json'], {
    cwd: folder,
  });
  assert.equal(compared.code, 0, compared.stderr);
  const { differences } = JSON.parse(compared.stdout) as { differences: { ratio: { value: number } }[] };
  assert.ok(differences.length >= 2 * 5);
  assert.ok(differences.every(({ ratio }) => ratio.value === 1));
});

test('Ctrl-C ends a sweep at once and keeps what was measured', async () => {
  const { folder, env } = place();
  const args = ['profile', '--threads', '1,2,3,4', '--rounds', '1', '--seconds', '1', '--out', 'part'];
  const child = spawn(process.execPath, [cli, ...args], {
    ...{ cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  await until('the second point', () => said.includes('2/4'), 120_000);
  child.kill('SIGINT');
  assert.equal(await ended, 0, said);
  const report = read(folder, 'part');
  assert.equal(report.interrupted, true);
  assert.equal(report.rows.length, 1);
  assert.ok(report.rows[0]!.metrics.pipeline_fps!.value > 0);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('lookout-')),
    [],
  );
});

test('a point that cannot be measured is a row that says why, and the others are measured', async () => {
  const { folder, env } = place();
  const broken = join(folder, 'broken.onnx');
  writeFileSync(broken, 'no model');
  const member = 'v2-0.35-32-fp32';
  const args = ['profile', '--models', member, '--providers', 'cpu,cuda', '--rounds', '1'];
  const { code, stdout, stderr } = await lookout([...args, '--seconds', '0.5', '--json'], {
    cwd: folder,
    env,
  });
  assert.equal(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as Report;
  const failed = rows.filter(({ failures }) => failures.length > 0);
  assert.deepEqual(
    failed.map(({ point, failures }) => [point.provider, failures[0]!.code]),
    [['cuda', 'MODEL_PROVIDER_MISSING']],
  );
  assert.equal(rows.filter(({ metrics }) => metrics.pipeline_fps).length, 1);
  const refused = await lookout(['profile', '--models', broken], { cwd: folder, env });
  assert.equal(refused.code, 78);
  assert.match(refused.stderr, /^MODEL_CORRUPT: /m);
});

test('the demo runs ahead of its configured rate', async () => {
  const { folder, env } = place();
  const args = ['profile', '--sources', 'demo', '--rounds', '1', '--seconds', '1.5', '--json'];
  const demo = await lookout(args, { cwd: folder, env });
  assert.equal(demo.code, 0, demo.stderr);
  const [row] = (JSON.parse(demo.stdout) as Report).rows;
  assert.ok(row!.metrics.pipeline_fps!.value > 10, 'the camera `demo` of the configuration gives 5 a second');
});

test('--sustain alone takes the configured settings', async () => {
  const { folder, env } = place();
  const long = ['profile', '--sustain', '2s', '--rounds', '1', '--seconds', '0.5', '--json'];
  const { code, stdout, stderr } = await lookout(long, { cwd: folder, env });
  assert.equal(code, 0, stderr);
  const { rows, sustained, sustainFailure } = JSON.parse(stdout) as Report;
  assert.equal(rows.length, 1);
  assert.deepEqual(sustained!.point, rows[0]!.point);
  assert.equal(sustainFailure, null);
  assert.match(stderr, /^1 point, 1 round, /m);
  assert.match(stderr, /^long run of builtin .*, at most 2 s$/m);
});

test('wrong options are refused with what was expected', async () => {
  const cases: [string[], RegExp][] = [
    [['--quick', '--full'], /expected --quick or --full/],
    [['--sources', 'nowhere'], /--sources nowhere: expected one of raw, jpeg, demo$/m],
    [['--sizes', '641x480'], /expected sizes like 640x480/],
    [['--models', 'nowhere'], /^MODEL_MISSING: --models nowhere: .*cannot read/m],
    [['--models', 'v2-9-224-int8'], /width of 0\.1…2/],
    [['--quick', '--out', 'missing/x'], /^PROFILE_UNWRITABLE: --out missing\/x: /m],
    [['--fps', '200'], /expected a number from 0\.1 to 120/],
    [['--threads', '0'], /expected an integer from 1 to 64/],
    [['--sustain', 'long'], /expected a duration like 90s/],
    [['compare', 'a.json', 'b.json'], /^PROFILE_INVALID: a\.json/m],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await lookout(['profile', ...args]);
    assert.notEqual(code, 0, args.join(' '));
    assert.match(stderr, expected);
  }
});
