import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { SourceConfig } from '../config/sources.ts';
import { publicAddress, readAddress } from './address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { FfmpegSource } from './ffmpeg.ts';
import { requireProgram } from './programs.ts';
import type { Source } from './source.ts';

export type RtspConfig = Extract<SourceConfig, { kind: 'rtsp' }>;

/** The first version whose concat demuxer knows the directive `option`. */
const TAKES_OPTIONS = 5;

/**
 * Many cameras give wrong times; the time of arrival is right. And nobody needs the two seconds in which ffmpeg would
 * find out the rate (measured; both it and the list would be watched so long).
 */
const INPUT_OPTIONS = ['-use_wallclock_as_timestamps', '1', '-fpsprobesize', '0'];
const OPTIONS = { fpsprobesize: '0', allowed_media_types: 'video' };

/**
 * A network camera over RTSP.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS, CAPTURE_PROGRAM_MISSING
 */
export async function rtspSource(config: RtspConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  const input = addressInput(address, INPUT_OPTIONS, await addressOptions(config, context));
  return new FfmpegSource(publicAddress(address), input, config, context);
}

/** An older ffmpeg cannot be told: it tries UDP first, and TCP when the camera refuses that. */
async function addressOptions(
  { transport }: RtspConfig,
  { env, log }: SourceContext,
): Promise<Record<string, string>> {
  const version = await majorVersion(await requireProgram(['ffmpeg'], env), env);
  if (version >= TAKES_OPTIONS) return { ...OPTIONS, rtsp_transport: transport };
  log.debug(`ffmpeg ${version} chooses the RTSP transport itself: only version 5 and later can be told`);
  return {};
}

/** The major version of an ffmpeg; a build that has no number is taken for a new one. */
async function majorVersion(file: string, env: NodeJS.ProcessEnv): Promise<number> {
  const { stdout } = await promisify(execFile)(file, ['-version'], { env });
  return Number(/^ffmpeg version n?(\d+)\./.exec(stdout)?.[1] ?? Number.POSITIVE_INFINITY);
}
