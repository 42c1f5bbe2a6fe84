import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import { publicAddress } from '../runtime/address.ts';
import { readAddress, uncheckedTls } from './camera-address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { ARRIVAL, FfmpegSource } from './ffmpeg.ts';
import { ffmpegVersion, TAKES_OPTIONS } from './programs.ts';
import type { Source } from './source.ts';

export type RtspConfig = Extract<SourceConfig, { kind: 'rtsp' }>;

/**
 * Nobody needs the two seconds in which ffmpeg would find out the rate (measured; both it and the list would be watched
 * so long).
 */
const INPUT_OPTIONS = [...ARRIVAL, '-fpsprobesize', '0'];
const OPTIONS = { fpsprobesize: '0', allowed_media_types: 'video' };

/**
 * A network camera over RTSP.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS, CAPTURE_PROGRAM_MISSING
 */
export async function rtspSource(config: RtspConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  if (address.protocol === 'rtsps:') {
    if (config.verify) {
      // Its RTSP demuxer does not hand `tls_verify` on to the connection (tried with 5.1).
      throw new LookoutError(
        'CAPTURE_ADDRESS',
        `${publicAddress(address)}: ffmpeg does not check the certificates of rtsps:// cameras`,
        { hint: '`verify: false` uses it encrypted, but from whoever answers.' },
      );
    }
    context.log.warn(uncheckedTls(address));
  }
  const input = addressInput(address, INPUT_OPTIONS, await addressOptions(config, context));
  const where = publicAddress(address);
  const camera = { where, login: address.username !== '' || address.password !== '' };
  return new FfmpegSource(where, { ...input, camera }, config, context);
}

/** An older ffmpeg cannot be told: it tries UDP first, and TCP when the camera refuses that. */
async function addressOptions(
  { transport }: RtspConfig,
  { env, log }: SourceContext,
): Promise<Record<string, string>> {
  const version = await ffmpegVersion(env);
  if (version >= TAKES_OPTIONS) return { ...OPTIONS, rtsp_transport: transport };
  log.debug(`ffmpeg ${version} chooses the RTSP transport itself: only version 5 and later can be told`);
  return {};
}
