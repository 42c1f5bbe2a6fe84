import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/** Finds a program on the PATH, and in the `sbin` beside each `bin` of it, where Debian keeps daemons. */
export function findProgram(program: string): string | null {
  const path = (process.env.PATH ?? '').split(delimiter);
  for (const folder of [...path, ...path.map((bin) => bin.replace(/\bbin$/, 'sbin'))]) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  return null;
}

/** Program → Debian package that brings it. */
const PACKAGES: Record<string, string> = {
  cc: 'gcc libc6-dev',
  ffmpeg: 'ffmpeg',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  umount: 'mount',
  mosquitto: 'mosquitto',
  script: 'bsdutils',
  setpriv: 'util-linux',
  'systemd-analyze': 'systemd',
  'systemd-notify': 'systemd',
  'systemd-socket-activate': 'systemd',
  tar: 'tar',
};

/** What makes a skipped test run: ` (apt-get install …)`, or nothing. */
export function installHint(reason: string): string {
  const programs = /^needs (.+), not installed here$/.exec(reason)?.[1]?.split(' and ') ?? [];
  const packages = programs.map((program) => PACKAGES[program] ?? program);
  return packages.length === 0 ? '' : ` (apt-get install ${[...new Set(packages)].join(' ')})`;
}

/**
 * The `skip` option of a test that needs programs this machine may lack: false, or the reason.
 * With LOOKOUT_TEST_REQUIRE=1 a missing program fails the test instead.
 */
export function requires(...programs: string[]): string | false {
  const missing = programs.filter((program) => findProgram(program) === null);
  if (missing.length === 0) return false;
  const reason = `needs ${missing.join(' and ')}, not installed here`;
  if (process.env.LOOKOUT_TEST_REQUIRE === '1') throw new Error(reason);
  return reason;
}

/** How often a test repeats what it does: `many` times where nothing may be skipped, else `few`. */
export function times(few: number, many: number): number {
  return process.env.LOOKOUT_TEST_REQUIRE === '1' ? many : few;
}

/** Why a fault that takes long, or all of the processor, is not part of a run. */
export const FAULT_LEFT_OUT = 'only `npm run faults` injects it';

const material = resolve(process.env.LOOKOUT_TEST_DATA ?? '../shared');

/** Path of a file of the test material that is not part of the project (real models, photos, a clip). */
export function shared(path: string): string {
  return join(material, path);
}

/** The `skip` option of a test that needs such files: false, or the reason. */
export function requiresShared(...paths: string[]): string | false {
  const missing = paths.filter((path) => !existsSync(shared(path)));
  if (missing.length === 0) return false;
  return `needs ${missing.join(' and ')} in ${material} (set LOOKOUT_TEST_DATA)`;
}
