import { open, rename, rm } from 'node:fs/promises';
import { LookoutError, messageOf } from '../errors.ts';

/**
 * Writes a file whole or not at all: beside its place first, onto the disk, then under its name.
 * @throws LookoutError MODEL_WRITE_FAILED; nothing is left behind
 */
export async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${process.pid}.part`;
  try {
    const handle = await open(draft, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => {});
    throw new LookoutError('MODEL_WRITE_FAILED', `${file} cannot be written: ${messageOf(cause)}`, { cause });
  }
}
