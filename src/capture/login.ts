/** Logging in to a camera over HTTP: Basic (RFC 7617) and Digest (RFC 7616). */
import { createHash, randomBytes } from 'node:crypto';

/** User and password as bytes: cameras do not agree on an encoding, and `%FC` in a URL is one byte. */
export interface Login {
  user: Buffer;
  password: Buffer;
}

/** The login method that a camera asks for. */
export type Challenge =
  | { scheme: 'basic' }
  | { scheme: 'digest'; hash: string; session: boolean; fields: Readonly<Record<string, string>> };

/** Digest names: those of cameras to those of Node.js, strongest first. */
const HASHES: Record<string, string> = { 'sha-256': 'sha256', 'sha-512-256': 'sha512-256', md5: 'md5' };

/** User and password of a URL; null when it has none. */
export function loginOf({ username, password }: URL): Login | null {
  return username === '' && password === '' ? null : { user: bytesOf(username), password: bytesOf(password) };
}

/**
 * The strongest supported challenge among the `WWW-Authenticate` headers; null if there is none.
 * @param headers one or more, each with one or more challenges
 */
export function chooseChallenge(headers: readonly string[]): Challenge | null {
  const challenges = headers.flatMap(splitChallenges).flatMap(readChallenge);
  const strength = (challenge: Challenge) =>
    challenge.scheme === 'basic' ? 3 : Object.values(HASHES).indexOf(challenge.hash);
  return challenges.sort((a, b) => strength(a) - strength(b))[0] ?? null;
}

/** The value of the `Authorization` header. `count`: requests that answered this challenge, including this one. */
export function authorization(
  challenge: Challenge,
  { user, password }: Login,
  { method, uri, count }: { method: string; uri: string; count: number },
  cnonce = randomBytes(8).toString('hex'),
): string {
  if (challenge.scheme === 'basic') {
    return `Basic ${Buffer.concat([user, Buffer.from(':'), password]).toString('base64')}`;
  }
  const { hash, session, fields } = challenge;
  const { realm = '', nonce = '', opaque, algorithm, qop } = fields;
  const digest = (...parts: (string | Buffer)[]) => {
    const sum = createHash(hash);
    for (const [i, part] of parts.entries()) {
      if (i > 0) sum.update(':');
      sum.update(part);
    }
    return sum.digest('hex');
  };
  const plain = digest(user, Buffer.from(realm, 'latin1'), password);
  const secret = session ? digest(plain, nonce, cnonce) : plain;
  const request = digest(method, uri);
  const nc = count.toString(16).padStart(8, '0');
  const response =
    qop === undefined ? digest(secret, nonce, request) : digest(secret, nonce, nc, cnonce, 'auth', request);
  const quoted = (name: string, value: string) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`;
  return `Digest ${[
    quoted('username', user.toString('latin1')),
    ...[quoted('realm', realm), quoted('nonce', nonce), quoted('uri', uri), quoted('response', response)],
    ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
    ...(opaque === undefined ? [] : [quoted('opaque', opaque)]),
    ...(qop === undefined ? [] : ['qop=auth', `nc=${nc}`]),
    ...(qop === undefined && !session ? [] : [quoted('cnonce', cnonce)]),
  ].join(', ')}`;
}

/** `Basic realm="a", Digest realm="b", nonce="c"` → two. */
function splitChallenges(header: string): string[] {
  return header.split(/(?:^|,)\s*(?=(?:Basic|Digest)(?:\s|,|$))/i).filter((part) => part.trim() !== '');
}

function readChallenge(text: string): Challenge[] {
  if (/^basic\b/i.test(text)) return [{ scheme: 'basic' }];
  if (!/^digest\b/i.test(text)) return [];
  const fields = Object.fromEntries(
    [...text.matchAll(/(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,]+))/g)].map(
      ([, name = '', quoted, bare]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''],
    ),
  );
  const [, name = '', session] = /^(.*?)(-sess)?$/i.exec(fields.algorithm ?? 'MD5') ?? [];
  const hash = HASHES[name.toLowerCase()];
  const offersAuth = fields.qop === undefined || fields.qop.split(',').some((qop) => qop.trim() === 'auth');
  if (hash === undefined || !offersAuth) return [];
  return [{ scheme: 'digest', hash, session: session !== undefined, fields }];
}

/** The bytes behind %XX. */
function bytesOf(text: string): Buffer {
  return Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}
