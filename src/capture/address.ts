/** Addresses of streams, which may hold a password: read from file, never logged, never on a command line. */
import { readFile } from 'node:fs/promises';
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';

export type AddressConfig = Extract<SourceConfig, { kind: 'rtsp' | 'http' }>;

const SCHEMES = { rtsp: ['rtsp:', 'rtsps:'], http: ['http:', 'https:'] };

/**
 * The address from `url` or `url_file`.
 * @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS
 */
export async function readAddress({ kind, url, url_file }: AddressConfig): Promise<URL> {
  const text = url_file === undefined ? (url ?? '') : await readAddressFile(url_file);
  const address = URL.canParse(text) ? new URL(text) : null;
  if (address && SCHEMES[kind].includes(address.protocol) && address.hostname !== '') return address;
  const where = url_file ?? 'url';
  throw new LookoutError('CAPTURE_ADDRESS', `${where}: expected an address such as ${kind}://host/path`, {
    hint: 'Special characters of a password are written as %XX in an address: @ is %40, / is %2F, # is %23.',
  });
}

async function readAddressFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new LookoutError('CAPTURE_FILE', `url_file ${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The address for people: without user, password and query. */
export function publicAddress(address: URL): string {
  return `${address.protocol}//${address.host}${address.pathname}${address.search ? '?…' : ''}`;
}

/** What is said of an encrypted camera whose certificate is not to be checked. */
export function uncheckedTls(address: URL): string {
  return `${publicAddress(address)}: its certificate is not checked (verify: false)`;
}

/** Takes what is secret in the address, and any other user and password, out of a line of text. */
export function redactor(address: URL): (line: string) => string {
  const parts = [address.username, address.password, address.search.slice(1)].filter((part) => part !== '');
  const secrets = new Set(parts.flatMap((part) => [part, decode(part)]));
  const longestFirst = [...secrets].filter((secret) => secret.length > 2).sort((a, b) => b.length - a.length);
  return (line) => {
    let clean = line.replace(/\/\/[^\s/@]*@/g, '//…@');
    for (const secret of longestFirst) clean = clean.replaceAll(secret, '…');
    return clean;
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
