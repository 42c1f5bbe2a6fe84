import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import sharp from 'sharp';
import { stringify } from 'yaml';
import { Scene } from '../../src/demo/scene.ts';
import { BUILTIN_MODEL } from '../../src/model/load-model.ts';
import { encodeJpeg } from '../../src/pixels/jpeg.ts';
import { toRgb } from '../../src/pixels/rgb.ts';
import { runJob } from '../../src/profile/profile-process.ts';
import type { Report } from '../../src/profile/profile-types.ts';
import { BRIGHT_SCORE, writeBrightModel } from '../support/bright-model.ts';
import { lookout } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { lacksVnni, requiresVnniSwitch, withoutVnni } from '../support/processor-without-vnni.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

interface Answer {
  label: string;
  score: number;
}

const NEVER = { LOOKOUT__model__exact: 'never' };

/** A folder with `bright.onnx` and a white picture. */
async function place(): Promise<string> {
  const folder = tempFolder();
  writeBrightModel(join(folder, 'bright.onnx'));
  await sharp({ create: { width: 16, height: 16, channels: 3, background: 'white' } }).toFile(
    join(folder, 'white.png'),
  );
  return folder;
}

async function classify(folder: string, args: string[], env: NodeJS.ProcessEnv): Promise<Answer[][]> {
  const { code, stdout, stderr } = await lookout(['classify', '--json', ...args], { cwd: folder, env });
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { top: Answer[] }).top);
}

/** The largest difference between two scores of a label. */
function farthest(some: Answer[][], others: Answer[][]): number {
  const differences = some.flatMap((answers, picture) => {
    const scores = new Map(others[picture]!.map(({ label, score }) => [label, score]));
    return answers.map(({ label, score }) => Math.abs(score - scores.get(label)!));
  });
  return Math.max(...differences);
}

describe('on a processor without VNNI', { skip: requiresVnniSwitch() }, () => {
  const noVnni = withoutVnni();

  test('answers are exact, unless the settings say never', async () => {
    const folder = await place();
    const args = ['--model', 'bright.onnx', 'white.png'];
    const [exact] = await classify(folder, args, noVnni);
    assert.equal(exact![0]!.label, 'bright');
    assert.ok(Math.abs(exact![0]!.score - BRIGHT_SCORE) < 1e-4, `${exact![0]!.score} ${BRIGHT_SCORE}`);
    const [clipped] = await classify(folder, args, { ...noVnni, ...NEVER });
    assert.equal(clipped![0]!.label, 'dark', 'the kernel that clips sums is really another one');
  });

  test('the built-in model scores what it scores elsewhere', {
    skip: lacksVnni() && 'this machine has no other kernel',
  }, async () => {
    const folder = tempFolder();
    const scene = new Scene(640, 480, 1);
    const format = { width: 640, height: 480, pixels: 'i420', colour: 'bt601' } as const;
    const files: string[] = [];
    for (let frame = 0; frame < 12; frame++) {
      const picture = new Uint8Array(scene.bytes);
      scene.render(3000 * frame, picture);
      const { data } = toRgb(picture, format, { rotate: 0, mirror: 'none' });
      files.push(`${frame}.jpg`);
      writeFileSync(join(folder, `${frame}.jpg`), await encodeJpeg(data, format, 90));
    }
    const args = ['--top', '11', ...files];
    const here = await classify(folder, args, {});
    assert.ok(farthest(here, await classify(folder, args, noVnni)) <= 0.002);
    assert.ok(farthest(here, await classify(folder, args, { ...noVnni, ...NEVER })) > 0.02);
  });

  test('doctor says which kernel runs and why, and warns of the one that clips', async () => {
    const folder = await place();
    const settings = { model: { file: 'bright.onnx' }, mqtt: { enabled: false } };
    writeFileSync(join(folder, 'lookout.yaml'), stringify(settings));
    const model = async (env: NodeJS.ProcessEnv) => {
      const args = ['doctor', '--json', '--config', 'lookout.yaml'];
      const { stdout } = await lookout(args, { cwd: folder, env });
      const { findings } = JSON.parse(stdout) as { findings: Record<string, string>[] };
      return findings.find(({ check }) => check === 'model default')!;
    };
    const exact = await model(noVnni);
    assert.equal(exact.verdict, 'ok');
    assert.match(exact.found!, /on cpu: \S+ ms, exact int8 kernel: this processor lacks VNNI/);
    const clipping = await model({ ...noVnni, ...NEVER });
    assert.equal(clipping.verdict, 'warn');
    assert.match(
      clipping.found!,
      /saturating int8 kernel: model\.exact is never, and this processor lacks VNNI/,
    );
    assert.match(clipping.advice!, /exact: auto/);
  });

  test('the daemon says it in its log and over MQTT', async (t) => {
    const exact = await said(t, noVnni, {});
    assert.equal(exact.line.level, 'info');
    assert.match(exact.line.msg, /^model bright, .*, exact int8 kernel: this processor lacks VNNI$/);
    assert.deepEqual(exact.info, ['exact', 'this processor lacks VNNI']);
    const clipping = await said(t, noVnni, { exact: 'never' });
    assert.equal(clipping.line.level, 'warn');
    assert.equal(clipping.info[0], 'saturating');
  });

  test('profile measures both kernels when asked to, and says which they are', async () => {
    const folder = tempFolder();
    const args = ['profile', '--exact', 'auto,never', '--rounds', '1', '--seconds', '0.3', '--out', 'both'];
    const { code, stdout, stderr } = await lookout(args, { cwd: folder, env: noVnni });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^exact int8 kernel: this processor lacks VNNI \(builtin/m);
    assert.match(stdout, /^saturating int8 kernel: .* \(builtin .* exact:never /m);
    const { default: report } = (await import(join(folder, 'both.json'), { with: { type: 'json' } })) as {
      default: Report;
    };
    assert.deepEqual(
      report.rows.map(({ point, kernel }) => [point.exact, kernel!.name]),
      [
        ['auto', 'exact'],
        ['never', 'saturating'],
      ],
    );
  });

  test('what the faster kernel costs is measured in answers', async (t) => {
    for (const [name, value] of Object.entries(noVnni)) {
      const before = process.env[name];
      process.env[name] = value;
      t.after(() => {
        if (before === undefined) delete process.env[name];
        else process.env[name] = before;
      });
    }
    const ask = { model: { name: 'builtin', file: BUILTIN_MODEL }, snapshots: join(tempFolder(), 'missing') };
    const { signal } = new AbortController();
    const { frames, same, largest } = await runJob('agreement', ask, { signal, timeoutMs: 60_000 });
    assert.ok(frames > 20 && same <= frames, `${same} of ${frames}`);
    assert.ok(largest > 0.02, `${largest}`);
  });

  test('the quantiser works with exact sums, too', () => {
    const file = new URL('../unit/modelkit/quantize/quantize.test.ts', import.meta.url).pathname;
    // Else the tests inside would report to the runner outside.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, ['--test', file], {
      env: { ...env, ...noVnni },
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
  });
});

/** What a daemon says of the kernel: its line in the log with its level, and the fields of `info`. */
async function said(t: TestContext, env: NodeJS.ProcessEnv, settings: object) {
  const folder = await place();
  const config = {
    device: 'dut',
    cameras: { demo: { source: { kind: 'demo' } } },
    model: { file: 'bright.onnx', ...settings },
    mqtt: { embedded_port: 0 },
  };
  const daemon = new DaemonProcess(config, folder, env);
  t.after(() => daemon.child.kill('SIGKILL'));
  const line = await daemon.line(({ msg }) => msg.includes('int8 kernel'));
  const mqtt = await daemon.line(({ msg }) => msg.startsWith('MQTT '));
  const recorder = await Recorder.connect(/mqtt:\/\/[^\s,]+/.exec(mqtt.msg)![0]);
  t.after(() => recorder.end());
  const topic = 'lookout/dut/info';
  await until('info to be published', () => recorder.last(topic) !== undefined);
  const info = JSON.parse(recorder.last(topic)!) as Record<string, string>;
  return { line, info: [info.int8_kernel, info.int8_kernel_reason] };
}
