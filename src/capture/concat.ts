/**
 * Addresses reach ffmpeg through its standard input, as a list of one entry for its concat demuxer: on the command
 * line every user of the machine could read the password with `ps`.
 * Format: https://ffmpeg.org/ffmpeg-formats.html#concat
 */

/** What a stream may open: no local files, so that no playlist from outside can name one. */
const PROTOCOLS = 'pipe,tcp,udp,rtp,tls,http,https,httpproxy,crypto,data';

/** Input options to read an address, and the list for ffmpeg's standard input. */
export function addressInput(address: string, options: readonly string[]): { args: string[]; stdin: string } {
  const list = ['-f', 'concat', '-safe', '0', '-protocol_whitelist', PROTOCOLS, '-i', 'pipe:0'];
  return { args: [...options, ...list], stdin: `file '${address.replaceAll("'", '%27')}'\n` };
}
