/**
 * Addresses of cameras, brokers and downloads. Several programs read them: ffmpeg (`av_url_split`), GStreamer, mqtt.js
 * and Node.js. What they would understand differently is refused here, once, so that all others may rely on `URL`.
 */
import { isIP, isIPv6 } from 'node:net';
import { HIDDEN_PATH } from './secrets.ts';

export interface AddressRules {
  /** Schemes that are taken, such as `rtsp`. */
  schemes: readonly string[];
  /** Whether user and password may stand in it, and how: `first` where the program ends them at the first `@`. */
  login?: 'yes' | 'first' | 'no';
  /** Whether a path and a query may follow the host. */
  path?: boolean;
}

/** What is wrong with an address, and how to write it. Nothing of the address is repeated: it may be a password. */
export class AddressError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** RTSP in ffmpeg keeps user and password in 128 bytes (`RTSPState.auth`) and cuts the rest off, without a word. */
const LONGEST_RTSP_LOGIN = 127;
/** What ffmpeg takes of an address (MAX_URL_SIZE). */
const LONGEST = 4095;

/** Characters that no address has as they are, and the names of those that are known by one. */
const FOREIGN = /[\s\p{Cc}\p{Cf}\\]/u;
const NAMES: Record<string, string> = {
  ' ': 'a space',
  '\t': 'a tab',
  '\n': 'a line break',
  '\r': 'a line break',
  '\\': 'a backslash',
  '\u00a0': 'a non-breaking space',
};

/**
 * @param text without white space around it
 * @throws AddressError
 */
export function parseAddress(text: string, { schemes, login = 'yes', path = true }: AddressRules): URL {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  const starts = schemes.map((name) => `${name}://`).join(' or ');
  if (!schemes.includes(scheme.toLowerCase())) {
    throw new AddressError(
      `expected an address that starts with ${starts}, found ${text === '' ? 'nothing' : 'another'}`,
      'Write the kind of the address, :// and the host.',
    );
  }
  if (login === 'no' && rest.includes('@')) {
    throw new AddressError(
      'expected an address without user and password, found an @ in it',
      'They have settings of their own: `username` and `password_file`.',
    );
  }
  refuseForeign(rest);
  const [authority = ''] = /^[^/?#]*/.exec(rest) ?? [];
  const behind = rest.slice(authority.length);
  refuseCut(behind);
  const at = authority.lastIndexOf('@');
  if (at !== -1) checkLogin(authority.slice(0, at), scheme, login);
  const host = checkHost(authority.slice(at + 1), scheme);
  if (!path && !/^\/?$/.test(behind)) {
    throw new AddressError(
      'expected nothing behind host and port, found a path or query',
      'Leave it out; only ws:// and wss:// have a path.',
    );
  }
  const address = `${scheme}://${authority.slice(0, at + 1)}${host}${behind}`;
  const url = address.length > LONGEST ? null : URL.parse(address);
  if (!url) throw new AddressError('expected an address, found something else', `It starts with ${starts}.`);
  return url;
}

/** A character as people know it, and how it is written in an address. */
function describe(character: string): { name: string; code: string } {
  const number = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const what = /\p{Cc}/u.test(character) ? 'the control character' : 'the invisible character';
  return { name: NAMES[character] ?? `${what} U+${number}`, code: encodeURIComponent(character) };
}

function refuseForeign(rest: string): void {
  const [character] = FOREIGN.exec(rest) ?? [];
  if (character !== undefined) {
    const { name, code } = describe(character);
    throw new AddressError(
      `expected an address, found ${name} in it`,
      `Remove it, or if it belongs to the password or the path, write it as ${code}.`,
    );
  }
  if (/%(?![0-9a-f]{2})/i.test(rest.replace(/\[[^\]]*\]/, ''))) {
    throw new AddressError(
      'expected two hexadecimal digits behind each % of an address, found something else',
      'A % that belongs to the password is written as %25.',
    );
  }
}

/** An `@` behind the authority: the programs would take the start of the password for host and port. */
function refuseCut(behind: string): void {
  if (behind.includes('@')) {
    const cut = behind.charAt(0);
    const code = encodeURIComponent(cut);
    throw new AddressError(
      `found an @ behind the ${cut} that ends the host: a password with a ${cut} in it is cut there`,
      `Write a ${cut} of the password as ${code}, and an @ of the path or the query as %40.`,
    );
  }
  if (behind.includes('#')) {
    throw new AddressError(
      'found a # in it: it and what follows is not sent',
      'If it belongs to the password or the path, write it as %23; otherwise leave it out.',
    );
  }
}

function checkLogin(text: string, scheme: string, login: NonNullable<AddressRules['login']>): void {
  if (login === 'first' && text.includes('@')) {
    throw new AddressError(
      'found a second @: GStreamer ends the password at the first',
      'Write an @ of the password as %40.',
    );
  }
  if (/%([01].|7f)/i.test(text)) {
    throw new AddressError(
      'found a control character (%00 to %1F, or %7F) in user or password',
      'A % that belongs to the password is written as %25.',
    );
  }
  const { username, password } = new URL(`http://${text}@host/`);
  if (/^rtsps?$/i.test(scheme) && username.length + password.length >= LONGEST_RTSP_LOGIN) {
    throw new AddressError(
      `expected user and password of at most ${LONGEST_RTSP_LOGIN} characters, each %XX counted as three, found more`,
      'ffmpeg cuts off what is longer: give the camera a shorter password.',
    );
  }
}

/**
 * Host and port.
 * @returns them as every program reads them: names with foreign letters in their ASCII form
 */
function checkHost(text: string, scheme: string): string {
  const [, bracketed, name = '', port] = /^(\[.*\]|([^:]*))(?::([^:]*))?$/.exec(text) ?? [];
  if (bracketed === undefined) {
    throw new AddressError(
      'expected a host and perhaps a port, found more than one colon',
      `Write an IPv6 address in brackets, such as ${scheme}://[::1].`,
    );
  }
  if (bracketed === '') {
    throw new AddressError('expected a host, found none', `Write it behind ${scheme}://.`);
  }
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) {
    throw new AddressError(
      'expected a port from 1 to 65535 behind the colon, found something else',
      'If that colon belongs to user and password, an @ must stand between them and the host.',
    );
  }
  const host = bracketed.startsWith('[') ? checkIPv6(bracketed) : checkName(name);
  return port === undefined ? host : `${host}:${Number(port)}`;
}

function checkIPv6(bracketed: string): string {
  const address = bracketed.slice(1, -1);
  if (address.includes('%')) {
    throw new AddressError(
      'expected an IPv6 address without a zone (what stands behind %), found one',
      'Use the name of the host, or another of its addresses, which does not start with fe80.',
    );
  }
  if (!isIPv6(address)) {
    throw new AddressError(
      'expected an IPv6 address in the brackets, found something else',
      'Brackets are for IPv6 addresses alone, such as [fd00::1].',
    );
  }
  return bracketed;
}

function checkName(name: string): string {
  const known = URL.parse(`http://${name}/`)?.hostname;
  const numbers = /^[\d.]+$/.test(name);
  const sound = known && /^[\w.-]+$/.test(known) && !name.includes('%');
  // Programs read 010 or 0x7f as numbers of their own kind.
  if (!sound || (isIP(known) !== 0 && known !== name) || (numbers && isIP(name) === 0)) {
    throw new AddressError(
      'expected the name of a host or its IP address, found something else',
      numbers
        ? 'An IPv4 address has four numbers from 0 to 255, without zeros before them.'
        : 'Names have letters, digits, - and dots.',
    );
  }
  return known;
}

/** Whether a text is the name or the IP address of a host, an IPv6 address without brackets. */
export function isHost(text: string): boolean {
  try {
    checkHost(isIPv6(text) ? `[${text}]` : text, 'host');
    return isIPv6(text) || !/[[:/?#@\\]/.test(text);
  } catch {
    return false;
  }
}

/** The address for people: scheme, host and port. What stands before and behind them may be secret. */
export function publicAddress({ protocol, host, pathname, search }: URL): string {
  return `${protocol}//${host}${pathname.length > 1 || search !== '' ? HIDDEN_PATH : pathname}`;
}
