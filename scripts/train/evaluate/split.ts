/** One split of the picture set: a folder with labels.csv and tars of <class>/<id>.jpg. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Picture {
  id: string;
  label: string;
  source: string;
  /** Where it was unpacked to. */
  file: string;
}

/**
 * Unpacks a split.
 * @param data folder of the set
 * @param split train, val or test
 * @param folder to unpack into
 */
export function unpackSplit(data: string, split: string, folder: string): Picture[] {
  const rows = new Map(readCsv(readFileSync(join(data, 'labels.csv'), 'utf8')).map((row) => [row.id, row]));
  mkdirSync(folder, { recursive: true });
  const pictures: Picture[] = [];
  for (const tar of readdirSync(data).filter((name) => name.startsWith(split) && name.endsWith('.tar'))) {
    for (const { name, bytes } of tarFiles(readFileSync(join(data, tar)))) {
      const id = basename(name, '.jpg');
      const row = rows.get(id);
      if (row?.split !== split) continue;
      const file = join(folder, basename(name));
      writeFileSync(file, bytes);
      pictures.push({ id, label: row.class!, source: row.source!, file });
    }
  }
  if (pictures.length === 0) throw new Error(`there are no pictures of ${split} in ${data}`);
  return pictures.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Rows of a CSV file without quotes, by the names in its first line. */
export function readCsv(text: string): Record<string, string>[] {
  const [head = '', ...lines] = text.trim().split(/\r?\n/);
  const names = head.split(',');
  return lines.map((line) => {
    const fields = line.split(',');
    return Object.fromEntries(names.map((name, i) => [name, fields[i] ?? '']));
  });
}

const BLOCK = 512;
const FILE_TYPES = new Set(['0', '\0']);

/** The files in a tar archive (POSIX.1-1988, "ustar"). */
export function* tarFiles(archive: Buffer): Generator<{ name: string; bytes: Buffer }> {
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    const text = (start: number, length: number) =>
      header.toString('utf8', start, start + length).replace(/\0.*$/s, '');
    const name = text(0, 100);
    if (name === '') return;
    const size = Number.parseInt(text(124, 12), 8);
    const type = header.toString('latin1', 156, 157);
    const start = at + BLOCK;
    if (FILE_TYPES.has(type)) {
      const prefix = text(345, 155);
      yield { name: prefix ? `${prefix}/${name}` : name, bytes: archive.subarray(start, start + size) };
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}
