import { LookoutError, messageOf } from '../errors.ts';
import { nameOf, type Path } from '../pixels/image-file.ts';
import { printable } from '../runtime/printable.ts';
import type { RawFrame } from '../types.ts';
import type { FrameSink } from './source.ts';

/** Limit of image files that are being decoded or wait for those before them. */
const DECODED_AHEAD = 3;
/** Limits of the summary of skipped files. */
const REASONS_NAMED = 8;
const FILES_NAMED = 4;

/** Plays image files one after another, and reports once which of them it skips. */
export class ImagePlayer {
  readonly #path: string;
  readonly #fit: { width: number; height: number };
  #reported = '';

  /** @param config path of the files, and the size into which each is scaled */
  constructor({ path, width, height }: { path: string; width: number; height: number }) {
    this.#path = path;
    this.#fit = { width, height };
  }

  /**
   * Plays each file once, and decodes the next ones meanwhile.
   * @returns number of decoded files
   * @throws LookoutError CAPTURE_FILE when none can be decoded
   */
  async play(
    files: readonly Path[],
    sink: FrameSink,
    signal: AbortSignal,
    deliver: (frame: RawFrame) => Promise<void>,
  ): Promise<number> {
    const { decodeImageFile } = await import('../pixels/decode-image.ts');
    const decode = async (file: Path): Promise<{ frame: RawFrame } | { file: Path; reason: string }> => {
      try {
        return { frame: await decodeImageFile(file, this.#fit, sink) };
      } catch (error) {
        return { file, reason: messageOf(error) };
      }
    };
    const decoding = files.slice(0, DECODED_AHEAD).map(decode);
    const skipped = new Skipped();
    let frames = 0;
    for (let next = decoding.length; decoding.length > 0 && !signal.aborted; next++) {
      const decoded = await decoding.shift()!;
      if (next < files.length) decoding.push(decode(files[next]!));
      if ('reason' in decoded) {
        skipped.add(decoded.file, decoded.reason);
        continue;
      }
      frames++;
      await deliver(decoded.frame);
    }
    for (const unused of await Promise.all(decoding)) {
      if ('frame' in unused) sink.release(unused.frame.data);
    }
    const summary = skipped.describe(files.length);
    if (frames === 0 && !signal.aborted) {
      const message = `replay path ${printable(this.#path)}: cannot decode any image file: ${summary}`;
      throw new LookoutError('CAPTURE_FILE', message);
    }
    if (summary !== this.#reported && summary !== '') sink.fault(summary);
    this.#reported = summary;
    return frames;
  }
}

/** Skipped files by reason. */
class Skipped {
  readonly #reasons = new Map<string, { names: string[]; count: number }>();
  #count = 0;

  add(file: Path, reason: string): void {
    this.#count++;
    const same = this.#reasons.get(reason) ?? { names: [], count: 0 };
    this.#reasons.set(reason, same);
    if (++same.count <= FILES_NAMED) same.names.push(printable(nameOf(file)));
  }

  /** One line; empty when none can be decoded. */
  describe(total: number): string {
    if (this.#count === 0) return '';
    const reasons = [...this.#reasons].map(([reason, { names, count }]) => {
      const more = count > names.length ? ` and ${count - names.length} more` : '';
      return `${names.join(', ')}${more}: ${reason}`;
    });
    const named = reasons.slice(0, REASONS_NAMED);
    if (named.length < reasons.length) named.push('others for other reasons');
    return `skipped ${this.#count} of ${total} files: ${named.join('; ')}`;
  }
}
