import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelFile } from '../../../src/config/names.ts';
import type { LookoutError } from '../../../src/errors.ts';
import { resolveAddRequest } from '../../../src/modelkit/add-request.ts';
import { type Catalogue, loadCatalogue, parseCatalogue } from '../../../src/modelkit/catalogue.ts';

const PINNED = 'mobilenet_v2_imagenet';
const UNPINNED = 'mobilenet_v2_inat_insect';
const HASH = 'a'.repeat(64);

const refusedWith = (code: string, message: RegExp) => (error: LookoutError) => {
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('the catalogue has models that are published for small boards', () => {
  assert.deepEqual(Object.keys(loadCatalogue()), [
    'mobilenet_v2_imagenet',
    'mobilenet_v2_inat_bird',
    'mobilenet_v2_inat_insect',
    'mobilenet_v2_inat_plant',
    'mobilenet_v2_onnx_zoo',
  ]);
});

test('every URL in the catalogue names a commit', () => {
  for (const { file, labels } of Object.values(loadCatalogue())) {
    for (const { url } of [file, labels]) assert.match(url, /\/[0-9a-f]{40}\//);
  }
});

test('a catalogue with an unknown field, a short checksum or plain http is refused', () => {
  const good: Catalogue = loadCatalogue();
  const { file, ...rest } = good[PINNED]!;
  for (const bad of [
    { ...rest, file, extra: 1 },
    { ...rest, file: { ...file, sha256: 'abc' } },
    { ...rest, file: { ...file, url: 'http://example.org/m.tflite' } },
  ]) {
    assert.throws(() => parseCatalogue({ [PINNED]: bad }));
  }
});

test('a name resolves to its URL and checksum', () => {
  const wanted = resolveAddRequest(PINNED, {});
  const { file } = loadCatalogue()[PINNED]!;
  assert.deepEqual(
    [wanted.name, wanted.url, wanted.sha256, wanted.catalogue?.name],
    [PINNED, file.url, file.sha256, PINNED],
  );
});

test('a model without a known checksum needs one from the user', () => {
  assert.throws(() => resolveAddRequest(UNPINNED, {}), refusedWith('MODEL_CHECKSUM_UNKNOWN', /insect/));
  assert.equal(resolveAddRequest(UNPINNED, { sha256: HASH.toUpperCase() }).sha256, HASH);
  const address = 'https://example.org/models/My Birds-1.0.tflite';
  assert.throws(() => resolveAddRequest(address, {}), refusedWith('MODEL_CHECKSUM_UNKNOWN', /example/));
  assert.equal(resolveAddRequest(address, { sha256: HASH }).name, 'my_birds-1_0');
});

test('the published checksum cannot be overridden', () => {
  assert.throws(
    () => resolveAddRequest(PINNED, { sha256: HASH }),
    refusedWith('MODEL_CHECKSUM', /published/),
  );
  assert.throws(() => resolveAddRequest(PINNED, { sha256: 'abc' }), refusedWith('USAGE', /64 hexadecimal/));
});

test('an unknown name is refused with a suggestion, and model names are simple', () => {
  assert.throws(
    () => resolveAddRequest('mobilenet_v2_imagenett', {}),
    refusedWith('MODEL_UNKNOWN', /mobilenet_v2_imagenet\b/),
  );
  for (const name of ['../x', 'builtin', 'A', '']) {
    assert.throws(() => resolveAddRequest(PINNED, { name }), refusedWith('USAGE', /--name/));
  }
});

test('model.file is a name or a path', () => {
  assert.equal(modelFile('builtin', '/etc', '/var'), 'builtin');
  assert.equal(modelFile('birds', '/etc', '/var'), '/var/models/birds/birds.onnx');
  assert.equal(modelFile('birds.onnx', '/etc', '/var'), '/etc/birds.onnx');
  assert.equal(modelFile('./birds', '/etc', '/var'), '/etc/birds');
});
