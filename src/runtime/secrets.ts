/**
 * Takes secrets out of texts that are shown. Of an address only scheme, host and port are shown: many cameras have a
 * secret as a part of the path (`rtsps://nvr:7441/AbCdEf0123456789`) or under any name in the query, and none of it
 * looks different from a harmless word. It goes by the text alone and never parses an address: the addresses that no
 * parser takes are those whose passwords have special characters.
 */

export const HIDDEN = '***';

/** Also with a slash too few, as people type it. */
const SCHEME = '\\b(?:[a-z][a-z0-9+.-]*:\\/\\/|(?:rtsp|rtmp|http|ws|mqtt)s?:\\/)';
/** Where an address begins; not in the middle of another, whose password may look like one. */
const BEFORE_ADDRESS = new RegExp(`(?<=^|[\\s"'<>(=,;|])(?=${SCHEME})`, 'i');
const ADDRESS = new RegExp(`^(.*?${SCHEME})(.*)$`, 'is');
/**
 * The word of an address, which in JSON a quote ends; and the next word, where that is the rest of a password with a
 * space.
 */
const WORD = /^[^\s/?#\\]* \S*@\S*|^(?:(?!(?<!\\)"[,:}\]])\S)*/;

/** A host with or without a port, and the punctuation of the sentence around it. */
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:[\]]*)(:\d{0,5})?\W*$/;

/** What follows a host: path and query, without the punctuation of the sentence around them. */
const BEHIND_HOST =
  /^([^\s/?#\\"'<>]*)(?!\/\W*(?:\s|$))(?:[/?#\\](?:(?!(?<!\\)"[,:}\]])\S)*?)([)\]}>'",;:.!]*)(?=\s|"[,:}\]]|$)/;
/** Stands for path and query. */
export const HIDDEN_PATH = '/…';

/** Names of parameters that hold a user name or a secret, in queries, paths (`/user=a_password=b`) and programs' arguments. */
const SECRET_PARAMETER =
  'user(?:name|[_-]?id)?|usr|login\\w*|account|pass\\w*|pwd|psw|pw|token|auth\\w*|secret|key|sig(?:nature)?|sid|session\\w*|credentials?';
const PARAMETER = new RegExp(`(?<![\\w-])([\\w-]*(?:${SECRET_PARAMETER})=["']?)[^&\\s"'<>]+`, 'gi');

/**
 * Hides user, password, path and query of every address in a text, and the values of parameters whose names say that
 * they are secret.
 */
export function redact(text: string): string {
  return withoutParameters(text.split(BEFORE_ADDRESS).map(withoutSecretParts).join(''));
}

/** The same, but paths stay: for addresses from which anybody may download. */
export function redactLogin(text: string): string {
  return withoutParameters(text.split(BEFORE_ADDRESS).map(withoutUser).join(''));
}

function withoutParameters(text: string): string {
  return text.replace(PARAMETER, `$1${HIDDEN}`);
}

/** @param text with at most one address */
function withoutSecretParts(text: string): string {
  const clean = withoutUser(text);
  const [, before, rest] = ADDRESS.exec(clean) ?? [];
  // The paths in a stack of calls, `file:///opt/lookout/…`, are needed.
  if (before === undefined || rest === undefined || /\bfile:\/\/$/i.test(before)) return clean;
  return before + rest.replace(BEHIND_HOST, `$1${HIDDEN_PATH}$2`);
}

/** @param text with at most one address */
function withoutUser(text: string): string {
  const [, before, rest] = ADDRESS.exec(text) ?? [];
  if (before === undefined || rest === undefined) return text;
  const [word = ''] = WORD.exec(rest) ?? [];
  const at = word.lastIndexOf('@');
  if (at !== -1) return `${before}${HIDDEN}${rest.slice(at)}`;
  const [authority = ''] = /^[^/?#\\]*/.exec(word) ?? [];
  if (HOST_AND_PORT.test(authority)) return text;
  // A user and the start of a password, whose end may follow behind a space.
  const [line = ''] = /^.*/.exec(rest) ?? [];
  const end = line.includes('@') ? line.lastIndexOf('@') : authority.length;
  return `${before}${HIDDEN}${rest.slice(end)}`;
}

/** A part of a path that programs use in their own sentences, too: `stream`, `Channels`. */
const COMMON_WORD = /^([A-Z]?[a-z]{0,14}|.{0,5})$/;

/**
 * User, password, path, parts of the path and values of parameters of the address in a text, as they are written and as
 * they are meant; also of an address that no parser takes.
 */
export function addressSecrets(text: string): string[] {
  const [, behindScheme] = /:\/\/(.*)$/s.exec(text.trim()) ?? [];
  if (behindScheme === undefined) return [];
  const at = behindScheme.lastIndexOf('@');
  const login = at === -1 ? '' : behindScheme.slice(0, at);
  const colon = login.indexOf(':');
  const parts = colon === -1 ? [login] : [login.slice(0, colon), login.slice(colon + 1)];
  const [place = '', ...queries] = behindScheme.slice(at + 1).split(/[?#]/);
  const query = queries.join('?');
  const [, path = ''] = /\/(.*)/s.exec(place) ?? [];
  const pathParts = path.split('/').filter((part) => !COMMON_WORD.test(part));
  if (path.includes('/')) pathParts.push(path);
  const values = query.split('&').map((parameter) => parameter.slice(parameter.indexOf('=') + 1));
  const plain = login === '' ? [] : [Buffer.from(decoded(login)).toString('base64')];
  return [...parts, ...pathParts, query, ...values]
    .filter((part) => part !== '')
    .flatMap((part) => [part, decoded(part)])
    .concat(plain);
}

/** With %XX as the character that it stands for, where it stands for one. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
