/** Scale factor when the first size is still too large, and the minimum width in pixels. */
const STEP = 0.75;
const MIN_WIDTH = 64;
const QUALITY = 70;

/**
 * Compresses a JPEG image again, in other threads, until it has at most `bytes` bytes.
 * @returns null if that is not possible, or `jpeg` is not a valid image
 */
export async function smallerJpeg(jpeg: Uint8Array, bytes: number): Promise<Uint8Array | null> {
  // Loaded on first use: few brokers have such limits.
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  try {
    const { width } = await sharp(jpeg).metadata();
    // The bytes of a JPEG are about proportional to its pixels.
    for (
      let scale = Math.min(1, Math.sqrt(bytes / jpeg.byteLength));
      scale * width >= MIN_WIDTH;
      scale *= STEP
    ) {
      const scaled = sharp(jpeg).resize({ width: Math.round(scale * width) });
      const smaller = await scaled.jpeg({ quality: QUALITY }).toBuffer();
      if (smaller.byteLength <= bytes) return smaller;
    }
  } catch {
    // Not a valid image.
  }
  return null;
}
