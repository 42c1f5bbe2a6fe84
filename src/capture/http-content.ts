/** What a camera gives over HTTP: one picture, pictures without an end, a playlist, or something that is no video. */
import type { IncomingMessage } from 'node:http';
import { LookoutError } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { ANSWER_MS } from './http-client.ts';
import { type NetworkCamera, unreachable } from './network-fault.ts';

export type Content =
  /** One picture, to be asked for again and again. */
  | { kind: 'still'; bytes: Buffer }
  /** JPEG pictures one after the other, with nothing around them. */
  | { kind: 'pictures'; bytes: AsyncIterable<Buffer> }
  /** For ffmpeg, as it comes. */
  | { kind: 'stream' }
  /** For ffmpeg, at its own pace. */
  | { kind: 'playlist' };

/** Larger pictures are not taken, and a stream of another kind is known long before. */
const LARGEST_STILL = 32_000_000;
/** As much of the start as tells what it is. */
const START_BYTES = 512;

const SOI = Buffer.from([0xff, 0xd8, 0xff]);
const EOI = Buffer.from([0xff, 0xd9]);
/** Between two pictures some cameras send line ends or the like, at most so many bytes. */
const BETWEEN_BYTES = 64;

/**
 * Reads as much of an answer as tells what it is: a picture to its end.
 * @throws LookoutError CAPTURE_NOT_OFFERED when it is nothing that could be shown, CAPTURE_UNREACHABLE when it does not
 * come
 */
export async function readContent(
  response: IncomingMessage,
  camera: NetworkCamera,
  clock: Clock,
): Promise<Content> {
  const type = (response.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type.startsWith('multipart/') || type.startsWith('video/')) return { kind: 'stream' };
  const whole = response.headers['content-length'] !== undefined;
  const body = new Body(response, clock);
  let known: ReturnType<typeof contentOf> | null = null;
  for (;;) {
    const more = await body.more();
    if (known === null && (!more || body.size >= START_BYTES)) known = contentOf(body.bytes, type);
    if (known === 'stream' || known === 'playlist') return { kind: known };
    if (known !== null && known !== 'still') throw notOffered(camera, known.not);
    if (known === 'still') {
      if (!whole && body.hasSecondPicture) return { kind: 'pictures', bytes: body.all() };
      if (!more && body.fault === null) return { kind: 'still', bytes: body.bytes };
    }
    if (!more) throw unreachable(camera, body.fault ?? 'its answer breaks off');
    if (body.size > LARGEST_STILL) throw notOffered(camera, 'more than 32 MB that are no video');
  }
}

/** A body as far as it has come; the wait for each piece is limited. */
class Body {
  readonly #response: IncomingMessage;
  readonly #clock: Clock;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #chunks: Buffer[] = [];
  size = 0;
  /** Why it did not come to its end. */
  fault: string | null = null;

  constructor(response: IncomingMessage, clock: Clock) {
    this.#response = response;
    this.#clock = clock;
    this.#pieces = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  get bytes(): Buffer {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
  }

  /** Waits for the next piece; false when there is none. */
  async more(): Promise<boolean> {
    const cancel = this.#clock.after(ANSWER_MS, () => {
      this.fault = `its answer stops for ${ANSWER_MS / 1000} s`;
      this.#response.destroy();
    });
    try {
      const { done, value } = await this.#pieces.next();
      if (done) return false;
      this.#chunks.push(value);
      this.size += value.length;
      return true;
    } catch {
      this.fault ??= 'its answer breaks off';
      return false;
    } finally {
      cancel();
    }
  }

  /** What has come so far and what is yet to come, without a limit to the wait. */
  async *all(): AsyncGenerator<Buffer, void> {
    try {
      yield this.bytes;
      for (let next = await this.#pieces.next(); !next.done; next = await this.#pieces.next())
        yield next.value;
    } finally {
      this.#response.destroy();
    }
  }

  /** Whether in the newest piece, or where it joins the one before, a picture follows another. */
  get hasSecondPicture(): boolean {
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
  if (start.length === 0) return { not: 'an empty answer' };
  const text = start
    .toString('latin1', 0, START_BYTES)
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (text.startsWith('#extm3u') || /^(<\?xml[^>]*>\s*)?<mpd\b/.test(text)) return 'playlist';
  if (/^(<!doctype html|<html|<head|<script)/.test(text) || type === 'text/html') {
    return { not: 'a web page, such as a form to log in' };
  }
  if (/^[[{]/.test(text) || type.endsWith('json')) return { not: 'data in JSON' };
  if (type.endsWith('xml') || text.startsWith('<?xml')) return { not: 'data in XML' };
  if (type.startsWith('text/')) return { not: 'text' };
  return type.startsWith('image/') ? 'still' : 'stream';
}

function notOffered({ where }: NetworkCamera, found: string): LookoutError {
  return new LookoutError('CAPTURE_NOT_OFFERED', `${where}: expected pictures or video, found ${found}`, {
    hint: 'Check the path of its address: the manual of the camera names the one of its picture or stream.',
  });
}
