/** Finding and reading image files, whatever their names are made of. */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { messageOf } from '../errors.ts';
import { printable } from '../runtime/printable.ts';
import { formatOf, HEAD_BYTES, ImageError, notAnImage } from './image-format.ts';

/** Larger files are not read as a whole: the decoder takes of them what it needs. */
const LARGEST_READ = 32_000_000;

/** A path; the bytes of one that is not UTF-8. */
export type Path = string | Buffer<ArrayBuffer>;

export interface ImageFile {
  format: string;
  /** The content, or the path of a file that is too large to be read as a whole. */
  source: Buffer | string;
}

/**
 * Reads an image file that can be decoded. What is no regular file is not opened.
 * @throws ImageError for everything else
 */
export async function readImage(file: Path): Promise<ImageFile> {
  const { size } = await regularFile(file);
  if (size > LARGEST_READ) {
    const format = await readFormat(file);
    if (typeof file === 'string') return { format, source: file };
    throw new ImageError('its name is not UTF-8, and it is too large to be read as a whole: rename it');
  }
  const content = await readFile(file).catch(unreadable);
  return { format: formatOf(content.subarray(0, HEAD_BYTES), file.toString()), source: content };
}

/**
 * Looks at the first bytes of an image file.
 * @returns its format
 * @throws ImageError if it cannot be decoded
 */
export async function readFormat(file: Path): Promise<string> {
  await regularFile(file);
  const handle = await open(file).catch(unreadable);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    return formatOf(head.subarray(0, bytesRead), file.toString());
  } catch (error) {
    return unreadable(error);
  } finally {
    await handle.close();
  }
}

/**
 * Everything in a folder, in the order of the names, 2.jpg before 10.jpg.
 * @throws Error as readdir(3) does
 */
export async function listFolder(folder: Path): Promise<Path[]> {
  const entries = (await readdir(folder, { encoding: 'buffer' })).map((name) => ({
    path: inside(folder, name),
    text: name.toString(),
  }));
  return entries.sort((a, b) => byNumber.compare(a.text, b.text)).map(({ path }) => path);
}

/**
 * What is meant as an image in a folder; null if the path is none.
 * @throws ImageError when there is nothing of the kind
 */
export async function imagesIn(folder: Path): Promise<Path[] | null> {
  if (!(await stat(folder).catch(unreadable)).isDirectory()) return null;
  const images: Path[] = [];
  for (const file of await listFolder(folder).catch(unreadable)) {
    const error: unknown = await readFormat(file).catch((thrown: unknown) => thrown);
    if (!(error instanceof ImageError && error.foreign)) images.push(file);
  }
  if (images.length === 0) throw notAnImage('a folder without images');
  return images;
}

const byNumber = new Intl.Collator('en', { numeric: true });

/**
 * The path that is meant where bytes that are not UTF-8 have been replaced by U+FFFD, as in the arguments of a command.
 * @throws ImageError when there are several
 */
export async function originalPath(path: string): Promise<Path> {
  if (!path.includes('\ufffd') || (await stat(path).catch(() => null))) return path;
  let found: Path = isAbsolute(path) ? '/' : '.';
  for (const part of path.split('/').filter((word) => word !== '')) {
    const [name, another] = part.includes('\ufffd') ? await namesLike(part, found) : [];
    if (name && another) {
      throw new ImageError(
        'its name is not UTF-8, and another differs from it in such bytes only: rename it',
      );
    }
    found = inside(found, name ?? Buffer.from(part));
  }
  return found;
}

async function namesLike(text: string, folder: Path): Promise<Buffer[]> {
  const names = await readdir(folder, { encoding: 'buffer' }).catch(() => []);
  return names.filter((name) => name.toString() === text);
}

/** The name of a file without its folder. */
export function nameOf(file: Path): Path {
  return typeof file === 'string' ? basename(file) : file.subarray(file.lastIndexOf('/') + 1);
}

function inside(folder: Path, name: Buffer): Path {
  if (typeof folder === 'string' && isUtf8(name)) return join(folder, name.toString());
  return Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]);
}

async function regularFile(file: Path): Promise<Stats> {
  const found = await stat(file).catch(unreadable);
  if (!found.isFile()) throw notAnImage(kindOf(found));
  return found;
}

/** What is no regular file. */
function kindOf(entry: Stats): string {
  if (entry.isDirectory()) return 'a folder';
  if (entry.isFIFO()) return 'a named pipe (FIFO)';
  if (entry.isSocket()) return 'a socket';
  return 'a device';
}

const REASONS: Record<string, string> = {
  EACCES: 'this user may not read it',
  ELOOP: 'it is a link that leads to itself',
  ENOENT: 'there is no such file',
};

function unreadable(error: unknown): never {
  if (error instanceof ImageError) throw error;
  const { code = '' } = error as NodeJS.ErrnoException;
  throw new ImageError(REASONS[code] ?? `it cannot be read: ${printable(messageOf(error))}`, {
    cause: error,
  });
}
