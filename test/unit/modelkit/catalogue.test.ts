import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelFile } from '../../../src/config/names.ts';
import type { LookoutError } from '../../../src/errors.ts';
import { type Catalogue, loadCatalogue, parseCatalogue } from '../../../src/modelkit/catalogue.ts';
import { wantedModel } from '../../../src/modelkit/wanted.ts';

const PINNED = 'mobilenet_v2_imagenet';
const UNPINNED = 'mobilenet_v2_inat_insect';
const HASH = 'a'.repeat(64);

const refusedWith = (code: string, message: RegExp) => (error: LookoutError) => {
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('the catalogue has the models that are published for boards like these', () => {
  assert.deepEqual(Object.keys(loadCatalogue()), [
    'mobilenet_v2_imagenet',
    'mobilenet_v2_inat_bird',
    'mobilenet_v2_inat_insect',
    'mobilenet_v2_inat_plant',
    'mobilenet_v2_onnx_zoo',
  ]);
});

test('every address in the catalogue names a commit', () => {
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

test('a name stands for its address and checksum', () => {
  const wanted = wantedModel(PINNED, {});
  const { file } = loadCatalogue()[PINNED]!;
  assert.deepEqual(
    [wanted.name, wanted.url, wanted.sha256, wanted.catalogue?.name],
    [PINNED, file.url, file.sha256, PINNED],
  );
});

test('a model without a known checksum needs one from the user', () => {
  assert.throws(() => wantedModel(UNPINNED, {}), refusedWith('MODEL_CHECKSUM_UNKNOWN', /insect/));
  assert.equal(wantedModel(UNPINNED, { sha256: HASH.toUpperCase() }).sha256, HASH);
  const address = 'https://example.org/models/My Birds-1.0.tflite';
  assert.throws(() => wantedModel(address, {}), refusedWith('MODEL_CHECKSUM_UNKNOWN', /example/));
  assert.equal(wantedModel(address, { sha256: HASH }).name, 'my_birds-1_0');
});

test('the published checksum cannot be talked over', () => {
  assert.throws(() => wantedModel(PINNED, { sha256: HASH }), refusedWith('MODEL_CHECKSUM', /published/));
  assert.throws(() => wantedModel(PINNED, { sha256: 'abc' }), refusedWith('USAGE', /64 hexadecimal/));
});

test('an unknown name is refused with the nearest one, and names of models are simple', () => {
  assert.throws(
    () => wantedModel('mobilenet_v2_imagenett', {}),
    refusedWith('MODEL_UNKNOWN', /mobilenet_v2_imagenet\b/),
  );
  for (const name of ['../x', 'builtin', 'A', '']) {
    assert.throws(() => wantedModel(PINNED, { name }), refusedWith('USAGE', /--name/));
  }
});

test('model.file is a name or a path', () => {
  assert.equal(modelFile('builtin', '/etc', '/var'), 'builtin');
  assert.equal(modelFile('birds', '/etc', '/var'), '/var/models/birds/birds.onnx');
  assert.equal(modelFile('birds.onnx', '/etc', '/var'), '/etc/birds.onnx');
  assert.equal(modelFile('./birds', '/etc', '/var'), '/etc/birds');
});
