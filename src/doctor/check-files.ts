/** Whether the data can be written, and whether other users cannot read the secrets. */
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
          `${what}: ${fault.path}: ${fault.reason} (${fault.code})`,
          'Correct data_dir, or its owner and permissions: sudo chown -R lookout: FOLDER.',
        ),
      );
    }
  }
  if (findings.length === 0) findings.push(ok('permissions', `${data_dir} is writable`));
  const spaces = (await outerSpaces(loaded.config)).map((text) =>
    warn(
      'secrets',
      text,
      'Write the file again without the white space, unless the white space is intended.',
    ),
  );
  return [...findings, ...(await checkSecrets(secretFiles(loaded.config))), ...spaces];
};

async function checkSecrets(files: readonly string[]): Promise<Finding[]> {
  const findings = await Promise.all(
    files.map(async (file): Promise<Finding> => {
      // The check that needs the file reports that it cannot be read.
      const mode = (await stat(file).catch(() => null))?.mode ?? 0;
      return mode & 0o004
        ? warn('secrets', `every user of this machine can read ${file}`, `Run: chmod o= ${file}`)
        : ok('secrets', `other users of this machine cannot read ${file}`);
    }),
  );
  return findings;
}
