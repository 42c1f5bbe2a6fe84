/** Camera URLs. They may contain a password: they are read from a file, and never logged or put on a command line. */
import { CAMERA_ADDRESSES } from '../config/address-rules.ts';
import type { SourceConfig } from '../config/sources.ts';
import { isSystemError, LookoutError, messageOf } from '../errors.ts';
import { AddressError, parseAddress, publicAddress } from '../runtime/address.ts';
import { addressSecrets, HIDDEN, redact } from '../runtime/secrets.ts';
import { readText, singleLine } from '../runtime/text-file.ts';

export type AddressConfig = Extract<SourceConfig, { kind: 'rtsp' | 'http' }>;

/**
 * The camera URL from `url` or `url_file`, without surrounding white space and line ends.
 * @throws LookoutError CAPTURE_FILE when the file cannot be read, CAPTURE_ADDRESS when it does not contain a valid URL
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

/** The warning for an encrypted camera whose certificate is not verified. */
export function uncheckedTls(address: URL): string {
  return `${publicAddress(address)}: the certificate is not verified (verify: false)`;
}

/** Returns a function that removes the secrets in these URLs, and any other user and password, from a line of text. */
export function redactor(...texts: string[]): (line: string) => string {
  const secrets = [...new Set(texts.flatMap(addressSecrets))].filter((secret) => secret.length > 2);
  const longestFirst = secrets.sort((a, b) => b.length - a.length);
  return (line) => redact(longestFirst.reduce((clean, secret) => clean.replaceAll(secret, HIDDEN), line));
}
