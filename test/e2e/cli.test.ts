import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import { BUILTIN_MODEL } from '../../src/model/load-model.ts';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { requiresShared, shared } from '../support/requires.ts';

const COMMANDS = [
  'run',
  'check-config',
  'cameras',
  'choices',
  'classify',
  'clean',
  'doctor',
  'events',
  'export',
  'model',
  'profile',
  'schema',
  'tune',
  'version',
];
const IMAGENET = 'models/mobilenet_v2_1.0_224_int8.onnx';

describe('lookout', () => {
  it('lists every command', async () => {
    const { code, stdout } = await lookout(['--help']);
    assert.equal(code, 0);
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command}\\b`, 'm'));
  });

  for (const command of COMMANDS) {
    it(`explains ${command} with an example`, async () => {
      const { code, stdout } = await lookout([command, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, /Examples?:\n {2}\$ (sudo -u lookout )?lookout /);
    });
  }

  it('rejects an unknown command and an unknown option with exit code 64', async () => {
    for (const args of [['wacth'], ['run', '--bogus'], ['classify'], ['classify', '--top', 'x', 'a.jpg']]) {
      const { code, stderr } = await lookout(args);
      assert.equal(code, 64, args.join(' '));
      assert.match(stderr, /^error: /);
    }
  });

  it('prints its versions as JSON', async () => {
    const { stdout } = await lookout(['version', '--json']);
    const versions = JSON.parse(stdout) as Record<string, string>;
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    assert.equal(versions.lookout, manifest.version);
    assert.match(versions.onnxruntime ?? '', /^\d+\.\d+/);
    assert.match(versions.sqlite ?? '', /^3\./);
  });

  it('prevents ONNX Runtime from recording telemetry, also in threads', async () => {
    const folder = tempFolder();
    const picture = join(folder, 'grey.png');
    await sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } }).toFile(picture);
    const config = join(folder, 'lookout.yaml');
    const camera = {
      source: { kind: 'replay', path: picture, pace: 'consumed', loop: false },
      gate: 'always',
    };
    writeFileSync(config, JSON.stringify({ cameras: { one: camera }, mqtt: { embedded_port: 0 } }));
    // ONNX Runtime records nothing in CI.
    const usual = {
      CI: undefined,
      GITHUB_ACTIONS: undefined,
      TF_BUILD: undefined,
      ORT_DISABLE_TELEMETRY: undefined,
    };
    for (const args of [
      ['classify', picture],
      ['run', '--config', config],
    ]) {
      const home = tempFolder();
      const { code, stderr } = await lookout(args, { cwd: folder, env: { ...usual, HOME: home } });
      assert.equal(code, 0, stderr);
      assert.deepEqual(readdirSync(home), [], args.join(' '));
    }
  });

  it('prints a schema and an example that check-config accepts', async () => {
    const folder = tempFolder();
    const { stdout } = await lookout(['schema', '--example']);
    const file = join(folder, 'lookout.yaml');
    writeFileSync(file, stdout);
    assert.match((await lookout(['schema'])).stdout, /"title": "Lookout configuration"/);
    const { code, stderr } = await lookout(['check-config', file]);
    assert.equal(code, 0, stderr);
  });

  it('lists cameras as text and JSON', async () => {
    assert.equal((await lookout(['cameras'])).code, 0);
    assert.ok(Array.isArray(JSON.parse((await lookout(['cameras', '--json'])).stdout)));
  });

  it('writes no error when it prints the schema', async () => {
    const { stderr } = await lookout(['schema']);
    assert.equal(stderr, '');
  });
});

describe('lookout with a wrong configuration', () => {
  const cases: [what: string, yaml: string, expected: RegExp][] = [
    ['an unknown key', 'devise: x', /line 1: devise: unknown setting \(did you mean `device`\?\)/],
    ['a missing model file', 'model: { file: nowhere.onnx }', /nowhere\.onnx/],
    ['a file that is not a model', 'model: { file: lookout.yaml }', /lookout\.yaml/],
    ['an unknown label', 'labels: { prson: {} }', /prson.*did you mean `person`/],
    ['a secret that cannot be read', 'mqtt: { url: "mqtt://x", password_file: nowhere }', /nowhere/],
    ['a data folder that is a file', 'data_dir: lookout.yaml/data', /lookout\.yaml\/data/],
  ];
  for (const [what, yaml, expected] of cases) {
    it(`ends with exit code 78 because of ${what}, before a camera starts`, async () => {
      const folder = tempFolder();
      const file = join(folder, 'lookout.yaml');
      writeFileSync(file, `${yaml}\n`);
      const { code, stdout, stderr } = await lookout(['run', '--config', file], { cwd: folder });
      assert.equal(code, 78, stderr + stdout);
      assert.match(stderr, expected);
      assert.match(stderr, /^[A-Z_]+: /);
      assert.doesNotMatch(stdout, /camera is online/);
    });
  }

  it('rejects a label file of the wrong length', async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, 'labels.txt'), 'one\ntwo\n');
    const file = join(folder, 'lookout.yaml');
    writeFileSync(file, `model: { file: ${BUILTIN_MODEL}, labels: labels.txt }\n`);
    const { code, stderr } = await lookout(['check-config', file]);
    assert.equal(code, 78);
    assert.match(stderr, /MODEL_LABELS_MISMATCH: .*11.*2/s);
  });
});

describe('lookout classify', { skip: requiresShared(IMAGENET, 'data/photos/photos.csv') }, () => {
  const rows = requiresShared('data/photos/photos.csv') ? [] : photos();

  it('prints the known label of each photo, one JSON line per image file', async () => {
    const files = rows.map(({ file }) => shared(`data/photos/${file}`));
    const { code, stdout, stderr } = await lookout([
      'classify',
      '--model',
      shared(IMAGENET),
      '--json',
      '--top',
      '2',
      ...files,
    ]);
    assert.equal(code, 0, stderr);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; top: { label: string; score: number }[] });
    assert.deepEqual(
      lines.map(({ file }) => file),
      files,
    );
    for (const [i, { top }] of lines.entries()) {
      const { file, label, probability } = rows[i]!;
      assert.equal(top.length, 2);
      assert.equal(top[0]?.label, label, file);
      assert.ok(
        Math.abs((top[0]?.score ?? 0) - probability) < 0.08,
        `${file}: ${top[0]?.score} for ${probability}`,
      );
    }
  });

  it('reports image files that it cannot read, classifies the others and exits with 66', async () => {
    const folder = tempFolder();
    const corrupt = join(folder, 'corrupt.jpg');
    writeFileSync(corrupt, readFileSync(shared('data/photos/cat.jpg')).subarray(0, 300));
    const files = [corrupt, join(folder, 'absent.jpg'), shared('data/photos/bird.jpg')];
    const { code, stdout, stderr } = await lookout([
      'classify',
      '--model',
      shared(IMAGENET),
      '--json',
      ...files,
    ]);
    assert.equal(code, 66);
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.match(stderr, /IMAGE_UNREADABLE: .*corrupt\.jpg/);
    assert.match(stderr, /IMAGE_UNREADABLE: .*absent\.jpg/);
  });
});

/** File, expected label and probability of photos.csv, in which labels may be quoted. */
function photos(): { file: string; label: string; probability: number }[] {
  const lines = readFileSync(shared('data/photos/photos.csv'), 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => {
    const [, file = '', quoted, plain, probability] =
      /^([^,]+),(?:"([^"]+)"|([^,]+)),([\d.]+)/.exec(line) ?? [];
    return { file, label: quoted ?? plain ?? '', probability: Number(probability) };
  });
}
