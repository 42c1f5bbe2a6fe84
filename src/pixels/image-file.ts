/** Finds and reads image files, including those whose names are not UTF-8. */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { messageOf } from '../errors.ts';
import { printable } from '../runtime/printable.ts';
import { formatOf, HEAD_BYTES, ImageError, notAnImage } from './image-format.ts';

/** Larger files are not read into memory: the decoder reads the parts that it needs. */
const LARGEST_READ = 32_000_000;

/** A path; as bytes if it is not UTF-8. */
export type Path = string | Buffer<ArrayBuffer>;

export interface ImageFile {
  format: string;
  /** The content, or the path of a file that is too large to be read into memory. */
  source: Buffer | string;
}

/**
 * Reads an image file in a supported format. Opens regular files only.
 * @throws ImageError for all other files
 */
export async function readImage(file: Path): Promise<ImageFile> {
  const { size } = await regularFile(file);
  if (size > LARGEST_READ) {
    const format = await readFormat(file);
    if (typeof file === 'string') return { format, source: file };
    throw new ImageError('its name is not UTF-8 and the file is larger than 32 MB: rename it');
  }
  const content = await readFile(file).catch(unreadable);
  return { format: formatOf(content.subarray(0, HEAD_BYTES), file.toString()), source: content };
}

/**
 * Reads the first bytes of an image file.
 * @returns its format
 * @throws ImageError if the format is not supported
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
 * All entries of a folder, sorted by name, 2.jpg before 10.jpg.
 * @throws Error like readdir(3)
 */
export async function listFolder(folder: Path): Promise<Path[]> {
  const entries = (await readdir(folder, { encoding: 'buffer' })).map((name) => ({
    path: inside(folder, name),
    text: name.toString(),
  }));
  return entries.sort((a, b) => byNumber.compare(a.text, b.text)).map(({ path }) => path);
}

/**
 * The image files in a folder, including those that may turn out to be damaged; null if the path is not a folder.
 * @throws ImageError when the folder has no image file
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
 * The original path where bytes that are not UTF-8 were replaced by U+FFFD, as in command-line arguments.
 * @throws ImageError when several files match
 */
export async function originalPath(path: string): Promise<Path> {
  if (!path.includes('\ufffd') || (await stat(path).catch(() => null))) return path;
  let found: Path = isAbsolute(path) ? '/' : '.';
  for (const part of path.split('/').filter((word) => word !== '')) {
    const [name, another] = part.includes('\ufffd') ? await namesLike(part, found) : [];
    if (name && another) {
      throw new ImageError(
        'its name is not UTF-8, and the name of another file differs only in such bytes: rename it',
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

/** Describes an entry that is not a regular file. */
function kindOf(entry: Stats): string {
  if (entry.isDirectory()) return 'a folder';
  if (entry.isFIFO()) return 'a named pipe (FIFO)';
  if (entry.isSocket()) return 'a socket';
  return 'a device';
}

const REASONS: Record<string, string> = {
  EACCES: 'permission denied for this user',
  ELOOP: 'it is a symbolic link loop',
  ENOENT: 'no such file',
};

function unreadable(error: unknown): never {
  if (error instanceof ImageError) throw error;
  const { code = '' } = error as NodeJS.ErrnoException;
  throw new ImageError(REASONS[code] ?? `it cannot be read: ${printable(messageOf(error))}`, {
    cause: error,
  });
}
