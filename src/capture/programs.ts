/** Finds the programs that cameras need, and names the package that installs each. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { LookoutError } from '../errors.ts';

/** The command that installs a program on Debian, Raspberry Pi OS and JetPack. */
const PACKAGES: Record<string, string> = {
  ffmpeg: 'sudo apt install ffmpeg',
  'gst-launch-1.0': 'sudo apt install gstreamer1.0-tools',
  'rpicam-still': 'sudo apt install rpicam-apps (libcamera-apps on Raspberry Pi OS bullseye)',
  'rpicam-vid': 'sudo apt install rpicam-apps (libcamera-apps on Raspberry Pi OS bullseye)',
};

/** Path of the first of `names` that is on the PATH of `env`, or null. */
export async function findProgram(names: readonly string[], env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      if (folder === '') continue;
      const file = join(folder, name);
      try {
        await access(file, constants.X_OK);
        return file;
      } catch {}
    }
  }
  return null;
}

/**
 * Path of the first of `names` that is on the PATH of `env`.
 * @throws LookoutError CAPTURE_PROGRAM_MISSING, which names the package to install
 */
export async function requireProgram(
  names: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const file = await findProgram(names, env);
  if (file !== null) return file;
  const hint = PACKAGES[names[0]];
  throw new LookoutError(
    'CAPTURE_PROGRAM_MISSING',
    `${names.join(' or ')} not found on the PATH`,
    hint === undefined ? {} : { hint },
  );
}

/** The first version of ffmpeg whose concat demuxer supports the directive `option`. */
export const TAKES_OPTIONS = 5;

/**
 * The major version of the installed ffmpeg; a build without a version number counts as a new one.
 * @throws LookoutError CAPTURE_PROGRAM_MISSING
 */
export async function ffmpegVersion(env: NodeJS.ProcessEnv): Promise<number> {
  const { stdout } = await promisify(execFile)(await requireProgram(['ffmpeg'], env), ['-version'], { env });
  return Number(/^ffmpeg version n?(\d+)\./.exec(stdout)?.[1] ?? Number.POSITIVE_INFINITY);
}
