import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import { publicAddress } from '../runtime/address.ts';
import { readAddress, uncheckedTls } from './camera-address.ts';
import { addressInput } from './concat.ts';
import { ARRIVAL, FfmpegSource } from './ffmpeg.ts';
import { ffmpegVersion, TAKES_OPTIONS } from './programs.ts';
import type { Source, SourceContext } from './source.ts';

export type RtspConfig = Extract<SourceConfig, { kind: 'rtsp' }>;

/**
 * Without `fpsprobesize`, ffmpeg spends two seconds on measuring the frame rate (measured; the list and the stream each
 * need the option).
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
      // Its RTSP demuxer does not pass `tls_verify` to the connection (tried with 5.1).
      throw new LookoutError(
        'CAPTURE_ADDRESS',
        `${publicAddress(address)}: ffmpeg cannot verify the certificates of rtsps:// cameras`,
        { hint: 'Set `verify: false`: it encrypts, but does not verify who answers.' },
      );
    }
    context.log.warn(uncheckedTls(address));
  }
  const input = addressInput(address, INPUT_OPTIONS, await addressOptions(config, context));
  const where = publicAddress(address);
  const camera = { where, login: address.username !== '' || address.password !== '' };
  return new FfmpegSource(where, { ...input, camera }, config, context);
}

/** Older versions of ffmpeg take no transport option here: they try UDP first, and TCP when the camera refuses UDP. */
async function addressOptions(
  { transport }: RtspConfig,
  { env, log }: SourceContext,
): Promise<Record<string, string>> {
  const version = await ffmpegVersion(env);
  if (version >= TAKES_OPTIONS) return { ...OPTIONS, rtsp_transport: transport };
  log.debug(
    `ffmpeg ${version} ignores \`transport\` and selects the RTSP transport itself; version 5 and later use it`,
  );
  return {};
}
