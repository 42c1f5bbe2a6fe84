/** Text files that people bring: from Windows with a byte order mark, in UTF-16, with any line ends. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Byte order marks and the encodings that they announce; the longer ones first. */
const MARKS: readonly [mark: readonly number[], encoding: string][] = [
  [[0xff, 0xfe, 0, 0], 'UTF-32'],
  [[0, 0, 0xfe, 0xff], 'UTF-32'],
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];

/**
 * The text in a file's bytes, without a byte order mark. Line ends stay as they are.
 * @throws Error that says which encoding is the trouble; nothing of the content is repeated
 */
export function decodeText(bytes: Uint8Array): string {
  const encoding = encodingOf(bytes);
  if (encoding === 'UTF-32') throw new Error('it is UTF-32 text: save it as UTF-8');
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error(
      encoding === 'utf-8'
        ? `it is not UTF-8 text (line ${firstFault(bytes)}): save it as UTF-8`
        : 'it is damaged UTF-16 text: save it as UTF-8',
    );
  }
  if (text.includes('\0')) throw new Error('it holds NUL characters, which no text does: save it as UTF-8');
  return text;
}

/** @throws Error as `readFile` and `decodeText` do */
export async function readText(file: string): Promise<string> {
  return decodeText(await readFile(file));
}

/** @throws Error as `readFileSync` and `decodeText` do */
export function readTextSync(file: string): string {
  return decodeText(readFileSync(file));
}

/**
 * A text that is meant to be a single line, such as a password: one line end behind it is not part of it, anything
 * else is, also spaces.
 * @throws Error when there are more lines
 */
export function singleLine(text: string): string {
  const line = text.replace(/\r?\n$|\r$/, '');
  const lines = line.split(/\r\n|\r|\n/).length;
  if (lines > 1)
    throw new Error(`it has ${lines} lines, and one is expected: remove the others, empty ones too`);
  return line;
}

function encodingOf(bytes: Uint8Array): string {
  const marked = MARKS.find(([mark]) => mark.every((byte, i) => bytes[i] === byte));
  if (marked) return marked[1];
  // Without a mark: every other byte of plain letters is zero.
  if (bytes.length >= 2 && bytes.length % 2 === 0) {
    if (bytes[0] !== 0 && bytes[1] === 0) return 'utf-16le';
    if (bytes[0] === 0 && bytes[1] !== 0) return 'utf-16be';
  }
  return 'utf-8';
}

/** Number of the first line that is not UTF-8. */
function firstFault(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end;
  }
  return line;
}
