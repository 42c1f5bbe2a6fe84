/** Detects what a camera serves over HTTP: one still, an endless stream, a playlist, or no video at all. */
import type { IncomingMessage } from 'node:http';
import { LookoutError } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { RESPONSE_MS } from './http-client.ts';
import { type NetworkCamera, unreachable } from './network-fault.ts';

export type Content =
  /** One JPEG or PNG per request, to be requested repeatedly. */
  | { kind: 'still'; bytes: Buffer }
  /** JPEG images in a row, with nothing around them. */
  | { kind: 'jpegs'; bytes: AsyncIterable<Buffer> }
  /** A live stream, for ffmpeg. */
  | { kind: 'stream' }
  /** Recorded video with its own timestamps, for ffmpeg. */
  | { kind: 'playlist' };

/** Size limit of a still; a stream of another kind is detected long before. */
const LARGEST_STILL = 32_000_000;
/** Number of bytes at the start that are enough to detect the kind. */
const START_BYTES = 512;

const SOI = Buffer.from([0xff, 0xd8, 0xff]);
const EOI = Buffer.from([0xff, 0xd9]);
/** Limit of the bytes, such as line ends, that some cameras send between two images. */
const BETWEEN_BYTES = 64;

/**
 * Reads as much of a response as is needed to detect its kind; a still is read to its end.
 * @throws LookoutError CAPTURE_NOT_OFFERED when it is neither an image nor video, CAPTURE_UNREACHABLE when it does not
 * arrive
 */
export async function readContent(
  response: IncomingMessage,
  camera: NetworkCamera,
  clock: Clock,
): Promise<Content> {
  const type = (response.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type.startsWith('multipart/') || type.startsWith('video/')) return { kind: 'stream' };
  const hasLength = response.headers['content-length'] !== undefined;
  const body = new Body(response, clock);
  let known: ReturnType<typeof contentOf> | null = null;
  for (;;) {
    const more = await body.more();
    if (known === null && (!more || body.size >= START_BYTES)) known = contentOf(body.bytes, type);
    if (known === 'stream' || known === 'playlist') return { kind: known };
    if (known !== null && known !== 'still') throw notOffered(camera, known.not);
    if (known === 'still') {
      if (!hasLength && body.hasSecondImage) return { kind: 'jpegs', bytes: body.all() };
      if (!more && body.fault === null) return { kind: 'still', bytes: body.bytes };
    }
    if (!more) throw unreachable(camera, body.fault ?? 'the response breaks off');
    if (body.size > LARGEST_STILL) throw notOffered(camera, 'more than 32 MB that are not video');
  }
}

/** A response body as far as it has arrived; the wait for each piece is limited. */
class Body {
  readonly #response: IncomingMessage;
  readonly #clock: Clock;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #chunks: Buffer[] = [];
  size = 0;
  /** Why it is incomplete. */
  fault: string | null = null;

  constructor(response: IncomingMessage, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
    this.#pieces = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  get bytes(): Buffer {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
  }

  /** Waits for the next piece; false at the end. */
  async more(): Promise<boolean> {
    const cancel = this.#clock.after(RESPONSE_MS, () => {
      this.fault = `the response pauses for more than ${RESPONSE_MS / 1000} s`;
      this.#response.destroy();
    });
    try {
      const { done, value } = await this.#pieces.next();
      if (done) return false;
      this.#chunks.push(value);
      this.size += value.length;
      return true;
    } catch {
      this.fault ??= 'the response breaks off';
      return false;
    } finally {
      cancel();
    }
  }

  /** All pieces, from the first, without a limit of the wait. */
  async *all(): AsyncGenerator<Buffer, void> {
    try {
      yield this.bytes;
      for (let next = await this.#pieces.next(); !next.done; next = await this.#pieces.next())
        yield next.value;
    } finally {
      this.#response.destroy();
    }
  }

  /** Whether one image follows another in the newest piece, or where it joins the piece before. */
  get hasSecondImage(): boolean {
    const [before, last] = [this.#chunks.at(-2), this.#chunks.at(-1)!];
    const join = before ? Buffer.concat([before.subarray(-2 * BETWEEN_BYTES), last]) : last;
    for (let at = join.indexOf(SOI, 1); at !== -1; at = join.indexOf(SOI, at + 1)) {
      const end = join.lastIndexOf(EOI, at - EOI.length);
      if (end !== -1 && at - end <= BETWEEN_BYTES) return true;
    }
    return false;
  }
}

function contentOf(start: Buffer, type: string): 'still' | 'stream' | 'playlist' | { not: string } {
  if (start.subarray(0, SOI.length).equals(SOI)) return 'still';
  if (start.length === 0) return { not: 'an empty response' };
  const text = start
    .toString('latin1', 0, START_BYTES)
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (text.startsWith('#extm3u') || /^(<\?xml[^>]*>\s*)?<mpd\b/.test(text)) return 'playlist';
  if (/^(<!doctype html|<html|<head|<script)/.test(text) || type === 'text/html') {
    return { not: 'a web page, for example a login form' };
  }
  if (/^[[{]/.test(text) || type.endsWith('json')) return { not: 'JSON data' };
  if (type.endsWith('xml') || text.startsWith('<?xml')) return { not: 'XML data' };
  if (type.startsWith('text/')) return { not: 'text' };
  return type.startsWith('image/') ? 'still' : 'stream';
}

function notOffered({ where }: NetworkCamera, found: string): LookoutError {
  return new LookoutError('CAPTURE_NOT_OFFERED', `${where}: expected images or video, found ${found}`, {
    hint: 'Check the path of the camera URL: the manual of the camera gives the path of its snapshot or stream.',
  });
}
