/**
 * Reads files that are appended to a model: TensorFlow Lite appends them as a ZIP archive
 * (APPNOTE.TXT 6.3, without encryption and ZIP64).
 */
import { inflateRawSync } from 'node:zlib';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_BYTES = 22;
const MAX_FILES = 64;
/** Labels and notes are small; nothing larger is unpacked. */
const MAX_BYTES = 4 << 20;

/** Files by name; empty if there is no archive. @throws Error if the archive is damaged */
export function packedFiles(bytes: Uint8Array): Map<string, Buffer> {
  return new Map(
    entries(bytes).map(({ name, deflated, packed }) => [
      name,
      deflated ? inflateRawSync(packed, { maxOutputLength: MAX_BYTES }) : packed,
    ]),
  );
}

/** Names of the packed files; empty if the archive is damaged. */
export function packedNames(bytes: Uint8Array): string[] {
  try {
    return entries(bytes).map(({ name }) => name);
  } catch {
    return [];
  }
}

function entries(bytes: Uint8Array): { name: string; deflated: boolean; packed: Buffer }[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: ReturnType<typeof entries> = [];
  const end = findEnd(buffer);
  if (end === null) return found;
  const count = Math.min(MAX_FILES, buffer.readUInt16LE(end + 10));
  let at = buffer.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    if (buffer.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error('the packed files are damaged');
    const deflated = buffer.readUInt16LE(at + 10) !== 0;
    const size = buffer.readUInt32LE(at + 20);
    const nameLength = buffer.readUInt16LE(at + 28);
    const name = buffer.toString('utf8', at + 46, at + 46 + nameLength);
    const local = buffer.readUInt32LE(at + 42);
    const start = local + 30 + buffer.readUInt16LE(local + 26) + buffer.readUInt16LE(local + 28);
    found.push({ name, deflated, packed: buffer.subarray(start, start + size) });
    at += 46 + nameLength + buffer.readUInt16LE(at + 30) + buffer.readUInt16LE(at + 32);
  }
  return found;
}

/** The archive's last record is at the end of the file, before a comment of at most 64 KiB. */
function findEnd(buffer: Buffer): number | null {
  const last = buffer.length - END_BYTES;
  for (let at = last; at >= Math.max(0, last - 0xffff); at--) {
    if (buffer.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  }
  return null;
}
