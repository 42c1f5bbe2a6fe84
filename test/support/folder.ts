import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

/** A new folder, deleted when the process of this test file ends. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lookout-test-'));
  if (folders.push(folder) === 1) {
    process.once('exit', () => {
      for (const used of folders) rmSync(used, { recursive: true, force: true });
    });
  }
  return folder;
}
