import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeModel, encodeModel, integer, metadata, setMetadata } from '../../../src/model/onnx.ts';
import { requiresShared, shared } from '../../support/requires.ts';
import { tinyModel } from './tiny-model.ts';

const real = 'models/mobilenet_v2_1.0_224_int8.onnx';

test('a real model is written back byte for byte', { skip: requiresShared(real) }, () => {
  const bytes = readFileSync(shared(real));
  const model = decodeModel(bytes);
  assert.equal(model.graph.node.length, 302);
  assert.equal(integer(model.opsetImport[0]!.version), 13);
  assert.deepEqual(Buffer.from(encodeModel(model)), bytes);
});

test('fields that are not in the schema survive a round trip', () => {
  const field = Buffer.from([0xa2, 0x01, 0x03, 0x61, 0x62, 0x63]); // field 20 (training information), 3 bytes
  const bytes = Buffer.concat([tinyModel(), field]);
  assert.deepEqual(Buffer.from(encodeModel(decodeModel(bytes))), bytes);
});

test('metadata is added and replaced', () => {
  const model = decodeModel(tinyModel({ metadata: { author: 'me' } }));
  setMetadata(model, 'lookout', 'old');
  setMetadata(model, 'lookout', 'new');
  const again = decodeModel(encodeModel(model));
  assert.equal(metadata(again, 'lookout'), 'new');
  assert.equal(metadata(again, 'author'), 'me');
  assert.equal(metadata(again, 'other'), undefined);
  assert.equal(again.metadataProps.length, 2);
});

test('bytes that are not a model are refused', () => {
  assert.throws(() => decodeModel(Buffer.from('no model at all')));
  assert.throws(() => decodeModel(new Uint8Array(0)), /no graph/);
  const bytes = tinyModel();
  for (let length = 1; length < bytes.length - 30; length++) {
    assert.throws(() => decodeModel(bytes.subarray(0, length)), `cut to ${length} bytes`);
  }
});
