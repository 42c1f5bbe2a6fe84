/** Downloads one file and resumes interrupted downloads. */
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isSystemError, LookoutError } from '../errors.ts';
import { createEmpty, type Proof, removeFile, writeNew } from '../runtime/own-files.ts';
import { redact, redactLogin } from '../runtime/secrets.ts';
import { type Answer, get, Interrupted } from './https-get.ts';

export interface DownloadLimits {
  /** Published size; null if there is none. */
  bytes: number | null;
  /** Maximum size. */
  most: number;
}

export interface DownloadOptions {
  /** Called as bytes arrive, those of earlier attempts included; `total` is null while unknown. */
  onProgress?: (received: number, total: number | null) => void;
  /** Called before each retry. */
  onRetry?: (reason: string, waitMs: number) => void;
  /** Milliseconds without data after which the connection is closed. */
  idleMs?: number;
  /** Waits before a retry. */
  wait?: (ms: number) => Promise<unknown>;
}

const ATTEMPTS = 6;
const FIRST_BACKOFF_MS = 1000;
const IDLE_MS = 30_000;

/** Facts about a partial file, kept in a note next to it. */
const note = z.strictObject({
  /** Without secrets. */
  url: z.string(),
  /** A strong validator (RFC 9110, 8.8.3), by which the server knows whether its file is still the same. */
  etag: z.string().nullable(),
  /** Inode of the partial file: a file of that name with another inode is not Lookout's. */
  inode: z.number(),
});
type Partial = z.infer<typeof note>;

const noteOf = (file: string) => `${file}.json`;

/** Paths of a download. */
export interface Target {
  /** The incomplete file, with a note next to it. */
  partial: string;
  /** The complete file. */
  to: string;
}

/**
 * Downloads a file. If the network fails, the received part stays in `partial` for the next call; after every other
 * error nothing is left.
 * @throws LookoutError MODEL_DOWNLOAD_FAILED, MODEL_CHECKSUM (the size differs from the published one), MODEL_WRITE_FAILED
 */
export async function download(
  url: string,
  { partial, to }: Target,
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
      if (error.permanent || attempt === ATTEMPTS) throw downloadFailed(url, partial, error);
      const backoff = Math.max(
        error.retryAfterMs,
        FIRST_BACKOFF_MS * 2 ** (attempt - 1) * (0.75 + Math.random() / 2),
      );
      onRetry?.(error.message, backoff);
      await wait(backoff);
    }
  }
}

function unwritable(file: string, cause: Error): LookoutError {
  return new LookoutError('MODEL_WRITE_FAILED', `cannot write ${file}: ${cause.message}`, { cause });
}

function downloadFailed(url: string, to: string, cause: Interrupted): LookoutError {
  const kept = readPartial(url, to);
  if (!kept) discard(to);
  return new LookoutError('MODEL_DOWNLOAD_FAILED', `${redact(url)}: ${cause.message}`, {
    cause,
    hint: kept
      ? `The first ${kept.size} bytes are kept. Run the same command again to resume the download.`
      : 'Behind a proxy, set HTTPS_PROXY. Without a network, download the file elsewhere and use --from FILE.',
  });
}

/** Deletes what an unfinished download left. @returns whether there was anything */
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
      // The file on the server has changed.
      discard(to);
      throw new Interrupted('the server could not resume the download');
    }
    if (response.headers['content-encoding'] && response.headers['content-encoding'] !== 'identity') {
      throw new LookoutError(
        'MODEL_DOWNLOAD_FAILED',
        `${redact(url)}: the server sends the file compressed, which is not supported`,
      );
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

/** A partial file of this download that can be resumed. */
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

/** Proves that a file is a note of a download. */
const isNote: Proof = ({ stats, head }) => parseNote(head(stats.size)) !== null;

/** The first byte of a partial response; null if it is not the requested one. */
function startOf({ response }: Answer, asked: number): number | null {
  const [, start] = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '') ?? [];
  return Number(start) === asked ? asked : null;
}

function checkSize(url: string, size: number, complete: boolean, { bytes, most }: DownloadLimits): void {
  if (bytes !== null && (size > bytes || (complete && size !== bytes))) {
    throw new LookoutError(
      'MODEL_CHECKSUM',
      `${redact(url)}: expected ${bytes} bytes, the server has ${complete ? size : 'more'}: it is not the published file`,
    );
  }
  if (size > most) {
    throw new LookoutError(
      'MODEL_DOWNLOAD_FAILED',
      `${redact(url)} is larger than the limit of ${most} bytes`,
    );
  }
}

interface Reception {
  url: string;
  to: string;
  start: number;
  total: number | null;
  limits: DownloadLimits;
  onProgress: DownloadOptions['onProgress'];
}

/** Nothing before the listeners is asynchronous: earlier events of the response would be lost. */
async function receive(
  answer: Answer,
  { url, to, start, total, limits, onProgress }: Reception,
): Promise<void> {
  const { response, alive, closeReason } = answer;
  const file = openPartial(url, to, start, response.headers.etag);
  try {
    let received = start;
    onProgress?.(received, total);
    await new Promise<void>((resolve, reject) => {
      const interrupt = (reason: string) => reject(new Interrupted(closeReason() ?? reason));
      response.on('end', resolve);
      response.on('error', (error) => interrupt(`the connection broke: ${error.message}`));
      response.on('close', () => interrupt('the connection was closed'));
      // Written synchronously: data in a queue would be lost if the stream breaks.
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

/** Opens the partial file to append from `start`, and writes the note that names the file on the server. */
function openPartial(url: string, to: string, start: number, etag: string | undefined): number {
  if (start > 0) return openSync(to, 'a');
  discard(to);
  if (lstatSync(to, { throwIfNoEntry: false })) {
    throw new LookoutError('MODEL_WRITE_FAILED', `${to} exists and is not an unfinished download`, {
      hint: 'Move or delete that file.',
    });
  }
  // The file gets its name after the note is written: without the note Lookout could not prove that the file is its own.
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
