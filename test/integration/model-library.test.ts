import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { breakAfter, FileServer, serve } from '../fakes/file-server.ts';
import { TunnelProxy } from '../fakes/tunnel-proxy.ts';
import { type Certificate, issue, makeCa } from '../support/certificates.ts';
import { lookout } from '../support/cli.ts';
import { tempFolder } from '../support/daemon.ts';
import { floatModel } from '../support/float-model.ts';
import { requires, requiresShared, shared } from '../support/requires.ts';

const TFLITE = 'models/mobilenet_v2_1.0_224_quant.tflite';
const BIRDS = 'models/mobilenet_v2_1.0_224_inat_bird_quant.tflite';
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const bytes = floatModel();
const description = { input: { mean: [0, 0, 0], scale: [1, 1, 1], width: 8, height: 8 } };
/** The variables of whoever runs the tests must not matter. */
const noProxy = {
  HTTPS_PROXY: '',
  https_proxy: '',
  HTTP_PROXY: '',
  http_proxy: '',
  NO_PROXY: '',
  no_proxy: '',
};

/** A folder with a description for the small model. */
function workFolder(): string {
  const folder = tempFolder();
  writeFileSync(join(folder, 'd.json'), JSON.stringify(description));
  return folder;
}

const modelsIn = (folder: string) => {
  const models = join(folder, 'data/models');
  return existsSync(models) ? readdirSync(models) : [];
};

describe('a model from the catalogue', {
  skip: requiresShared(TFLITE, BIRDS, 'data/photos/parrot.jpg'),
}, () => {
  const original = tempFolder();
  before(async () => {
    const from = ['--from', shared(TFLITE)];
    const added = await lookout(['model', 'add', 'mobilenet_v2_imagenet', ...from], { cwd: original });
    assert.equal(added.code, 0, added.stderr);
    writeFileSync(join(original, 'lookout.yaml'), 'model: { file: mobilenet_v2_imagenet }\n');
  });

  /** A folder of its own where the model was added and is in use. */
  const place = () => {
    const folder = tempFolder();
    cpSync(original, folder, { recursive: true });
    return folder;
  };

  test('is added from an offline copy and used by its name', async () => {
    const cwd = tempFolder();
    const added = await lookout(['model', 'add', 'mobilenet_v2_imagenet', '--from', shared(TFLITE)], { cwd });
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stdout, /use it +model: \{ file: mobilenet_v2_imagenet \}/);

    writeFileSync(join(cwd, 'lookout.yaml'), 'model: { file: mobilenet_v2_imagenet }\n');
    for (const how of [
      ['--model', 'mobilenet_v2_imagenet'],
      ['--config', 'lookout.yaml'],
    ]) {
      const photo = shared('data/photos/parrot.jpg');
      const { code, stdout, stderr } = await lookout(['classify', ...how, '--json', '--top', '1', photo], {
        cwd,
      });
      assert.equal(code, 0, stderr);
      assert.equal((JSON.parse(stdout) as { top: { label: string }[] }).top[0]?.label, 'macaw');
    }
    const again = await lookout(['model', 'add', 'mobilenet_v2_imagenet', '--from', shared(TFLITE)], { cwd });
    assert.match(again.stdout, /already, unchanged/);
  });

  test('is listed with what it is and whether it is in use', async () => {
    const cwd = place();
    const { stdout } = await lookout(['model', 'list', '--config', 'lookout.yaml', '--json'], { cwd });
    const { added, available } = JSON.parse(stdout) as {
      added: {
        name: string;
        input: string;
        labels: number;
        licence: string;
        inUse: boolean;
        problem: null;
      }[];
      available: { name: string; file: { sha256: string | null } }[];
    };
    const [model] = added;
    assert.deepEqual(
      [added.length, model?.name, model?.input, model?.labels, model?.licence, model?.inUse, model?.problem],
      [1, 'mobilenet_v2_imagenet', '224×224 uint8', 1001, 'Apache-2.0', true, null],
    );
    assert.equal(available.find(({ name }) => name === 'mobilenet_v2_inat_plant')?.file.sha256, null);
    const plain = await lookout(['model', 'list'], { cwd });
    assert.match(plain.stdout, /mobilenet_v2_inat_plant\n.*\n.*needs --sha256/);
  });

  test('is verified, and removed only when nobody uses it', async () => {
    const cwd = place();
    const file = join(cwd, 'data/models/mobilenet_v2_imagenet/mobilenet_v2_imagenet.onnx');
    assert.match((await lookout(['model', 'verify'], { cwd })).stdout, /: unchanged, sha256/);
    const sound = readFileSync(file);
    writeFileSync(file, sound.with(sound.length >> 1, sound[sound.length >> 1]! ^ 1));
    const changed = await lookout(['model', 'verify', 'mobilenet_v2_imagenet'], { cwd });
    assert.equal(changed.code, 78);
    assert.match(changed.stderr, /^MODEL_C(HECKSUM|ORRUPT)/);

    const remove = ['model', 'remove', 'mobilenet_v2_imagenet', '--config', 'lookout.yaml'];
    const used = await lookout(remove, { cwd });
    assert.equal(used.code, 78);
    assert.match(used.stderr, /^MODEL_IN_USE: .*: model\.file$/m);
    assert.equal((await lookout([...remove, '--force'], { cwd })).code, 0);
    assert.deepEqual(modelsIn(cwd), []);
    const gone = await lookout(['check-config', 'lookout.yaml'], { cwd });
    assert.match(gone.stderr, /MODEL_MISSING.*\n.*lookout model list/);
  });

  test('is refused when the copy is another file', async () => {
    const cwd = tempFolder();
    const result = await lookout(['model', 'add', 'mobilenet_v2_imagenet', '--from', shared(BIRDS)], { cwd });
    assert.equal(result.code, 78);
    assert.match(result.stderr, /^MODEL_CHECKSUM: .*expected sha256 7aad0c74/);
    assert.deepEqual(modelsIn(cwd), []);
  });

  test('says that a full disk is full, and leaves nothing there', { skip: tmpfsMissing() }, async () => {
    const cwd = tempFolder();
    const disk = tempFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', disk]);
    try {
      const env = { LOOKOUT__data_dir: disk };
      const add = ['model', 'add', 'mobilenet_v2_imagenet', '--from', shared(TFLITE)];
      const full = await lookout(add, { cwd, env });
      assert.equal(full.code, 78);
      assert.match(full.stderr, /^MODEL_WRITE_FAILED: .*ENOSPC/);
      assert.deepEqual(readdirSync(join(disk, 'models')), []);
      const big = new FileServer(serve(new Uint8Array(8_000_000)));
      await big.start();
      const download = ['model', 'add', big.url('/big.onnx'), '--sha256', 'a'.repeat(64)];
      const { stderr } = await lookout(download, { cwd, env: { ...env, ...noProxy } });
      big.stop();
      assert.match(stderr, /\nMODEL_WRITE_FAILED: .*ENOSPC/);
      assert.deepEqual(readdirSync(join(disk, 'models')), []);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

describe('a model from an address', () => {
  test('is fetched over a connection that breaks', async (t) => {
    const server = new FileServer(breakAfter(100, bytes), serve(bytes));
    await server.start();
    t.after(() => server.stop());
    const cwd = workFolder();
    const add = ['model', 'add', server.url('/means.onnx'), '--description', 'd.json'];
    const unknown = await lookout(add, { cwd, env: noProxy });
    assert.deepEqual([unknown.code, unknown.stderr.split(':')[0]], [78, 'MODEL_CHECKSUM_UNKNOWN']);
    assert.equal(server.requests.length, 0, 'nothing is fetched that nobody can check');

    const added = await lookout([...add, '--sha256', sha256(bytes)], { cwd, env: noProxy });
    assert.equal(added.code, 0, added.stderr);
    assert.match(added.stderr, /retrying in 2 s|retrying in 1 s/);
    assert.match(added.stderr, /downloading: 100 %/);
    assert.equal(server.requests[1]?.headers.range, 'bytes=100-');
    const inspected = await lookout(['model', 'inspect', 'means', '--json'], { cwd });
    assert.equal((JSON.parse(inspected.stdout) as { sha256: string }).sha256, sha256(bytes));
    assert.deepEqual(modelsIn(cwd), ['means']);
  });

  test('leaves nothing when its bytes are others', async (t) => {
    const server = new FileServer(serve(bytes));
    await server.start();
    t.after(() => server.stop());
    const cwd = workFolder();
    const add = ['model', 'add', server.url('/means.onnx'), '--sha256', 'a'.repeat(64)];
    const { code, stderr } = await lookout(add, { cwd, env: noProxy });
    assert.equal(code, 78);
    assert.match(stderr, /\nMODEL_CHECKSUM: .*expected sha256 aaaa/);
    assert.deepEqual(modelsIn(cwd), []);
  });

  test('cannot be a word that the catalogue does not know', async () => {
    const cwd = workFolder();
    const { code, stderr } = await lookout(['model', 'add', 'mobilenet_v2_imagenett'], { cwd });
    assert.equal(code, 78);
    assert.match(stderr, /^MODEL_UNKNOWN: .*mobilenet_v2_imagenet\b/);
    for (const command of ['verify', 'remove']) {
      assert.match((await lookout(['model', command, 'absent'], { cwd })).stderr, /^MODEL_UNKNOWN/);
    }
  });
});

describe('behind a proxy', () => {
  const folder = tempFolder();
  let ca: Certificate;
  let port: number;
  let close: () => void;
  before(async () => {
    ca = makeCa(folder, 'ca');
    const { cert, key } = issue(folder, ca, 'models', 'DNS:models.example');
    const handler = serve(bytes);
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
    close = () => {
      server.close();
      server.closeAllConnections();
    };
  });
  after(() => close());

  const add = (cwd: string, env: NodeJS.ProcessEnv) => {
    const address = ['https://models.example/means.onnx', '--sha256', sha256(bytes)];
    return lookout(['model', 'add', ...address, '--description', 'd.json'], {
      cwd,
      env: { ...noProxy, NODE_EXTRA_CA_CERTS: ca.cert, ...env },
    });
  };

  test('models come through HTTPS_PROXY, which also looks up their host', async (t) => {
    const proxy = new TunnelProxy(port);
    await proxy.start();
    t.after(() => proxy.stop());
    const cwd = workFolder();
    const { code, stderr } = await add(cwd, { HTTPS_PROXY: proxy.url });
    assert.equal(code, 0, stderr);
    assert.deepEqual(proxy.targets, ['models.example:443']);
    assert.deepEqual(modelsIn(cwd), ['means']);

    const nowhere = workFolder();
    const untrusted = await add(nowhere, { HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: '' });
    assert.equal(untrusted.code, 70);
    assert.match(untrusted.stderr, /MODEL_DOWNLOAD_FAILED: .*certificate/);

    const before = proxy.targets.length;
    const past = await add(nowhere, { HTTPS_PROXY: proxy.url, NO_PROXY: 'models.example' });
    assert.match(past.stderr, /MODEL_DOWNLOAD_FAILED: .*models\.example/);
    assert.equal(proxy.targets.length, before, 'NO_PROXY keeps it out');
  });

  test('a proxy that refuses is named, at once', async (t) => {
    const proxy = new TunnelProxy(null);
    await proxy.start();
    t.after(() => proxy.stop());
    const cwd = workFolder();
    const { code, stderr } = await add(cwd, { HTTPS_PROXY: proxy.url });
    assert.equal(code, 70);
    assert.match(stderr, /MODEL_DOWNLOAD_FAILED: .*407/);
    assert.equal(proxy.targets.length, 1);
    assert.deepEqual(modelsIn(cwd), []);
  });
});

/** The reason why no small disk can be made here, or false. */
function tmpfsMissing(): string | false {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  const missing = requires('mount', 'umount');
  if (missing) return missing;
  const probe = tempFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return false;
  } catch {
    return 'this machine does not let us mount a small disk';
  }
}
