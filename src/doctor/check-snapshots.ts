/** Whether the database lists every file in the snapshot folder. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isWithin, lstatIfExists } from '../runtime/own-files.ts';
import { Claims, sum, type UnclaimedFile, unclaimedCopies, unclaimedSnapshots } from '../store/unclaimed.ts';
import { type Check, type Finding, ok, warn } from './check.ts';

export const checkSnapshots: Check = async ({ loaded }) => {
  const { file, snapshots } = loaded.config.store;
  const claims = new Claims(file);
  try {
    const listed: { bytes: number }[] = [];
    const found: UnclaimedFile[] = [];
    for await (const one of unclaimedSnapshots(snapshots, claims, (bytes) => listed.push({ bytes })))
      found.push(one);
    found.push(...(await unclaimedCopies(file, claims)));
    const unclaimed = found.filter(({ owner }) => owner.kind !== 'other');
    const foreign = found.filter(({ owner }) => owner.kind === 'other');
    const others = foreign.length === 0 ? '' : `; from other programs: ${sum(foreign)}, never deleted`;
    const findings = [
      ok('snapshots', `${snapshots}: ${sum(listed)} in the database${others}`),
      ...(await linksOut(snapshots)),
    ];
    if (unclaimed.length > 0) {
      findings.push(
        warn(
          'snapshots',
          `unclaimed: ${sum(unclaimed)}: snapshots and copies that are not in the database; Lookout does not delete them automatically`,
          'Run `lookout clean`. It lists them and deletes those that you choose.',
        ),
      );
    }
    return findings;
  } finally {
    claims.close();
  }
};

/** Warns of links that lead out of the folder: snapshots behind them are never deleted. */
async function linksOut(folder: string): Promise<Finding[]> {
  const names = await readdir(folder).catch(() => []);
  const links = names
    .map((name) => join(folder, name))
    .filter((path) => lstatIfExists(path)?.isSymbolicLink() && !isWithin(path, folder));
  return links.map((path) =>
    warn(
      'snapshots',
      `${path} is a link that leads out of the folder: snapshots behind it are neither counted nor deleted`,
      'Set store.snapshots to the target of the link, or mount the target there.',
    ),
  );
}
