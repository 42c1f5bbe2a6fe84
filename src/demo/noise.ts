import { Random } from '../runtime/random.ts';

/** Luma may rise or fall by this much through light, in steps of one. */
export const LIGHT_RANGE = 8;

const LUMA_NOISE = 7;
const CHROMA_NOISE = 3;
const WORDS = 16384;
const CHUNK = 1024;

/**
 * Sensor noise and daylight, added to four pixels at a time. Both are stored as bytes that are never negative,
 * and luma as LUMA.min…LUMA.max, so that no byte overflows into its neighbour; what is too much is taken off
 * first.
 */
export class SensorNoise {
  readonly #luma: Int32Array;
  readonly #chroma: Int32Array;

  /** @param level standard deviation of the luma noise, in luma steps, at most 3 */
  constructor(seed: number, level: number) {
    this.#luma = table(new Random(seed, 4), LUMA_NOISE, level);
    this.#chroma = table(new Random(seed, 5), CHROMA_NOISE, level / 2);
  }

  /**
   * Adds noise and light to an i420 picture in place.
   * @param random of this frame
   * @param light −LIGHT_RANGE … LIGHT_RANGE luma steps
   */
  apply(picture: Uint8Array, width: number, height: number, light: number, random: Random): void {
    const words = new Int32Array(picture.buffer, picture.byteOffset, picture.length >> 2);
    const lumaWords = (width * height) / 4;
    const clamped = Math.min(LIGHT_RANGE, Math.max(-LIGHT_RANGE, Math.round(light)));
    add(words, 0, lumaWords, this.#luma, LUMA_NOISE + LIGHT_RANGE, clamped + LIGHT_RANGE, random);
    add(words, lumaWords, words.length, this.#chroma, CHROMA_NOISE, 0, random);
  }
}

/** Four bytes in each word, each `middle` ± noise. */
function table(random: Random, middle: number, level: number): Int32Array {
  const bytes = new Uint8Array(WORDS * 4);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Math.min(2 * middle, Math.max(0, Math.round(middle + random.gaussian() * level)));
  }
  return new Int32Array(bytes.buffer);
}

function add(
  words: Int32Array,
  from: number,
  to: number,
  noise: Int32Array,
  take: number,
  give: number,
  random: Random,
): void {
  const less = Math.imul(take, 0x01010101);
  const more = Math.imul(give, 0x01010101);
  for (let start = from; start < to; start += CHUNK) {
    const end = Math.min(to, start + CHUNK);
    let j = Math.floor(random.next() * (WORDS - CHUNK));
    for (let i = start; i < end; i++, j++) {
      words[i] = (((words[i]! - less) | 0) + ((noise[j]! + more) | 0)) | 0;
    }
  }
}
