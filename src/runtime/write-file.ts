import { type ErrorCode, LookoutError, messageOf } from '../errors.ts';
import { createDraft, type Draft } from './own-files.ts';

/**
 * Writes a file whole or not at all: beside its place first, onto the disk, then under its name.
 * @param code of the error if that fails
 * @throws LookoutError with that code; nothing is left behind
 */
export function writeWhole(file: string, bytes: Uint8Array, code?: ErrorCode): Promise<void> {
  return writeAll([{ file, bytes }], code);
}

/** The same for several files: none takes its place before all are on the disk. */
export async function writeAll(
  contents: readonly { file: string; bytes: Uint8Array }[],
  code: ErrorCode = 'MODEL_WRITE_FAILED',
): Promise<void> {
  const drafts: { draft: Draft; file: string }[] = [];
  let current = '';
  try {
    for (const { file, bytes } of contents) {
      current = file;
      const draft = await createDraft(file);
      drafts.push({ draft, file });
      await draft.handle.writeFile(bytes);
      await draft.handle.sync();
    }
    for (const { draft, file } of drafts) {
      current = file;
      await draft.moveTo(file);
    }
  } catch (cause) {
    for (const { draft } of drafts) await draft.discard().catch(() => {});
    throw new LookoutError(code, `${current} cannot be written: ${messageOf(cause)}`, { cause });
  }
}
