/**
 * Addresses reach ffmpeg through its standard input, as a list of one entry for its concat demuxer: on the command
 * line every user of the machine could read the password with `ps`.
 * Format: https://ffmpeg.org/ffmpeg-formats.html#concat
 */
import { publicAddress, redactor } from './address.ts';
import type { FfmpegInput } from './ffmpeg.ts';

/** What a stream may open: no local files, so that no playlist from outside can name one. */
const PROTOCOLS = 'pipe,tcp,udp,rtp,tls,http,https,httpproxy,crypto,data';

/** Where ffmpeg reads the list. */
const LIST = 'pipe:0';

/** The input for an address: where it is, and how to keep it out of the log. */
export function addressInput(address: URL, options: readonly string[], query = ''): FfmpegInput {
  const redact = redactor(address);
  const shown = publicAddress(address);
  return {
    args: [...options, '-f', 'concat', '-safe', '0', '-protocol_whitelist', PROTOCOLS, '-i', LIST],
    stdin: `file '${(address.href + query).replaceAll("'", '%27')}'\n`,
    redact: (line) => redact(line).replaceAll(LIST, shown),
  };
}
