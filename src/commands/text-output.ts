/** Output of commands. */
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { collectEvery } from '../runtime/garbage.ts';
import { printable } from '../runtime/printable.ts';

export type Row = [key: string, value: string | null];

/** Prints a table of two columns, without the rows whose value is null. */
export function printRows(rows: readonly Row[]): void {
  for (const [key, value] of rows) {
    if (value !== null) process.stdout.write(`${key.padEnd(11)}${printable(value)}\n`);
  }
}

/** Minimum number of characters per write. */
const CHUNK = 16_384;
const COLLECT_BYTES = 3_000_000;

/**
 * Writes text piece by piece and leaves the stream open. Resolves early if `out` is a pipe whose reader has closed it, as
 * in `lookout events | head`.
 * @throws the system's error if `out` cannot be written
 */
export async function writeText(pieces: Iterable<string>, out: Writable): Promise<void> {
  try {
    await pipeline(Readable.from(chunks(pieces)), out, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

/** Joins small pieces into chunks. The first piece is a chunk of its own, so that it is shown immediately. */
export function* chunks(pieces: Iterable<string>): Generator<string> {
  const collect = collectEvery(COLLECT_BYTES);
  let chunk = '';
  let first = true;
  for (const piece of pieces) {
    chunk += piece;
    if (!first && chunk.length < CHUNK) continue;
    yield chunk;
    collect(chunk.length);
    chunk = '';
    first = false;
  }
  if (chunk !== '') yield chunk;
}
