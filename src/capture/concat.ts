/**
 * Addresses reach ffmpeg through its standard input, as a list of one entry for its concat demuxer: on the command
 * line every user of the machine could read the password with `ps`.
 * Format: https://ffmpeg.org/ffmpeg-formats.html#concat
 */
import { publicAddress } from '../runtime/address.ts';
import { redactor } from './camera-address.ts';
import type { FfmpegInput } from './ffmpeg.ts';

/** What a stream may open: no local files, so that no playlist from outside can name one. */
const PROTOCOLS = 'pipe,tcp,udp,rtp,tls,http,https,httpproxy,crypto,data';

/** Where ffmpeg reads the list. */
const LIST = 'pipe:0';

/**
 * The input for an address: where it is, and how to keep it out of the log.
 * @param inputOptions of the list as ffmpeg sees it
 * @param proxy on the way to it, if any; its password is kept out of the log, too
 * @param addressOptions of the address behind it; ffmpeg takes them from version 5 on
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
