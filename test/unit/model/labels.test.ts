import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabels } from '../../../src/model/labels.ts';

test('labels are one a line, whatever the line ends and the last line', () => {
  assert.deepEqual(parseLabels('cat\ndog'), ['cat', 'dog']);
  assert.deepEqual(parseLabels('\uFEFFcat\r\ndog, pup\r\n\r\n'), ['cat', 'dog, pup']);
  assert.deepEqual(parseLabels(''), []);
});

test('class numbers are dropped only when every line carries its own', () => {
  assert.deepEqual(parseLabels('0  background\n1  cat\n'), ['background', 'cat']);
  assert.deepEqual(parseLabels('0 Class 1\n1 Class 2\n'), ['Class 1', 'Class 2']);
  assert.deepEqual(parseLabels('0 zero\n7 up\n'), ['0 zero', '7 up']);
});
