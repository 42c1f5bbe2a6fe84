/** Addresses of streams, which may hold a password: read from file, never logged, never on a command line. */
import { CAMERA_ADDRESSES } from '../config/address-rules.ts';
import type { SourceConfig } from '../config/sources.ts';
import { isSystemError, LookoutError, messageOf } from '../errors.ts';
import { AddressError, parseAddress, publicAddress } from '../runtime/address.ts';
import { addressSecrets, HIDDEN, redact } from '../runtime/secrets.ts';
import { readText, singleLine } from '../runtime/text-file.ts';

export type AddressConfig = Extract<SourceConfig, { kind: 'rtsp' | 'http' }>;

/**
 * The address from `url` or `url_file`; white space and line ends around it are not part of it.
 * @throws LookoutError CAPTURE_FILE when the file cannot be read, CAPTURE_ADDRESS when it holds something else
 */
export async function readAddress({ kind, url, url_file }: AddressConfig): Promise<URL> {
  const where = url_file === undefined ? 'url' : `url_file ${url_file}`;
  try {
    const text = url_file === undefined ? (url ?? '') : singleLine((await readText(url_file)).trim());
    return parseAddress(text, CAMERA_ADDRESSES[kind]);
  } catch (cause) {
    if (cause instanceof AddressError) {
      throw new LookoutError('CAPTURE_ADDRESS', `${where}: ${cause.message}`, { hint: cause.hint });
    }
    const code = isSystemError(cause) ? 'CAPTURE_FILE' : 'CAPTURE_ADDRESS';
    throw new LookoutError(code, `${where} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** What is said of an encrypted camera whose certificate is not to be checked. */
export function uncheckedTls(address: URL): string {
  return `${publicAddress(address)}: its certificate is not checked (verify: false)`;
}

/** Takes what is secret in texts with addresses, and any other user and password, out of a line of text. */
export function redactor(...texts: string[]): (line: string) => string {
  const secrets = [...new Set(texts.flatMap(addressSecrets))].filter((secret) => secret.length > 2);
  const longestFirst = secrets.sort((a, b) => b.length - a.length);
  return (line) => redact(longestFirst.reduce((clean, secret) => clean.replaceAll(secret, HIDDEN), line));
}
