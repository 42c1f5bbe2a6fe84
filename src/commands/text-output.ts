/** Output of any length: written as it comes, no faster than it is read. */
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { collectEvery } from '../runtime/garbage.ts';

/** Characters that are written at once. */
const CHUNK = 16_384;
const COLLECT_BYTES = 3_000_000;

/**
 * Writes text piece by piece, and leaves the stream open. Resolves early when `out` is a pipe whose reader has gone,
 * such as that of `lookout events | head`.
 * @throws the system's error when `out` cannot be written
 */
export async function writeText(pieces: Iterable<string>, out: Writable): Promise<void> {
  try {
    await pipeline(Readable.from(chunks(pieces)), out, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

/** Joins small pieces, for less work: the first by itself, so that it is seen at once, then as many as make a chunk. */
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
