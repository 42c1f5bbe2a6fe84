/** Fetches one file, going on where an earlier attempt ended. */
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isSystemError, LookoutError } from '../errors.ts';
import { createEmpty, type Proof, removeFile, writeNew } from '../runtime/own-files.ts';
import { redact, redactLogin } from '../runtime/secrets.ts';
import { type Answer, get, Interrupted } from './https-get.ts';

export interface DownloadLimits {
  /** Size that was published; null if none was. */
  bytes: number | null;
  /** Most bytes that are taken. */
  most: number;
}

export interface DownloadOptions {
  /** Called as bytes arrive, those of earlier attempts included; `total` is null while unknown. */
  onProgress?: (received: number, total: number | null) => void;
  /** Called before each new try. */
  onRetry?: (reason: string, waitMs: number) => void;
  /** Milliseconds without a sign of life after which a connection is cut. */
  idleMs?: number;
  /** Between tries. */
  wait?: (ms: number) => Promise<unknown>;
}

const TRIES = 6;
const FIRST_PAUSE_MS = 1000;
const IDLE_MS = 30_000;

/** What is known about the bytes that lie in a partial file; kept in a note beside it. */
const note = z.strictObject({
  /** Without secrets. */
  url: z.string(),
  /** A strong validator (RFC 9110, 8.8.3): with it a server can say whether its file is still the same. */
  etag: z.string().nullable(),
  /** Inode of the partial file: another one of that name is none of ours. */
  inode: z.number(),
});
type Partial = z.infer<typeof note>;

const noteOf = (file: string) => `${file}.json`;

/** Where a download goes. */
export interface Places {
  /** Takes what arrives, with a note beside it. */
  partial: string;
  /** Where the file is once it is complete. */
  to: string;
}

/**
 * Downloads a file. When the network fails, what has arrived stays in `partial` for the next call; after every other
 * error nothing is left.
 * @throws LookoutError MODEL_DOWNLOAD_FAILED, MODEL_CHECKSUM (another size than was published), MODEL_WRITE_FAILED
 */
export async function download(
  url: string,
  { partial, to }: Places,
  limits: DownloadLimits,
  options: DownloadOptions = {},
): Promise<void> {
  const { wait = sleep, onRetry } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchRest(url, partial, limits, options);
      await rename(partial, to);
      removeFile(noteOf(partial), isNote);
      return;
    } catch (error) {
      if (!(error instanceof Interrupted)) {
        discard(partial);
        throw isSystemError(error) ? unwritable(partial, error) : error;
      }
      if (error.lasting || attempt === TRIES) throw givenUp(url, partial, error);
      const pause = Math.max(
        error.retryAfterMs,
        FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2),
      );
      onRetry?.(error.message, pause);
      await wait(pause);
    }
  }
}

function unwritable(file: string, cause: Error): LookoutError {
  return new LookoutError('MODEL_WRITE_FAILED', `${file} cannot be written: ${cause.message}`, { cause });
}

function givenUp(url: string, to: string, cause: Interrupted): LookoutError {
  const kept = readPartial(url, to);
  if (!kept) discard(to);
  return new LookoutError('MODEL_DOWNLOAD_FAILED', `${redact(url)}: ${cause.message}`, {
    cause,
    hint: kept
      ? `The first ${kept.size} bytes are kept: the same command goes on from there.`
      : 'Behind a proxy set HTTPS_PROXY; without a network fetch the file elsewhere and use --from FILE.',
  });
}

/** Deletes what a download has left behind; says whether there was anything. */
export function discard(file: string): boolean {
  const note = readNote(file);
  const found = removeFile(file, ({ stats }) => note?.inode === stats.ino);
  return removeFile(noteOf(file), isNote) === 'removed' || found === 'removed';
}

async function fetchRest(
  url: string,
  to: string,
  limits: DownloadLimits,
  { onProgress, idleMs = IDLE_MS }: DownloadOptions,
): Promise<void> {
  const partial = readPartial(url, to);
  const range = partial && { range: `bytes=${partial.size}-`, 'if-range': partial.etag };
  const answer = await get(url, { ...range }, idleMs);
  const { response, status } = answer;
  try {
    const start = status === 206 ? startOf(answer, partial?.size ?? 0) : 0;
    if (status === 416 || start === null) {
      // The partial file does not fit what the server has now.
      discard(to);
      throw new Interrupted('the server could not go on where the last download ended');
    }
    if (response.headers['content-encoding'] && response.headers['content-encoding'] !== 'identity') {
      throw new LookoutError('MODEL_DOWNLOAD_FAILED', `${redact(url)}: the server sends the file compressed`);
    }
    const length = response.headers['content-length'];
    const total = length === undefined ? null : start + Number(length);
    checkSize(url, total ?? 0, total !== null, limits);
    await receive(answer, { url, to, start, total, limits, onProgress });
  } finally {
    response.destroy();
    answer.done();
  }
}

/** A partial file of this download that a server may go on with. */
function readPartial(url: string, to: string): { etag: string; size: number } | null {
  const note = readNote(to);
  const file = lstatSync(to, { throwIfNoEntry: false });
  if (!note?.etag || note.url !== redactLogin(url) || file?.ino !== note.inode || file.size === 0)
    return null;
  return { etag: note.etag, size: file.size };
}

function readNote(file: string): Partial | null {
  try {
    return parseNote(readFileSync(noteOf(file)));
  } catch {
    return null;
  }
}

function parseNote(text: Buffer): Partial | null {
  try {
    return note.parse(JSON.parse(text.toString()));
  } catch {
    return null;
  }
}

/** The proof for a note. */
const isNote: Proof = ({ stats, head }) => parseNote(head(stats.size)) !== null;

/** Where the bytes of a partial answer start; null if not where they were asked to. */
function startOf({ response }: Answer, asked: number): number | null {
  const [, start] = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '') ?? [];
  return Number(start) === asked ? asked : null;
}

function checkSize(url: string, size: number, complete: boolean, { bytes, most }: DownloadLimits): void {
  if (bytes !== null && (size > bytes || (complete && size !== bytes))) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${redact(url)}: expected ${bytes} bytes, the server has ${complete ? size : 'more'}: this is not the published file`,
    );
  }
  if (size > most) {
    throw new LookoutError(
      'MODEL_DOWNLOAD_FAILED',
      `${redact(url)} is larger than ${most} bytes, the most that is taken`,
    );
  }
}

interface Target {
  url: string;
  to: string;
  start: number;
  total: number | null;
  limits: DownloadLimits;
  onProgress: DownloadOptions['onProgress'];
}

/** Everything here is synchronous up to the listeners: what happens to a response before them is lost. */
async function receive(answer: Answer, { url, to, start, total, limits, onProgress }: Target): Promise<void> {
  const { response, alive, cutReason } = answer;
  const file = openPartial(url, to, start, response.headers.etag);
  try {
    let received = start;
    onProgress?.(received, total);
    await new Promise<void>((resolve, reject) => {
      const broken = (reason: string) => reject(new Interrupted(cutReason() ?? reason));
      response.on('end', resolve);
      response.on('error', (error) => broken(`the connection broke: ${error.message}`));
      response.on('close', () => broken('the connection was closed'));
      // Written at once, not through a queue: what a broken stream still holds would be lost.
      response.on('data', (chunk: Buffer) => {
        try {
          alive();
          received += chunk.length;
          checkSize(url, received, false, limits);
          writeFileSync(file, chunk);
          onProgress?.(received, total);
        } catch (error) {
          reject(error);
          response.destroy();
        }
      });
    });
    checkSize(url, received, true, limits);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Opens the file for the bytes from `start` on, and notes beside it which file on the server they belong to. */
function openPartial(url: string, to: string, start: number, etag: string | undefined): number {
  if (start > 0) return openSync(to, 'a');
  discard(to);
  if (lstatSync(to, { throwIfNoEntry: false })) {
    throw new LookoutError('MODEL_WRITE_FAILED', `${to} is there, and is no unfinished download`, {
      hint: 'Move it away, or delete it if nobody needs it.',
    });
  }
  // It gets its name when the note is there: without one it could not be proven to be ours.
  const draft = createEmpty(to);
  try {
    const { ino: inode } = lstatSync(draft.path);
    const known: Partial = { url: redactLogin(url), etag: etag?.startsWith('"') ? etag : null, inode };
    writeNew(noteOf(to), JSON.stringify(known));
    renameSync(draft.path, to);
  } catch (error) {
    draft.remove();
    throw error;
  }
  return openSync(to, 'a');
}
