import { open, rename, rm } from 'node:fs/promises';
import { type ErrorCode, LookoutError, messageOf } from '../errors.ts';

/**
 * Writes a file whole or not at all: beside its place first, onto the disk, then under its name.
 * @param code of the error if that fails
 * @throws LookoutError with that code; nothing is left behind
 */
export async function writeWhole(
  file: string,
  bytes: Uint8Array,
  code: ErrorCode = 'MODEL_WRITE_FAILED',
): Promise<void> {
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
    throw new LookoutError(code, `${file} cannot be written: ${messageOf(cause)}`, { cause });
  }
}
