import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { createSource } from '../../src/capture/create.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { sourceSchema } from '../../src/config/sources.ts';
import { chooseModel } from '../../src/model/builtin.ts';
import { loadModel } from '../../src/model/load-model.ts';
import { printable } from '../../src/runtime/printable.ts';
import type { RawFrame } from '../../src/types.ts';
import { Classifier } from '../../src/vision/classifier.ts';
import { FakeSink } from '../fakes/sink.ts';
import { lookout, type Result } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { imageKinds } from '../support/image-kinds.ts';
import { fakeContext } from '../support/programs.ts';

/** A car is seen in all that show it; the score may differ as much as the colours do. */
const LEAST_SCORE = 0.6;

const kinds = await imageKinds();
const bytesOf = (name: string) => kinds.find((kind) => kind.name === name)!.bytes;

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

describe('image files of every kind', () => {
  const folder = tempFolder();
  let classifier: Classifier;

  before(async () => {
    for (const { name, bytes } of kinds) writeFileSync(join(folder, name), bytes);
    const { config, baseDir } = loadConfig({ env: {} });
    const { file } = await chooseModel(config.model, { dataDir: folder });
    classifier = Classifier.open(await loadModel({ ...config.model, file }, baseDir), config.model);
  });

  it('are at least 45', () => assert.ok(kinds.length >= 45, String(kinds.length)));

  /** Whether classify said of each file what was expected, and in one line. */
  function check({ code, stdout, stderr }: Result, shown: (name: string) => string): void {
    const answers = new Map(
      stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { file: string; top: { label: string; score: number }[] })
        .map(({ file, top }) => [file, top[0]!]),
    );
    const lines = stderr.trimEnd().split('\n');
    let refused = 0;
    for (const { name, expected } of kinds) {
      const answer = answers.get(shown(name));
      const said = lines.filter((line) => line.startsWith(`IMAGE_UNREADABLE: ${printable(shown(name))}: `));
      if (expected instanceof RegExp) {
        refused++;
        assert.equal(answer, undefined, name);
        assert.equal(said.length, 1, `${name}: ${said.join('\n')}`);
        assert.match(said[0]!.slice(`IMAGE_UNREADABLE: ${printable(shown(name))}: `.length), expected, name);
      } else {
        assert.deepEqual(said, [], name);
        assert.ok(answer, `${name} has an answer`);
        if (expected === 'car') assert.equal(answer.label, 'car', name);
        if (expected === 'car') assert.ok(answer.score > LEAST_SCORE, `${name}: ${answer.score}`);
      }
    }
    assert.equal(code, 66);
    assert.equal(answers.size, kinds.length - refused);
    assert.deepEqual(lines.slice(refused), [
      `IMAGE_UNREADABLE: cannot read ${refused} of ${kinds.length} image files`,
      'The lines above give the reason for each file.',
    ]);
  }

  it('are answered or refused by classify, by name and as a folder', async () => {
    const files = kinds.map(({ name }) => join(folder, name));
    check(await lookout(['classify', '--json', '-k', '1', ...files]), (name) => join(folder, name));
    check(await lookout(['classify', '--json', '-k', '1', folder]), (name) => join(folder, name));
  });

  it('are printed with names that neither break a line nor steer a terminal', async () => {
    const { stdout, stderr } = await lookout(['classify', '-k', '1', folder]);
    assert.doesNotMatch(stdout + stderr, /(?!\n)\p{Cc}/u);
    assert.match(stdout, /line\\nbreak\.png\n {3}\d\d\.\d %/);
    assert.match(stdout, /\\x1b\[31mred\\x07\.png\n/);
  });

  const replay = (path: string) =>
    createSource(sourceSchema.parse({ kind: 'replay', path, pace: 'consumed', loop: false }), {
      ...fakeContext(),
      env: { PATH: '/nowhere' },
    });

  function answer({ format, data }: RawFrame) {
    return classifier.classify({ format, data: new Uint8Array(data) }, 1)[0]!;
  }

  it('are played or refused by replay, each by itself', async () => {
    for (const { name, expected } of kinds) {
      const sink = new FakeSink();
      const play = async () => (await replay(join(folder, name))).run(sink, new AbortController().signal);
      if (expected instanceof RegExp) {
        // Nothing but ffmpeg knows whether it is a video.
        const code = /^CAPTURE_(FILE|PROGRAM_MISSING)$/;
        await assert.rejects(play(), { code }, name);
        assert.deepEqual(sink.frames, []);
        continue;
      }
      await play();
      assert.equal(sink.frames.length, 1, name);
      const { label, score } = answer(sink.frames[0]!);
      if (expected === 'car') assert.equal(label, 'car', name);
      if (expected === 'car') assert.ok(score > LEAST_SCORE, `${name}: ${score}`);
    }
  });

  it('are the same upright and turned', async () => {
    const frames = new Map<string, Uint8Array>();
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const sink = new FakeSink();
      await (await replay(join(folder, `exif ${orientation}.jpg`))).run(sink, new AbortController().signal);
      frames.set(String(orientation), new Uint8Array(sink.frames[0]!.data));
      assert.deepEqual(sink.frames[0]!.format, {
        width: 640,
        height: 480,
        pixels: 'rgb24',
        colour: 'jpeg',
      });
    }
    const upright = frames.get('1')!;
    for (const [orientation, frame] of frames) {
      let sum = 0;
      for (const [index, level] of upright.entries()) sum += Math.abs(level - frame[index]!);
      // Compression differs by less than two levels; another orientation by more than twenty.
      assert.ok(sum / upright.length < 2, `exif ${orientation}: differs by ${sum / upright.length}`);
    }
  });

  it('go through a daemon, which says once what it skipped', { timeout: 60_000 }, async () => {
    const camera = {
      source: { kind: 'replay', path: folder, pace: 'consumed', loop: false },
      gate: 'always',
    };
    const daemon = new DaemonProcess(
      {
        cameras: { yard: camera },
        labels: { car: {} },
        store: { log_threshold: 0.01 },
        mqtt: { embedded_port: 0 },
      },
      tempFolder(),
    );
    const { code } = await daemon.exited;
    assert.equal(code, 0);
    const refused = kinds.filter(({ expected }) => expected instanceof RegExp);
    const said = daemon.log.filter(({ msg }) => msg.startsWith('skipped '));
    assert.equal(said.length, 1);
    assert.match(said[0]!.msg, new RegExp(`^skipped ${refused.length} of ${kinds.length} files: `));
    assert.deepEqual(
      daemon.log.filter(({ level }) => !['info', 'debug'].includes(level)).map(({ msg }) => msg),
      [said[0]!.msg],
    );
  });
});

describe('what is no image file', () => {
  const folder = tempFolder();

  it('is named by classify, and nothing hangs', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
    const server = createServer().listen(join(folder, 'socket.jpg'));
    mkdirSync(join(folder, 'empty'));
    mkdirSync(join(folder, 'notes'));
    writeFileSync(join(folder, 'notes', 'a.txt'), 'text');
    execFileSync('mkfifo', [join(folder, 'notes', 'pipe')]);
    symlinkSync('nowhere.jpg', join(folder, 'dangling.jpg'));
    symlinkSync('loop.jpg', join(folder, 'loop.jpg'));
    const cases: [string, string][] = [
      [join(folder, 'pipe.jpg'), 'found a named pipe \\(FIFO\\)'],
      [join(folder, 'socket.jpg'), 'found a socket'],
      ['/dev/null', 'found a device'],
      ['/dev/zero', 'found a device'],
      [join(folder, 'empty'), 'found a folder without images'],
      [join(folder, 'notes'), 'found a folder without images'],
      [join(folder, 'dangling.jpg'), 'no such file'],
      [join(folder, 'absent.jpg'), 'no such file'],
      [join(folder, 'loop.jpg'), 'it is a symbolic link loop'],
    ];
    const { code, stdout, stderr } = await lookout(['classify', ...cases.map(([file]) => file)]);
    server.close();
    assert.equal(code, 66);
    assert.equal(stdout, '');
    for (const [file, reason] of cases) {
      assert.match(stderr, new RegExp(`^IMAGE_UNREADABLE: ${escaped(file)}: .*${reason}$`, 'm'));
    }
  });

  it('is left out of a folder unless it is named like an image', async () => {
    const mixed = join(folder, 'mixed');
    mkdirSync(join(mixed, 'sub.jpg'), { recursive: true });
    writeFileSync(join(mixed, '10.png'), bytesOf('plain.jpg'));
    writeFileSync(join(mixed, '9'), bytesOf('plain.jpg'));
    writeFileSync(join(mixed, 'Thumbs.db'), 'thumbs');
    writeFileSync(join(mixed, 'page.jpg'), '<html>');
    const { code, stdout, stderr } = await lookout(['classify', '--json', '-k', '1', mixed]);
    const files = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { file: string }).file);
    assert.deepEqual(files, [join(mixed, '9'), join(mixed, '10.png')]);
    assert.match(stderr, /page\.jpg: .*found a web page/);
    assert.match(stderr, /^IMAGE_UNREADABLE: cannot read 1 of 3 image files$/m);
    assert.equal(code, 66);
  });
});

describe('a file whose name is not UTF-8', () => {
  const cli = new URL('../../src/cli.ts', import.meta.url).pathname;
  const bytes = (folder: string, name: string) =>
    Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);

  /** A folder with one image file of such a name. */
  function place(): string {
    const folder = tempFolder();
    writeFileSync(bytes(folder, 'caf\xe9.jpg'), bytesOf('plain.jpg'));
    return folder;
  }

  /** Runs classify with a name that the shell finds, which Node.js could not pass on. */
  function classify(folder: string, pattern: string): Promise<Result> {
    return new Promise((resolve) => {
      const command = `exec "$0" "$1" classify --json -k 1 ${pattern}`;
      const child = execFile(
        '/bin/sh',
        ['-c', command, process.execPath, cli],
        { cwd: folder },
        (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  }

  it('is classified by name and in a folder, and its name is explained', async () => {
    const folder = place();
    for (const pattern of ['caf*.jpg', '.']) {
      const { code, stdout, stderr } = await classify(folder, pattern);
      assert.equal(code, 0, stderr);
      const { file, top } = JSON.parse(stdout) as { file: string; top: { label: string }[] };
      assert.match(file, /caf\\xe9\.jpg$/);
      assert.equal(top[0]?.label, 'car');
      assert.match(
        stderr,
        /^.*caf\\xe9\.jpg: the file name is not UTF-8; invalid bytes are shown as \\xNN$/m,
      );
    }
  });

  it('is rejected when the name of another file differs only in such bytes', async () => {
    const folder = place();
    writeFileSync(bytes(folder, 'caf\xe8.jpg'), 'another');
    const { code, stderr } = await classify(folder, 'caf*.jpg');
    assert.equal(code, 66);
    assert.match(
      stderr,
      /^IMAGE_UNREADABLE: caf\ufffd\.jpg: its name is not UTF-8, and the name of another file differs/m,
    );
  });

  it('is played by replay', async () => {
    const config = sourceSchema.parse({ kind: 'replay', path: place(), pace: 'consumed', loop: false });
    const sink = new FakeSink();
    await (await createSource(config, fakeContext())).run(sink, new AbortController().signal);
    assert.equal(sink.frames.length, 1);
  });
});
