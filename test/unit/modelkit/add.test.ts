import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test';
import type { LookoutError } from '../../../src/errors.ts';
import { addedModel, addedModels, stagePrefix, verifyModel } from '../../../src/model/library.ts';
import { type AddRequest, addModel } from '../../../src/modelkit/add.ts';
import { loadCatalogue } from '../../../src/modelkit/catalogue.ts';
import { removeModel } from '../../../src/modelkit/remove-model.ts';
import { makeNotedFolder } from '../../../src/runtime/own-files.ts';
import { breakAfter, FileServer, serve, status } from '../../fakes/file-server.ts';
import { floatModel } from '../../support/float-model.ts';
import { tempFolder } from '../../support/folder.ts';

const zoo = loadCatalogue().mobilenet_v2_onnx_zoo!;
const bytes = Uint8Array.from(floatModel());
const labels = Buffer.from('background\nred\ngreen\nblue\n');
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const hurry = { wait: async () => {} };

let root: string;
let folder: string;
beforeEach(() => {
  root = tempFolder();
  folder = join(root, 'models');
});
afterEach(() => rmSync(root, { recursive: true }));

/** A catalogue entry for the small model, like those of the ONNX Model Zoo. */
function like(origin: string, over: Partial<AddRequest> = {}): AddRequest {
  const entry: typeof zoo = {
    ...zoo,
    file: { url: `${origin}/means.onnx`, bytes: bytes.length, sha256: sha256(bytes) },
    labels: { url: `${origin}/labels.txt`, sha256: sha256(labels), skip: 1 },
    description: { ...zoo.description!, input: { ...zoo.description!.input, width: 8, height: 8 } },
  };
  const { url, sha256: expected } = entry.file;
  return { name: 'means', catalogue: { name: 'means', entry }, url, sha256: expected!, ...over };
}

async function server(t: TestContext, ...handlers: ConstructorParameters<typeof FileServer>) {
  const source = new FileServer(...handlers);
  await source.start();
  t.after(() => source.stop());
  return source.url('');
}

const refused = (code: string, message: RegExp) => (error: LookoutError) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};
const left = () => (existsSync(folder) ? readdirSync(folder) : []);

describe('adding a model', () => {
  test('downloads model and labels, describes it, tests it and records its origin', async (t) => {
    const origin = await server(t, breakAfter(100, bytes), serve(bytes), serve(labels));
    const { description, file, origin: noted } = await addModel(folder, like(origin), hurry);
    assert.deepEqual(description.labels, ['red', 'green', 'blue'], 'without those that are to be skipped');
    assert.equal(description.name, 'means');
    assert.equal(description.output.kind, 'logits');
    assert.deepEqual(description.input.mean, [123.675, 116.28, 103.53]);
    assert.deepEqual(
      [description.input.layout, description.input.type, description.input.width],
      ['nchw', 'float32', 8],
    );
    assert.deepEqual(description.source, { file: 'means.onnx', sha256: sha256(bytes) });
    assert.deepEqual(new Uint8Array(readFileSync(file)), bytes, 'the file itself stays as published');
    assert.deepEqual(
      [noted.url, noted.published.sha256, noted.licence],
      [`${origin}/means.onnx`, sha256(bytes), 'Apache-2.0'],
    );
    assert.deepEqual(left(), ['means']);
    assert.deepEqual(readdirSync(join(folder, 'means')).sort(), ['means.json', 'means.onnx', 'origin.json']);
    const [added] = await addedModels(folder);
    const again = await verifyModel(added!);
    assert.deepEqual(again.description, description, 'it says the same when it is loaded');
  });

  test('accepts an offline copy with its labels next to it, after the same checks', async () => {
    writeFileSync(join(root, 'copy.onnx'), bytes);
    const wanted = like('https://example.org', { from: join(root, 'copy.onnx') });
    await assert.rejects(addModel(folder, wanted), (error: LookoutError) => {
      assert.match(error.hint ?? '', /https:\/\/example.org\/labels.txt/);
      return refused('MODEL_MISSING', /labels.txt/)(error);
    });
    assert.deepEqual(left(), []);
    writeFileSync(join(root, 'labels.txt'), 'other\nlabels\nthan\npublished\n');
    await assert.rejects(addModel(folder, wanted), refused('MODEL_CHECKSUM', /labels.txt/));
    writeFileSync(join(root, 'labels.txt'), labels);
    assert.deepEqual((await addModel(folder, wanted)).description.labels, ['red', 'green', 'blue']);
    assert.ok(existsSync(join(root, 'copy.onnx')), 'the copy stays');
    writeFileSync(join(root, 'copy.onnx'), bytes.subarray(1));
    await assert.rejects(
      addModel(folder, { ...wanted, name: 'other' }),
      refused('MODEL_CHECKSUM', /copy.onnx/),
    );
    await assert.rejects(
      addModel(folder, { ...wanted, name: 'other', from: join(root, 'absent.onnx') }),
      refused('MODEL_MISSING', /absent.onnx/),
    );
    assert.deepEqual(left(), ['means']);
  });

  test('leaves nothing behind if the checksum differs', async (t) => {
    const other = bytes.with(50, bytes[50]! ^ 1);
    const origin = await server(t, serve(other));
    await assert.rejects(addModel(folder, like(origin), hurry), (error: LookoutError) => {
      assert.match(error.message, new RegExp(`expected sha256 ${sha256(bytes)}, found ${sha256(other)}`));
      return refused('MODEL_CHECKSUM', /127\.0\.0\.1/)(error);
    });
    assert.deepEqual(left(), []);
  });

  test('leaves nothing behind if the file is not a model or not a supported one', async (t) => {
    const junk = Buffer.from('<html>no model</html>');
    const cases = [
      { url: '/x.onnx', data: junk, code: 'MODEL_FORMAT_UNSUPPORTED' },
      { url: '/x.tflite', data: junk, code: 'MODEL_FORMAT_UNSUPPORTED' },
      { url: '/x.bin', data: Buffer.from('PK\x03\x04 an archive'), code: 'MODEL_FORMAT_UNSUPPORTED' },
      { url: '/x.onnx', data: Buffer.from('nothing of any kind'), code: 'MODEL_CORRUPT' },
      { url: '/x.onnx', data: bytes, code: 'MODEL_DESCRIPTION_MISSING' },
    ];
    for (const { url, data, code } of cases) {
      const wanted = {
        name: 'x',
        catalogue: null,
        url: `${await server(t, serve(data))}${url}`,
        sha256: sha256(data),
      };
      await assert.rejects(addModel(folder, wanted, hurry), (error: LookoutError) => {
        assert.ok(error.message.includes(new URL(wanted.url).host), `${error.message} names the host`);
        return refused(code, /./)(error);
      });
      assert.deepEqual(left(), []);
    }
  });

  test('accepts a description and labels of the user, but not for a model with its own', async (t) => {
    const input = { mean: [0, 0, 0], scale: [1, 1, 1], width: 8, height: 8 };
    writeFileSync(join(root, 'd.json'), JSON.stringify({ input }));
    writeFileSync(join(root, 'l.txt'), 'a\nb\nc\n');
    const own = { labels: join(root, 'l.txt'), description: join(root, 'd.json') };
    const wanted = { name: 'mine', catalogue: null, sha256: sha256(bytes), ...own };
    const origin = await server(t, serve(bytes));
    const { description } = await addModel(folder, { ...wanted, url: `${origin}/m.onnx` }, hurry);
    assert.deepEqual([description.labels, description.name], [['a', 'b', 'c'], 'mine']);

    const talkative = floatModel({ lookout: JSON.stringify({ input, labels: ['x', 'y', 'z'] }) });
    const url = `${await server(t, serve(talkative))}/m.onnx`;
    const hash = { url, name: 'talks', sha256: sha256(talkative) };
    await assert.rejects(addModel(folder, { ...wanted, ...hash }, hurry), refused('USAGE', /its own/));
    const added = await addModel(folder, { catalogue: null, ...hash }, hurry);
    assert.deepEqual(added.description.labels, ['x', 'y', 'z']);
    assert.deepEqual(readdirSync(join(folder, 'talks')).sort(), ['origin.json', 'talks.onnx']);
  });

  test('does not replace another model', async (t) => {
    const origin = await server(t, serve(bytes), serve(labels));
    await addModel(folder, like(origin), hurry);
    await assert.rejects(addModel(folder, like(origin), hurry), refused('MODEL_EXISTS', /means/));
  });

  test('does not store a password in a URL', async (t) => {
    const origin = (await server(t, serve(bytes), serve(labels))).replace('//', '//me:secret@');
    const { origin: noted } = await addModel(folder, like(origin), hurry);
    assert.doesNotMatch(JSON.stringify(noted), /secret/);
  });

  test('keeps a partial download, and removing deletes it', async (t) => {
    const origin = await server(t, breakAfter(100, bytes), status(503));
    await assert.rejects(addModel(folder, like(origin), hurry), refused('MODEL_DOWNLOAD_FAILED', /503/));
    assert.deepEqual(left(), ['means.part', 'means.part.json']);
    assert.deepEqual(await removeModel(folder, 'means'), { found: true, left: [] });
    assert.deepEqual(left(), []);
    assert.deepEqual(await removeModel(folder, 'means'), { found: false, left: [] });
  });

  test('is removed without files that others added to its folder', async (t) => {
    const origin = await server(t, serve(bytes), serve(labels));
    const { file } = await addModel(folder, like(origin), hurry);
    const home = join(folder, 'means');
    writeFileSync(join(home, 'notes.txt'), 'mine');
    const elsewhere = join(folder, '.means.adding-abcdef');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'mine.onnx'), 'mine');
    writeFileSync(file, floatModel({ note: 'trained further' }));
    const changed = refused('MODEL_CHECKSUM', /means\.onnx is not the file that was added/);
    await assert.rejects(removeModel(folder, 'means'), changed);
    assert.ok(readdirSync(home).includes('origin.json'), 'nothing is deleted then');
    const left = [join(home, 'notes.txt')];
    assert.deepEqual(await removeModel(folder, 'means', true), { found: true, left });
    assert.deepEqual(readdirSync(folder).sort(), ['.means.adding-abcdef', 'means']);
    assert.deepEqual(await removeModel(folder, 'means'), { found: false, left });
  });

  test('when killed, leaves a folder that removing recognises', async () => {
    mkdirSync(folder);
    const stage = await makeNotedFolder(join(folder, stagePrefix('means')));
    writeFileSync(join(stage, 'means.tflite'), 'half of it');
    assert.deepEqual(await removeModel(folder, 'means'), { found: true, left: [] });
    assert.deepEqual(left(), []);
  });
});

describe('an added model', () => {
  test('is reported as changed if a byte of it differs or its record is damaged', async (t) => {
    const origin = await server(t, serve(bytes), serve(labels));
    const { file } = await addModel(folder, like(origin), hurry);
    const added = (await addedModel(folder, 'means'))!;
    writeFileSync(file, floatModel({ note: 'changed' }));
    await assert.rejects(verifyModel(added), refused('MODEL_CHECKSUM', /means.onnx/));
    writeFileSync(file, bytes.subarray(0, 60));
    await assert.rejects(verifyModel(added), refused('MODEL_CORRUPT', /means.onnx/));
    writeFileSync(join(folder, 'means', 'origin.json'), '{');
    await assert.rejects(addedModel(folder, 'means'), refused('MODEL_CORRUPT', /origin.json/));
  });
});
