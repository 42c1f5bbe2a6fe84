/** Whether the data can be written, and whether secrets are kept from others. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { outerSpaces } from '../setup/config-files.ts';
import { findDiskFault } from '../store/disk-fault.ts';
import { secretFiles } from './bundle-secrets.ts';
import { type Check, type Finding, fail, ok, warn } from './check.ts';

export const checkFiles: Check = async ({ loaded }) => {
  const { store, data_dir } = loaded.config;
  const findings: Finding[] = [];
  for (const [what, path] of [
    ['database', store.file],
    ['snapshots', join(store.snapshots, 'any')],
  ] as const) {
    const fault = findDiskFault(path);
    if (fault) {
      findings.push(
        fail(
          'permissions',
          `${what}: ${fault.path}: ${fault.says} (${fault.code})`,
          'Correct data_dir, or its owner and permissions: sudo chown -R lookout: FOLDER',
        ),
      );
    }
  }
  if (findings.length === 0) findings.push(ok('permissions', `${data_dir} can be written`));
  const spaces = (await outerSpaces(loaded.config)).map((text) =>
    warn('secrets', text, 'Write the file again without the white space, or leave it if it is meant.'),
  );
  return [...findings, ...(await checkSecrets(secretFiles(loaded.config))), ...spaces];
};

/** A secret that every user of the machine can read is none. */
async function checkSecrets(files: readonly string[]): Promise<Finding[]> {
  const findings = await Promise.all(
    files.map(async (file): Promise<Finding> => {
      // Whoever needs it says so when it cannot be read.
      const mode = (await stat(file).catch(() => null))?.mode ?? 0;
      return mode & 0o004
        ? warn('secrets', `${file} can be read by every user of this machine`, `chmod o= ${file}`)
        : ok('secrets', `${file} is not open to everybody`);
    }),
  );
  return findings;
}
