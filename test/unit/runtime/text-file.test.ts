import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeText, singleLine } from '../../../src/runtime/text-file.ts';

const TEXT = 'Größe: 5 €\r\n';
const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();

test('text is read in UTF-8 and UTF-16, with and without a byte order mark', () => {
  const utf16 = Buffer.from(TEXT, 'utf16le');
  const marked = Buffer.from(`\ufeff${TEXT}`, 'utf16le');
  for (const [what, bytes] of Object.entries({
    'UTF-8': Buffer.from(TEXT),
    'UTF-8 with a mark': Buffer.from(`\ufeff${TEXT}`),
    'UTF-16, little end first': marked,
    'UTF-16, big end first': swapped(marked),
    'UTF-16 without a mark': utf16,
    'UTF-16 without a mark, big end first': swapped(utf16),
  })) {
    assert.equal(decodeText(bytes), TEXT, what);
  }
  assert.equal(decodeText(Buffer.alloc(0)), '');
});

test('what is no text is refused with its trouble, and nothing of it is repeated', () => {
  for (const [bytes, trouble] of [
    [Buffer.from('first\npässwort\n', 'latin1'), /not UTF-8 text \(line 2\): save it as UTF-8/],
    [Buffer.from('pass\0word'), /NUL/],
    [Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]), /UTF-32/],
    [Buffer.from([0xff, 0xfe, 0x61]), /damaged UTF-16/],
  ] as const) {
    assert.throws(
      () => decodeText(bytes),
      (error: Error) => trouble.test(error.message) && !/p.ss/.test(error.message),
    );
  }
});

test('one line end behind a single line is not part of it; more lines are refused', () => {
  for (const end of ['', '\n', '\r\n', '\r']) assert.equal(singleLine(` p w ${end}`), ' p w ');
  assert.throws(() => singleLine('pw\n\n'), /it has 2 lines/);
  assert.throws(() => singleLine('a\r\nb\r\nc\r\n'), /it has 3 lines/);
});
