/** Pixels shrink by this much when the first size was still too large, and no picture gets narrower than so many. */
const STEP = 0.75;
const NARROWEST = 64;
const QUALITY = 70;

/**
 * Compresses a JPEG picture again, in other threads, until it has at most so many bytes.
 * @returns null if that cannot be, or it is no picture
 */
export async function smallerJpeg(jpeg: Uint8Array, bytes: number): Promise<Uint8Array | null> {
  // Loaded for the first picture that needs it: brokers with such limits are few.
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  try {
    const { width } = await sharp(jpeg).metadata();
    // The bytes of a picture are about proportional to its pixels.
    for (
      let scale = Math.min(1, Math.sqrt(bytes / jpeg.byteLength));
      scale * width >= NARROWEST;
      scale *= STEP
    ) {
      const picture = sharp(jpeg).resize({ width: Math.round(scale * width) });
      const smaller = await picture.jpeg({ quality: QUALITY }).toBuffer();
      if (smaller.byteLength <= bytes) return smaller;
    }
  } catch {
    // Not a picture that can be read.
  }
  return null;
}
