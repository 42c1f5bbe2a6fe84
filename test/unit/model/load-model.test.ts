import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { BUILTIN_MODEL, loadModel } from '../../../src/model/load-model.ts';
import { DataType } from '../../../src/model/onnx.ts';
import { tempFolder } from '../../support/folder.ts';
import { requiresShared, shared } from '../../support/requires.ts';
import { tinyModel } from './tiny-model.ts';

const real = 'models/mobilenet_v2_1.0_224_int8.onnx';
const folders: string[] = [];
let folder = '';

beforeEach(async () => {
  folder = tempFolder();
  folders.push(folder);
});
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))));

const put = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content);
const load = (config: { description?: string; labels?: string } = {}) =>
  loadModel({ file: 'm.onnx', ...config }, folder);

async function refused(code: ErrorCode, message: RegExp, config: Parameters<typeof load>[0] = {}) {
  await assert.rejects(load(config), (error: { code: string; message: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

test('a TensorFlow Lite file is refused with the command that converts it', async () => {
  await put('m.onnx', Buffer.from('\x1c\0\0\0TFL3 and so on', 'latin1'));
  await assert.rejects(load(), {
    code: 'MODEL_FORMAT_UNSUPPORTED',
    hint: /`lookout model import .*m\.onnx`/,
  });
});

describe('a valid model', () => {
  test('without a description is described by its graph and the labels next to it', async () => {
    await put('m.onnx', tinyModel());
    await put('labels.txt', 'background\ncat\ndog\n');
    await put('other_labels.txt', 'one\ntwo\n');
    const { file, sha256, description } = await load();
    assert.equal(file, join(folder, 'm.onnx'));
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual(description, {
      name: 'm',
      task: 'classify',
      input: {
        name: 'image',
        width: 6,
        height: 4,
        layout: 'nhwc',
        type: 'uint8',
        channels: 3,
        order: 'rgb',
        mean: [0, 0, 0],
        scale: [1, 1, 1],
      },
      output: { name: 'scores', kind: 'probabilities' },
      labels: ['background', 'cat', 'dog'],
      background: ['background'],
      groups: {},
      events: {},
      warning: null,
      licence: null,
    });
  });

  test('is known by its last layer to return logits', async () => {
    await put('m.onnx', tinyModel({ last: 'Gemm', input: ['batch', 3, 4, 6] }));
    const { description } = await load();
    assert.equal(description.output.kind, 'logits');
    assert.equal(description.input.layout, 'nchw');
    assert.equal(description.input.width, 6);
  });

  test('without labels numbers its classes and warns', async () => {
    await put('m.onnx', tinyModel());
    const { description } = await load();
    assert.deepEqual(description.labels, ['class 0', 'class 1', 'class 2']);
    assert.match(description.warning ?? '', /classes are numbered/);
  });

  test('does not choose between two labels files that both fit', async () => {
    await put('m.onnx', tinyModel());
    await put('a_labels.txt', 'a\nb\nc\n');
    await put('b_labels.txt', 'd\ne\nf\n');
    assert.match((await load()).description.warning ?? '', /several label files fit/);
  });

  test('prefers its own description to the file next to it', async () => {
    const inside = JSON.stringify({ name: 'inside', labels: ['a', 'b', 'c'], warning: 'careful' });
    await put('m.onnx', tinyModel({ metadata: { lookout: inside } }));
    await put('m.json', JSON.stringify({ name: 'beside' }));
    await put('mine.json', JSON.stringify({ name: 'mine' }));
    assert.equal((await load()).description.name, 'inside');
    assert.equal((await load()).description.warning, 'careful');
    assert.equal((await load({ description: 'mine.json' })).description.name, 'mine');
  });

  test('with a float input is described by the file next to it', async () => {
    await put('m.onnx', tinyModel({ inputType: DataType.float, input: [1, 'h', 'w', 3] }));
    const input = { width: 32, height: 16, order: 'bgr', mean: [1, 2, 3], scale: [0.1, 0.2, 0.3] };
    await put('m.json', JSON.stringify({ input, output: { kind: 'logits' }, labels: ['a', 'b', 'c'] }));
    const { description } = await load();
    const seen = { name: 'image', layout: 'nhwc', type: 'float32', channels: 3 };
    assert.deepEqual(description.input, { ...input, ...seen });
    assert.equal(description.output.kind, 'logits');
  });

  test('may be grey, in either layout, with one mean and one scale', async () => {
    await put('m.onnx', tinyModel({ input: [1, 28, 24, 1], inputType: DataType.int8 }));
    const { input } = (await load()).description;
    assert.deepEqual([input.channels, input.layout, input.width, input.height], [1, 'nhwc', 24, 28]);
    assert.deepEqual([input.mean, input.scale], [[128], [1]]);

    await put('m.onnx', tinyModel({ input: ['n', 1, 'h', 'w'], inputType: DataType.float }));
    const size = { width: 32, height: 16, mean: [127.5], scale: [0.01] };
    await put('m.json', JSON.stringify({ input: size }));
    const described = (await load()).description.input;
    assert.deepEqual([described.channels, described.layout], [1, 'nchw']);
    assert.deepEqual([described.mean, described.scale], [[127.5], [0.01]]);

    await put('m.json', JSON.stringify({ input: { ...size, channels: 3 } }));
    await refused('MODEL_DESCRIPTION_INVALID', /input\.channels: the model has 1, the description says 3/);
    await put('m.json', JSON.stringify({ input: { ...size, mean: [1, 2, 3] } }));
    await refused('MODEL_DESCRIPTION_INVALID', /expected one number in input\.mean .* found 3 and 1/);
  });

  test('with a single output has one label or two', async () => {
    await put('m.onnx', tinyModel({ outputs: { score: [1, 1] }, last: 'Sigmoid' }));
    const alone = (await load()).description;
    assert.deepEqual([alone.labels, alone.output.kind], [['class 0'], 'probabilities']);
    await put('labels.txt', '0 nobody\n1 face\n');
    assert.deepEqual((await load()).description.labels, ['nobody', 'face']);
    await put('three.txt', 'a\nb\nc\n');
    await refused('MODEL_LABELS_MISMATCH', /one number, for one or two labels, but there are 3 labels/, {
      labels: 'three.txt',
    });
  });

  test('keeps its groups and events under the user’s own labels', async () => {
    const inside = {
      labels: ['none', 'cat', 'dog'],
      background: ['none'],
      groups: { pet: ['cat', 'dog'] },
      events: { cat: { on: 0.9 }, pet: {} },
    };
    await put('m.onnx', tinyModel({ metadata: { lookout: JSON.stringify(inside) } }));
    await put('german.txt', 'nichts\nKatze\nHund\n');
    const { description } = await load({ labels: 'german.txt' });
    assert.deepEqual(description.labels, ['nichts', 'Katze', 'Hund']);
    assert.deepEqual(description.background, ['nichts']);
    assert.deepEqual(description.groups, { pet: ['Katze', 'Hund'] });
    assert.deepEqual(description.events, { Katze: { on: 0.9 }, pet: {} });
  });

  test('of several outputs uses the one that its description names', async () => {
    await put('m.onnx', tinyModel({ outputs: { scores: [1, 3], pooled: [1, 64, 1, 1] } }));
    await refused('MODEL_OUTPUT_UNSUPPORTED', /expected one output, found scores, pooled/);
    await put('m.json', JSON.stringify({ output: { name: 'scores' } }));
    assert.equal((await load()).description.output.name, 'scores');
    await put('m.json', JSON.stringify({ output: { name: 'score' } }));
    await refused('MODEL_OUTPUT_UNSUPPORTED', /an output called score, found scores, pooled/);
  });

  test('from the wild finds its 1001 labels among others', { skip: requiresShared(real) }, async () => {
    const { description } = await loadModel({ file: shared(real) }, folder);
    assert.equal(description.labels.length, 1001);
    assert.deepEqual(description.background, ['background']);
    assert.equal(description.output.kind, 'probabilities');
  });
});

describe('a bad model is refused by name:', () => {
  test('missing, or a folder', async () => {
    await refused('MODEL_MISSING', /model\.file: cannot read .*m\.onnx: ENOENT/);
    await assert.rejects(loadModel({ file: '.' }, folder), { code: 'MODEL_FORMAT_UNSUPPORTED' });
  });

  test('empty', async () => {
    await put('m.onnx', '');
    await refused('MODEL_CORRUPT', /the file is empty/);
  });

  test('truncated', async () => {
    await put('m.onnx', (await readFile(BUILTIN_MODEL)).subarray(0, 2_000_000));
    await refused('MODEL_CORRUPT', /not a valid ONNX model/);
  });

  test('random bytes', async () => {
    for (let i = 0; i < 20; i++) {
      await put('m.onnx', randomBytes(1000 + i));
      await refused('MODEL_CORRUPT', /not a valid ONNX model/);
    }
  });

  test('a tensor whose bytes do not fill its shape', async () => {
    await put('m.onnx', tinyModel({ rawBytes: 3 }));
    await refused('MODEL_CORRUPT', /tensor w of 4 should have 4 bytes and has 3/);
  });

  test('an input of the wrong rank, type, batch or number of channels', async () => {
    const wrong: [Parameters<typeof tinyModel>[0], RegExp][] = [
      [{ input: [1, 150528] }, /takes 1×150528 numbers/],
      [{ input: [1, 8, 4, 6, 3] }, /several images at once \(1×8×4×6×3\)/],
      [{ inputType: DataType.int64 }, /uint8, int8 or float32/],
      [{ input: [8, 4, 6, 3] }, /takes 8 images at once \(8×4×6×3\)/],
      [{ input: [1, 28, 28, 4] }, /3 channels \(colours\) or 1 \(grey\).*found 1×28×28×4/],
    ];
    for (const [options, message] of wrong) {
      await put('m.onnx', tinyModel(options));
      await refused('MODEL_INPUT_UNSUPPORTED', message);
    }
  });

  test('an output that is not a vector of floats', async () => {
    await put('m.onnx', tinyModel({ outputType: DataType.uint8 }));
    await refused('MODEL_OUTPUT_UNSUPPORTED', /expected scores to be float32/);
    await put('m.onnx', tinyModel({ outputs: { boxes: [1, 100, 4] } }));
    await refused('MODEL_OUTPUT_UNSUPPORTED', /object detector|table.*boxes 1×100×4/);
  });

  test('a float input without a description', async () => {
    await put('m.onnx', tinyModel({ inputType: DataType.float }));
    await refused('MODEL_DESCRIPTION_MISSING', /input\.mean, input\.scale/);
  });

  test('an unknown size', async () => {
    await put('m.onnx', tinyModel({ input: [1, 'h', 'w', 3] }));
    await refused('MODEL_DESCRIPTION_MISSING', /input\.width, input\.height/);
  });
});

describe('a bad description is refused by name:', () => {
  beforeEach(() => put('m.onnx', tinyModel()));

  test('missing', () => refused('MODEL_MISSING', /model\.description/, { description: 'none.json' }));

  test('not JSON', async () => {
    await put('m.json', '{ labels: }');
    await refused('MODEL_DESCRIPTION_INVALID', /m\.json: not valid JSON/);
  });

  test('unknown and wrong fields, all in one message', async () => {
    await put('m.json', JSON.stringify({ lables: [], input: { width: 'wide' } }));
    await refused('MODEL_DESCRIPTION_INVALID', /input\.width[\s\S]*lables|lables[\s\S]*input\.width/);
  });

  test('a contradiction with the graph', async () => {
    await put('m.json', JSON.stringify({ input: { width: 224, layout: 'nchw' } }));
    await refused(
      'MODEL_DESCRIPTION_INVALID',
      /input\.width: the model has 6, the description says 224; input\.layout/,
    );
  });

  test('names that are not labels', async () => {
    const content = { labels: ['a', 'b', 'c'], background: ['x'], groups: { g: ['y'] }, events: { z: {} } };
    await put('m.json', JSON.stringify(content));
    await refused('MODEL_DESCRIPTION_INVALID', /"x".*groups\.g.*"y".*events.*"z"/);
  });

  test('too few labels, inside or configured', async () => {
    await put('two.txt', 'a\nb\n');
    await refused('MODEL_LABELS_MISMATCH', /3 classes, but there are 2 labels/, { labels: 'two.txt' });
    await put('m.json', JSON.stringify({ labels: ['a', 'b', 'c', 'd'] }));
    await refused('MODEL_LABELS_MISMATCH', /3 classes, but there are 4 labels/);
    await refused('MODEL_MISSING', /model\.labels/, { labels: 'none.txt' });
  });
});
