/**
 * Upgrades configurations of earlier versions in memory. The file itself stays unchanged, so an earlier Lookout can still
 * read it. A released step is never edited: every change is a new step at the end.
 */
import { LookoutError } from '../errors.ts';

type Settings = Record<string, unknown>;

/** Changes settings of one version into those of the next in place; returns one line of text for each change. */
export type Step = (settings: Settings) => string[];

const STEPS: readonly Step[] = [];

/** The version of the settings that this program reads. */
export const CONFIG_VERSION = STEPS.length + 1;

/**
 * Applies the steps that are missing. A file without `version` has version 1.
 * @returns one line of text for each change that the user should make in the file
 * @throws LookoutError CONFIG_TOO_NEW if the file was written for a newer program
 */
export function upgradeSettings(settings: Settings, file: string, steps: readonly Step[] = STEPS): string[] {
  const { version = 1 } = settings;
  // The schema reports a version that is not valid.
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) return [];
  const known = steps.length + 1;
  if (version > known) {
    throw new LookoutError(
      'CONFIG_TOO_NEW',
      `config file ${file} is for a newer Lookout: it has version ${version} of the settings, and this program supports versions up to ${known}`,
      { hint: 'Install the newer Lookout again, or restore the configuration from before the upgrade.' },
    );
  }
  const changes = steps.slice(version - 1).flatMap((step) => step(settings));
  if (version < known) delete settings.version;
  return changes.map((change) => `${file} has version ${version} of the settings: ${change}`);
}
