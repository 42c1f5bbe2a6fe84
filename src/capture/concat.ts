/**
 * Passes camera URLs to ffmpeg on its standard input, as a list with one entry for its concat demuxer. On the command
 * line, every user of the machine could read the password with `ps`.
 * Format: https://ffmpeg.org/ffmpeg-formats.html#concat
 */
import { publicAddress } from '../runtime/address.ts';
import { redactor } from './camera-address.ts';
import type { FfmpegInput } from './ffmpeg.ts';

/** Protocols that a stream may open: no local files, so that a remote playlist cannot name one. */
const PROTOCOLS = 'pipe,tcp,udp,rtp,tls,http,https,httpproxy,crypto,data';

/** Where ffmpeg reads the list. */
const LIST = 'pipe:0';

/**
 * The ffmpeg input for a camera URL, which is kept out of the log.
 * @param inputOptions ffmpeg options of the list
 * @param addressOptions ffmpeg options of the URL in the list; ffmpeg 5 and later accept them
 * @param proxy URL of the HTTP proxy, if any; its password is kept out of the log, too
 */
export function addressInput(
  address: URL,
  inputOptions: readonly string[],
  addressOptions: Record<string, string> = {},
  proxy = '',
): FfmpegInput {
  const redact = redactor(address.href, proxy);
  const shown = publicAddress(address);
  const entry = [`file '${address.href.replaceAll("'", '%27')}'`];
  for (const [name, value] of Object.entries(addressOptions)) entry.push(`option ${name} ${quoted(value)}`);
  return {
    args: [...inputOptions, '-f', 'concat', '-safe', '0', '-protocol_whitelist', PROTOCOLS, '-i', LIST],
    stdin: `${entry.join('\n')}\n`,
    redact: (line) => redact(line).replaceAll(LIST, shown),
  };
}

function quoted(value: string): string {
  return /^[\w.]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
