import type { SourceConfig } from '../config/schema.ts';
import { publicAddress, readAddress } from './address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { FfmpegSource } from './ffmpeg.ts';
import type { Source } from './source.ts';

export type RtspConfig = Extract<SourceConfig, { kind: 'rtsp' }>;

/**
 * A network camera over RTSP.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS
 */
export async function rtspSource(config: RtspConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  // Many cameras give wrong times; the time of arrival is right.
  const options = ['-use_wallclock_as_timestamps', '1'];
  const input = addressInput(address, options, transportQuery(address, config.transport));
  return new FfmpegSource(publicAddress(address), input, config, context);
}

/** ffmpeg takes the transport out of the query before it asks the camera (`ff_rtsp_connect` in libavformat/rtsp.c). */
function transportQuery({ search }: URL, transport: string): string {
  return `${search ? '&' : '?'}${transport}`;
}
