import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A certificate authority of our own; its files are put into `folder`. Needs openssl 3. */
export function makeCa(folder: string, name: string): Certificate {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  openssl('req', '-x509', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert);
  return { cert, key };
}

/** A certificate that the authority signs, for a host (`IP:127.0.0.1`, `DNS:localhost`) or a client. */
export function issue(folder: string, ca: Certificate, name: string, subject: string): Certificate {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  const signed = ['-CA', ca.cert, '-CAkey', ca.key, '-addext', `subjectAltName=${subject}`];
  openssl('req', '-x509', ...NEW_KEY, ...signed, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert);
  return { cert, key };
}
