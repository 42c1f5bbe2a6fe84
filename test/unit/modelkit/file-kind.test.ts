import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignFile } from '../../../src/modelkit/file-kind.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** An archive of empty files. */
function zip(...names: string[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const name of names) {
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([latin1('PK\x03\x04'), shared, latin1(name)]);
    const entry = Buffer.concat([latin1('PK\x01\x02\x14\x00'), shared, Buffer.alloc(14), latin1(name)]);
    entry.writeUInt32LE(offset, 42);
    locals.push(local);
    directory.push(entry);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(names.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}

const CASES: [file: string, bytes: Buffer, is: RegExp, todo: RegExp][] = [
  ['m.h5', latin1('\x89HDF\r\n\x1a\n'), /a Keras model/, /from_keras_model/],
  ['m.keras', zip('metadata.json', 'config.json', 'model.weights.h5'), /a Keras model/, /from_keras_model/],
  ['m.pt', zip('archive/data.pkl', 'archive/data/0'), /a PyTorch checkpoint/, /torch\.onnx\.export/],
  ['m.pth', latin1('\x80\x02\x8a\x0al\xfc'), /PyTorch/, /torch\.onnx\.export/],
  ['saved_model.pb', latin1('\x08\x01\x12\x05abcde'), /SavedModel/, /from_saved_model/],
  ['tm.zip', zip('labels.txt', 'model.tflite'), /a ZIP archive with model\.tflite inside/, /Unpack it/],
  ['m.zip', zip('readme.txt'), /a ZIP archive;/, /Unpack it/],
  ['m.tar.gz', latin1('\x1f\x8b\x08'), /an archive/, /Unpack it/],
  ['m.tflite', latin1('<!DOCTYPE html>\n<html>'), /a web page/, /Download or Raw/],
  ['m.onnx', latin1('\n\n<html lang="en">'), /a web page/, /Download or Raw/],
  [
    'm.tflite',
    latin1('version https://git-lfs.github.com/spec/v1\noid'),
    /a Git LFS pointer/,
    /git lfs pull/,
  ],
  [
    'model.json',
    latin1('{"modelTopology":{"class_name"'),
    /a TensorFlow\.js model/,
    /TensorFlow Lite › Quantized/,
  ],
  ['m.json', latin1('{"a":1}'), /a JSON file/, /model file itself/],
  ['m.xml', latin1('<?xml version="1.0"?><net name="m"'), /OpenVINO/, /Export it/],
  ['m.ort', latin1('\x20\x00\x00\x00ORTM'), /own format/, /Use the ONNX/],
  ['m.hef', latin1('\x01HEF'), /compiled for a Hailo chip/, /that it was made from/],
  ['m.rknn', latin1('RKNN'), /compiled for a Rockchip NPU/, /that it was made from/],
  ['m.engine', latin1('\x00\x00\x00\x00'), /a TensorRT engine/, /that it was made from/],
  ['m.safetensors', latin1('\x10\x00\x00\x00\x00\x00\x00\x00{"x":'), /only weights/, /Export it/],
  ['m.cc', latin1('#include "m.h"\nconst unsigned char m[] = {\n  0x1c, 0x00'), /C source/, /\.tflite file/],
  ['m.jpg', latin1('\xff\xd8\xff\xe0'), /an image file/, /Name the model file/],
];

for (const [file, bytes, is, todo] of CASES) {
  test(`${file} of ${JSON.stringify(bytes.toString('latin1', 0, 12))} is recognised by its bytes or its name`, () => {
    const error = foreignFile(bytes, file, 'an ONNX model');
    assert.equal(error?.code, 'MODEL_FORMAT_UNSUPPORTED');
    assert.match(error.message, is);
    assert.match(error.message, /; expected an ONNX model$/);
    assert.match(error.hint ?? '', todo);
  });
}

test('unknown bytes are not recognised', () => {
  assert.equal(foreignFile(latin1('nothing in particular'), 'm.onnx', 'an ONNX model'), null);
  assert.equal(foreignFile(Buffer.alloc(0), 'm.pt', 'an ONNX model'), null);
});
