/** Text for terminals and logs. */
import { isUtf8 } from 'node:buffer';

/** Control characters, line separators, and marks that turn the direction of writing around. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A name as one line that cannot steer a terminal: what would do so is written as `\n`, `\x1b` or `\u{202e}`, and bytes
 * that are not UTF-8 as `\xe9`.
 */
export function printable(name: string | Uint8Array): string {
  const text = typeof name === 'string' ? name : decode(name);
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0)!;
    return SHORT[character] ?? (code < 0x100 ? byte(code) : `\\u{${code.toString(16)}}`);
  });
}

/** The same for a message of which further lines are indented: those stay lines. */
export function printableLines(message: string): string {
  return message
    .split(/\n(?= )/)
    .map(printable)
    .join('\n');
}

function decode(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString();
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((count) => isUtf8(bytes.subarray(at, at + count)));
    const end = at + (length ?? 1);
    text += length === undefined ? byte(bytes[at]!) : Buffer.from(bytes.subarray(at, end)).toString();
    at = end;
  }
  return text;
}

const byte = (code: number) => `\\x${code.toString(16).padStart(2, '0')}`;
