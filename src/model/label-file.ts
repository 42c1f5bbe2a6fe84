import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import { decodeText, readText } from '../runtime/text-file.ts';

/** Parses a labels file: one label a line, in Unicode's composed form. Class numbers that start every line ("0  tench") are dropped. */
export function parseLabels(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .normalize()
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const numbered = lines.map((line) => /^(\d+)[\s:,]+(.+)$/.exec(line));
  const inOrder = numbered.every((match, index) => match && Number(match[1]) === index);
  return inOrder ? numbered.map((match) => match![2]!) : lines;
}

/**
 * Decodes the user's labels file or description.
 * @throws LookoutError MODEL_DESCRIPTION_INVALID if it is not text
 */
export function textOf(bytes: Uint8Array, file: string): string {
  try {
    return decodeText(bytes);
  } catch (cause) {
    throw new LookoutError('MODEL_DESCRIPTION_INVALID', `${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The labels of every `*label*.txt` in the folder of a model: `labels.txt`, `birds_labels.txt`, `labelmap.txt`. */
export async function labelsBeside(file: string): Promise<string[][]> {
  const folder = dirname(file);
  const names = (await readdir(folder)).filter((name) => /label.*\.txt$/i.test(name));
  const texts = await Promise.all(names.map((name) => readText(join(folder, name)).catch(() => '')));
  return texts.map(parseLabels);
}
