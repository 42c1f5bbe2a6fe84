/** User name, password and TLS material, read from the files that the configuration names. */
import { X509Certificate } from 'node:crypto';
import type { MqttConfig } from '../config/schema.ts';
import { isSystemError, LookoutError, messageOf } from '../errors.ts';
import { publicAddress } from '../runtime/address.ts';
import { readText, singleLine } from '../runtime/text-file.ts';

/** Ready for mqtt.js. None of it is ever logged. */
export interface Credentials {
  username?: string;
  password?: string;
  ca?: string;
  cert?: string;
  key?: string;
}

/** Whether the connection to this address is encrypted. */
export function isEncrypted(url: string): boolean {
  return url.startsWith('mqtts://') || url.startsWith('wss://');
}

/**
 * Reads and checks the files. One line break at the end is not part of a user name or password.
 * @throws LookoutError MQTT_CREDENTIALS_UNREADABLE; MQTT_CREDENTIALS_INVALID for an empty password or one of several
 * lines, a file that is not a certificate, or a key that does not match the certificate
 */
export async function readCredentials(config: MqttConfig): Promise<Credentials> {
  const [usernameInFile, password, ca, cert, key] = await Promise.all([
    readLine(config, 'username_file'),
    readLine(config, 'password_file'),
    read(config, 'ca_file'),
    read(config, 'cert_file'),
    read(config, 'key_file'),
  ]);
  const username = config.username ?? usernameInFile;
  const credentials = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  await check(config, credentials);
  return credentials;
}

type FileSetting = 'username_file' | 'password_file' | 'ca_file' | 'cert_file' | 'key_file';

async function read(config: MqttConfig, setting: FileSetting): Promise<string | undefined> {
  const path = config[setting];
  if (path === undefined) return undefined;
  try {
    return await readText(path);
  } catch (error) {
    if (!isSystemError(error)) throw invalid(setting, `${path}: ${messageOf(error)}`, SAVE, error);
    throw new LookoutError(
      'MQTT_CREDENTIALS_UNREADABLE',
      `mqtt.${setting}: cannot read ${path}: ${messageOf(error)}`,
      {
        cause: error,
        hint: path.startsWith('credential:')
          ? 'The service gets it with `LoadCredential=`. Outside of the service, set a file path instead.'
          : 'Check the path, and that the user that runs Lookout can read the file.',
      },
    );
  }
}

/** Reads a user name or password: one line. */
async function readLine(config: MqttConfig, setting: FileSetting): Promise<string | undefined> {
  const text = await read(config, setting);
  try {
    return text === undefined ? undefined : singleLine(text);
  } catch (error) {
    throw invalid(setting, `${config[setting]}: ${messageOf(error)}`, SAVE, error);
  }
}

const SAVE = 'Save the file with that one line only, as UTF-8 text.';

function invalid(setting: string, found: string, hint: string, cause?: unknown): LookoutError {
  return new LookoutError('MQTT_CREDENTIALS_INVALID', `mqtt.${setting}: ${found}`, { hint, cause });
}

async function check(config: MqttConfig, { username, password, ca, cert, key }: Credentials): Promise<void> {
  if (username === '')
    throw invalid('username_file', 'expected a user name, found an empty file', 'Write it into the file.');
  if (password === '')
    throw invalid('password_file', 'expected a password, found an empty file', 'Write it into the file.');
  if (password !== undefined && username === undefined) {
    throw invalid('password_file', 'expected a user name for the password, found none', 'Set mqtt.username.');
  }
  const tls = (['ca_file', 'cert_file', 'key_file'] as const).find((name) => config[name] !== undefined);
  if (tls && !isEncrypted(config.url)) {
    throw invalid(
      tls,
      `expected an encrypted broker URL, because this file is used for TLS only; found mqtt.url ${publicAddress(new URL(config.url))}`,
      'Use mqtts:// (or wss://) and the TLS port of the broker, usually 8883.',
    );
  }
  for (const [setting, pem] of [['ca_file', ca] as const, ['cert_file', cert] as const]) {
    if (pem === undefined) continue;
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw invalid(
        setting,
        `${config[setting]} is not a certificate in PEM format`,
        'A PEM certificate starts with -----BEGIN CERTIFICATE-----.',
        error,
      );
    }
  }
  if (cert === undefined || key === undefined) return;
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw invalid(
      'key_file',
      `${config.key_file} is not the private key of the certificate in mqtt.cert_file, in PEM format and without a passphrase (${messageOf(error)})`,
      'Use the key that belongs to the certificate; `openssl pkey -in KEY -out PLAIN` removes a passphrase.',
      error,
    );
  }
}
