import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import { readMetadata } from '../../../../src/modelkit/tflite/metadata.ts';
import { readTflite } from '../../../../src/modelkit/tflite/read-tflite.ts';
import { packedFiles } from '../../../../src/modelkit/tflite/zip.ts';
import { TinyNet } from '../../../support/tflite-nets.ts';

/** `before` with an appended ZIP archive, as TensorFlow Lite writes it. */
function withFiles(before: Uint8Array, files: Record<string, { text: string; deflate?: boolean }>): Buffer {
  const parts: Buffer[] = [Buffer.from(before)];
  const directory: Buffer[] = [];
  let offset = before.length;
  for (const [name, { text, deflate }] of Object.entries(files)) {
    const content = Buffer.from(text);
    const data = deflate ? deflateRawSync(content) : content;
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(deflate ? 8 : 0, 4);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, Buffer.from(name), data]);
    const entry = Buffer.concat([
      Buffer.from('PK\x01\x02\x14\x00'),
      shared,
      Buffer.alloc(14),
      Buffer.from(name),
    ]);
    entry.writeUInt32LE(offset, 42);
    parts.push(local);
    directory.push(entry);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

const bytes = new TinyNet(1, 'uint8', 9).conv(4, 3, 2).pool('AVERAGE_POOL_2D', 5, 5, true).dense(3).write();

test('files appended to a model are found, stored or deflated', () => {
  const packed = withFiles(bytes, {
    'labels.txt': { text: 'a\nb\n' },
    'notes.md': { text: 'x'.repeat(999), deflate: true },
  });
  const files = packedFiles(packed);
  assert.deepEqual([...files.keys()], ['labels.txt', 'notes.md']);
  assert.equal(files.get('labels.txt')!.toString(), 'a\nb\n');
  assert.equal(files.get('notes.md')!.length, 999);
  assert.equal(packedFiles(bytes).size, 0);
});

test('a packed file that unpacks to more than a few megabytes is refused', () => {
  const packed = withFiles(bytes, { 'labels.txt': { text: 'x'.repeat(8 << 20), deflate: true } });
  assert.throws(() => packedFiles(packed));
  assert.equal(readMetadata(packed, readTflite(packed)).labels, null);
});

test('the only text file is the labels file if the metadata name none', () => {
  const one = withFiles(bytes, { 'classes.txt': { text: '0 cat\n1 dog\n2 none\n' } });
  assert.deepEqual(readMetadata(one, readTflite(one)).labels, ['cat', 'dog', 'none']);
  const two = withFiles(bytes, { 'a.txt': { text: 'x' }, 'b.txt': { text: 'y' } });
  assert.equal(readMetadata(two, readTflite(two)).labels, null);
});

test('a damaged archive is ignored', () => {
  const packed = withFiles(bytes, { 'labels.txt': { text: 'a\nb\nc\n' } });
  packed.writeUInt32LE(0xfffffff0, packed.length - 6);
  assert.equal(readMetadata(packed, readTflite(packed)).labels, null);
});
