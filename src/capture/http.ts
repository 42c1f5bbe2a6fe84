import type { SourceConfig } from '../config/sources.ts';
import { LookoutError } from '../errors.ts';
import { publicAddress } from '../platform/address.ts';
import { readAddress, uncheckedTls } from './address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { FfmpegSource } from './ffmpeg.ts';
import { ffmpegVersion, TAKES_OPTIONS } from './programs.ts';
import type { Source } from './source.ts';

export type HttpConfig = Extract<SourceConfig, { kind: 'http' }>;

/** Files and playlists, which come as fast as the line allows and carry their own times. */
const RECORDED = /\.(m3u8|mpd|mp4|m4v|mov|mkv|webm|avi|ts|mpg|mpeg|flv|ogv)$/i;

/**
 * Video over HTTP: MJPEG from a camera, HLS, or a file.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS, CAPTURE_PROGRAM_MISSING
 */
export async function httpSource(config: HttpConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  const input = addressInput(address, timing(address), await tlsOptions(address, config, context));
  return new FfmpegSource(publicAddress(address), { ...input, device: CERTIFICATE }, config, context);
}

const CERTIFICATE = {
  faults: /certificate/i,
  hint: 'Name the camera’s own certificate or its authority with `ca_file`, or do without with `verify: false`.',
};

/** How ffmpeg is told to check the certificate, which it does not do unless told. */
async function tlsOptions(
  address: URL,
  { verify, ca_file }: HttpConfig,
  { env, log }: SourceContext,
): Promise<Record<string, string>> {
  if (address.protocol !== 'https:') return {};
  if (!verify) {
    log.warn(uncheckedTls(address));
    return {};
  }
  const version = await ffmpegVersion(env);
  if (version < TAKES_OPTIONS) {
    throw new LookoutError(
      'CAPTURE_ADDRESS',
      `${publicAddress(address)}: ffmpeg ${version} cannot be told to check certificates`,
      { hint: 'ffmpeg 5 or later can. `verify: false` uses the camera encrypted, but from whoever answers.' },
    );
  }
  return { tls_verify: '1', ...(ca_file === undefined ? {} : { ca_file }) };
}

/** A recording plays at its own pace; what is live, such as MJPEG, has no times but those of its arrival. */
function timing({ pathname }: URL): string[] {
  return RECORDED.test(pathname) ? ['-re'] : ['-use_wallclock_as_timestamps', '1'];
}
