import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { chooseModel, madeFolder, removeMade } from '../../../src/model/builtin.ts';
import { BUILTIN_MODEL, loadModel } from '../../../src/model/load-model.ts';
import { decodeModel } from '../../../src/model/onnx.ts';
import { buildModel } from '../../../src/modelkit/build.ts';
import { tempFolder } from '../../support/daemon.ts';
import { headModel } from '../../support/head.ts';

const LABELS = ['person', 'car', 'nothing'];
const published = 'cd'.repeat(32);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const builtin = { file: 'builtin', providers: ['cpu' as const] };

for (const file of [BUILTIN_MODEL, BUILTIN_MODEL.replace('.onnx', '.tensorrt.onnx')]) {
  test(`${basename(file)} multiplies only integers, with the same results on all processors`, () => {
    const { node: nodes } = decodeModel(readFileSync(file)).graph;
    const makers = new Map(nodes.map((node) => [node.output[0], node.opType]));
    const layers = nodes.filter(({ opType }) => /^(Conv|Gemm|MatMul)$/.test(opType));
    assert.equal(layers.length, 53);
    for (const { name, input } of layers) {
      const made = input.slice(0, 2).map((value) => makers.get(value));
      assert.deepEqual(made, ['DequantizeLinear', 'DequantizeLinear'], name);
    }
  });
}

describe('builtin', () => {
  const root = tempFolder();
  const folder = () => mkdtempSync(join(root, 'site-'));
  let network: Uint8Array;
  before(async () => {
    const out = join(folder(), 'network.onnx');
    const small = { family: 'v2', width: 0.1, resolution: 32, classes: 5, expansion: 1, seed: 1 } as const;
    await buildModel({ ...small, precision: 'int8', out });
    network = readFileSync(out);
  });

  /** A data folder with the network added, and a folder with a head for it. */
  function site({ wanted = published, seed = 1 } = {}) {
    const dataDir = folder();
    const home = join(dataDir, 'models', 'mine');
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'mine.onnx'), network);
    const file = { bytes: network.length, sha256: sha256(network) };
    const origin = {
      catalogue: null,
      url: 'https://example.org/mine.tflite',
      published: { bytes: 1, sha256: published },
      file,
      licence: null,
      addedAt: '2026-01-01T00:00:00.000Z',
    };
    writeFileSync(join(home, 'origin.json'), JSON.stringify(origin));
    const heads = folder();
    const putHead = (headSeed: number) => {
      const { bytes } = headModel({ sha256: wanted, features: 1280, labels: LABELS, seed: headSeed });
      writeFileSync(join(heads, 'head.onnx'), bytes);
    };
    putHead(seed);
    return { dataDir, heads, putHead, home };
  }

  test('is the model of the package if no network with a head was added', async () => {
    const { heads } = site();
    const plain = { file: BUILTIN_MODEL, note: null, network: null };
    assert.deepEqual(await chooseModel(builtin, { dataDir: folder(), heads }), plain);
    const other = site({ wanted: 'ef'.repeat(32) });
    assert.deepEqual(await chooseModel(builtin, other), plain);
    const none = { dataDir: other.dataDir, heads: join(other.heads, 'nowhere') };
    assert.deepEqual(await chooseModel(builtin, none), plain);
  });

  test('is the added network with the head, and its labels and events', async () => {
    const options = site();
    const { file, note, network: name } = await chooseModel(builtin, options);
    assert.deepEqual(note, {
      text: "builtin runs the added model mine with the package's own head",
      problem: false,
    });
    assert.equal(name, 'mine');
    const { description } = await loadModel({ file }, '/');
    assert.deepEqual(description.labels, LABELS);
    assert.deepEqual(description.events, { person: { on: 0.7 } });
    assert.equal(description.warning, null);
    assert.deepEqual([description.input.width, description.input.type], [32, 'uint8']);
  });

  test('is built once, and again when the head changes', async () => {
    const options = site();
    const first = await chooseModel(builtin, options);
    const bytes = readFileSync(first.file);
    assert.ok(first.file.startsWith(madeFolder(options.dataDir)), first.file);
    writeFileSync(first.file, 'kept as it is');
    assert.equal((await chooseModel(builtin, options)).file, first.file);
    assert.equal(readFileSync(first.file, 'utf8'), 'kept as it is');
    const names = () => readdirSync(madeFolder(options.dataDir)).sort();
    options.putHead(2);
    const second = await chooseModel(builtin, options);
    assert.notEqual(second.file, first.file);
    assert.notDeepEqual(readFileSync(second.file), bytes);
    assert.deepEqual(
      names(),
      [first, second].map(({ file }) => basename(file)).sort(),
      'what was changed stays',
    );

    writeFileSync(first.file, bytes);
    const own = join(madeFolder(options.dataDir), '0123456789abcdef.onnx');
    writeFileSync(own, bytes);
    options.putHead(3);
    const third = await chooseModel(builtin, options);
    assert.deepEqual(names(), [own, third.file].map((file) => basename(file)).sort());
    await removeMade(options.dataDir);
    assert.deepEqual(names(), [basename(own)]);
  });

  test('is the model of the package, with the reason, if the network or the head is damaged', async () => {
    const changed = site();
    writeFileSync(join(changed.home, 'mine.onnx'), network.subarray(0, 1000));
    const damaged = site();
    writeFileSync(join(damaged.heads, 'head.onnx'), 'no head');
    const blocked = site();
    writeFileSync(madeFolder(blocked.dataDir), 'a file where a folder should be');
    for (const options of [changed, damaged, blocked]) {
      const { file, note } = await chooseModel(builtin, options);
      assert.equal(file, BUILTIN_MODEL);
      assert.equal(note?.problem, true);
      assert.match(
        note.text,
        /^builtin runs the package's own model: cannot put its head on an added model: ./,
      );
    }
  });

  test('leaves every other model unchanged', async () => {
    const { dataDir, heads } = site();
    const named = { file: '/etc/birds.onnx', providers: builtin.providers };
    assert.equal((await chooseModel(named, { dataDir, heads })).file, '/etc/birds.onnx');
  });
});
