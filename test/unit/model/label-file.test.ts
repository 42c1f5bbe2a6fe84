import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { labelsBeside, parseLabels } from '../../../src/model/label-file.ts';
import { tempFolder } from '../../support/folder.ts';

test('labels are one a line, with any line ends and with or without a final newline', () => {
  assert.deepEqual(parseLabels('cat\ndog'), ['cat', 'dog']);
  assert.deepEqual(parseLabels('\uFEFFcat\r\ndog, pup\r\n\r\n'), ['cat', 'dog, pup']);
  assert.deepEqual(parseLabels(''), []);
  assert.deepEqual(parseLabels('Ka\u0308fer'), ['Käfer']);
});

test('class numbers are dropped only if every line has its own', () => {
  assert.deepEqual(parseLabels('0  background\n1  cat\n'), ['background', 'cat']);
  assert.deepEqual(parseLabels('0 Class 1\n1 Class 2\n'), ['Class 1', 'Class 2']);
  assert.deepEqual(parseLabels('0 zero\n7 up\n'), ['0 zero', '7 up']);
});

test('label files next to a model are found by the names that exporters use', async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, 'labelmap.txt'), '0 open\n1 closed\n');
  writeFileSync(join(folder, 'notes.txt'), 'open\nclosed\n');
  assert.deepEqual(await labelsBeside(join(folder, 'model.tflite')), [['open', 'closed']]);
});
