/**
 * Configurations of earlier versions: `version` in a file says by which rules it was written. They are understood as
 * what they meant; the file itself stays as it is, so that going back to an earlier Lookout needs nothing. A released
 * step is never edited: every change is a new one, at the end.
 */
import { LookoutError } from '../errors.ts';

type Settings = Record<string, unknown>;

/** Changes settings of one version into those of the next; returns what is called or done otherwise now, in words. */
export type Step = (settings: Settings) => string[];

const STEPS: readonly Step[] = [];

/** The version of the settings that this program knows. */
export const CONFIG_VERSION = STEPS.length + 1;

/**
 * Takes the steps that are missing. A file without `version` is of the first.
 * @returns what should be changed in the file, in words
 * @throws LookoutError CONFIG_TOO_NEW if the file was written for a newer program
 */
export function bringUpToDate(settings: Settings, file: string, steps: readonly Step[] = STEPS): string[] {
  const { version = 1 } = settings;
  // Whatever else it may be, the schema has something to say about it.
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) return [];
  const known = steps.length + 1;
  if (version > known) {
    throw new LookoutError(
      'CONFIG_TOO_NEW',
      `config file ${file}: written for a newer Lookout (version ${version} of the settings; this program knows ${known})`,
      { hint: 'Install the newer Lookout again, or the configuration that was there before it came.' },
    );
  }
  const changes = steps.slice(version - 1).flatMap((step) => step(settings));
  if (version < known) delete settings.version;
  return changes.map((change) => `${file} is of version ${version} of the settings: ${change}`);
}
