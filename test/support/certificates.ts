/** Certificates for tests, written as X.509 (RFC 5280) in DER, so that no program is needed to make them. */
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';

/** PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

const HOUR_MS = 3_600_000;

/** A certificate authority of our own; its files are put into `folder`. */
export function makeCa(folder: string, name: string): Certificate {
  return make(folder, name, null, extension('551d13', sequence(der(0x01, Buffer.from([0xff])))));
}

/** A certificate that the authority signs, for a host (`IP:127.0.0.1`, `DNS:localhost`) or a client. */
export function issue(folder: string, ca: Certificate, name: string, subject: string): Certificate {
  const [kind, value = ''] = /^(IP|DNS):(.*)$/.exec(subject)?.slice(1) ?? [];
  const names = kind === 'IP' ? der(0x87, addressBytes(value)) : der(0x82, Buffer.from(value));
  return make(folder, name, ca, extension('551d11', sequence(names)));
}

/** Valid for two days; signed by the authority, or by itself. */
function make(folder: string, name: string, ca: Certificate | null, extension: Buffer): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const issuer = ca ? new X509Certificate(readFileSync(ca.cert)).subject.replace('CN=', '') : name;
  const algorithm = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  const content = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    commonName(issuer),
    sequence(utcTime(Date.now() - HOUR_MS), utcTime(Date.now() + 48 * HOUR_MS)),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  );
  const signature = sign('sha256', content, ca ? createPrivateKey(readFileSync(ca.key)) : privateKey);
  const whole = sequence(content, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));

  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n').trim();
  writeFileSync(cert, `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`);
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { cert, key };
}

/** One element: tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const long =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...long]), content]);
}

const sequence = (...parts: Buffer[]) => der(0x30, Buffer.concat(parts));
const integer = (bytes: Buffer) => der(0x02, bytes);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const commonName = (name: string) =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
const extension = (id: string, content: Buffer) => sequence(oid(id), der(0x04, content));

/** `YYMMDDhhmmssZ` */
function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '');
  return der(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  if (address !== '::1') throw new Error(`no certificate for ${address}`);
  return Buffer.from('00000000000000000000000000000001', 'hex');
}
