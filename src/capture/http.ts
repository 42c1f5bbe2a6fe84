import type { SourceConfig } from '../config/sources.ts';
import { publicAddress, readAddress } from './address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { FfmpegSource } from './ffmpeg.ts';
import type { Source } from './source.ts';

export type HttpConfig = Extract<SourceConfig, { kind: 'http' }>;

/** Files and playlists, which come as fast as the line allows and carry their own times. */
const RECORDED = /\.(m3u8|mpd|mp4|m4v|mov|mkv|webm|avi|ts|mpg|mpeg|flv|ogv)$/i;

/**
 * Video over HTTP: MJPEG from a camera, HLS, or a file.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS
 */
export async function httpSource(config: HttpConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  return new FfmpegSource(publicAddress(address), addressInput(address, timing(address)), config, context);
}

/** A recording plays at its own pace; what is live, such as MJPEG, has no times but those of its arrival. */
function timing({ pathname }: URL): string[] {
  return RECORDED.test(pathname) ? ['-re'] : ['-use_wallclock_as_timestamps', '1'];
}
