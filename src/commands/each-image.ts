/** What the commands that run a model over image files have in common. */
import { join, resolve } from 'node:path';
import { LookoutError, messageOf } from '../errors.ts';
import { imagesIn, nameOf, originalPath, type Path } from '../pixels/image-file.ts';
import { printable } from '../runtime/printable.ts';
import type { RawFrame } from '../types.ts';

/** A decoded image; its bytes are taken back when the answer is made. */
export interface DecodedImage {
  format: RawFrame['format'];
  data: Uint8Array;
}

/**
 * Decodes each image file that the arguments mean and prints what `answer` returns for it, as it comes.
 * @param files image files, or folders of them
 * @param answer returns the text for one image
 * @throws LookoutError IMAGE_UNREADABLE at the end, when there were image files that cannot be read
 */
export async function answerEachImage(
  files: readonly string[],
  answer: (name: string, image: DecodedImage) => string,
): Promise<void> {
  const { decodeImageFile } = await import('../pixels/decode-image.ts');
  const { FramePool } = await import('../capture/frame-pool.ts');
  const pool = new FramePool();
  let answered = 0;
  let failed = 0;
  const fail = (name: string, error: unknown) => {
    failed++;
    process.stderr.write(`IMAGE_UNREADABLE: ${printable(name)}: ${messageOf(error)}\n`);
  };
  const take = async (name: string, path: Path) => {
    let image: RawFrame;
    try {
      image = await decodeImageFile(path, null, pool);
    } catch (error) {
      return fail(name, error);
    }
    const { format, data } = image;
    const text = answer(name, { format, data: new Uint8Array(data) });
    pool.release(data);
    answered++;
    process.stdout.write(text);
  };
  for (const file of files) {
    const images = await imagesOf(file).catch((error: unknown) => fail(file, error));
    for (const { name, path } of images ?? []) await take(name, path);
  }
  if (failed > 0) {
    throw new LookoutError('IMAGE_UNREADABLE', `cannot read ${failed} of ${failed + answered} image files`, {
      hint: 'The lines above give the reason for each file.',
    });
  }
}

/**
 * The image files of an argument: the file itself, or those of a folder, each with a printable name.
 * @throws ImageError if there are none
 */
async function imagesOf(file: string): Promise<{ name: string; path: Path }[]> {
  const path = await originalPath(resolve(file));
  const inside = await imagesIn(path);
  const images = (inside ?? [path]).map((image) => {
    if (typeof image !== 'string') return { name: printable(image), path: image };
    return { name: inside ? join(file, nameOf(image).toString()) : file, path: image };
  });
  for (const { name } of images.filter((image) => typeof image.path !== 'string')) {
    process.stderr.write(`${name}: the file name is not UTF-8; invalid bytes are shown as \\xNN\n`);
  }
  return images;
}
