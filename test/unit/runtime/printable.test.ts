import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable, printableLines } from '../../../src/runtime/printable.ts';

test('a name stays as it is unless it would break the line or steer a terminal', () => {
  for (const [name, shown] of [
    ['Straße 7, côté jardin 📷 (1).jpg', 'Straße 7, côté jardin 📷 (1).jpg'],
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['\u001b[31mred\u0007', '\\x1b[31mred\\x07'],
    ['c1: \u009b31m', 'c1: \\x9b31m'],
    ['gpj.\u202eexe', 'gpj.\\u{202e}exe'],
    ['\u2028', '\\u{2028}'],
  ]) {
    assert.equal(printable(name!), shown);
  }
});

test('bytes that are not UTF-8 are shown as such, the others as letters', () => {
  assert.equal(printable(Buffer.from('caf\xe9.jpg', 'latin1')), 'caf\\xe9.jpg');
  assert.equal(
    printable(Buffer.concat([Buffer.from('é📷'), Buffer.from([0xff, 0xc3, 0x0a])])),
    'é📷\\xff\\xc3\\n',
  );
  assert.equal(printable(Buffer.from('é\n')), 'é\\n');
});

test('a message keeps its indented lines, but no others', () => {
  assert.equal(
    printableLines('2 problems\n  line 1: a\n  line 2: \u001bb\nc'),
    '2 problems\n  line 1: a\n  line 2: \\x1bb\\nc',
  );
});
