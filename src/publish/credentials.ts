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
 * Reads and checks the files. One line end behind a user name or password is not part of it.
 * @throws LookoutError MQTT_CREDENTIALS_UNREADABLE, or MQTT_CREDENTIALS_INVALID when they cannot be what they are
 * meant to be: an empty password or one of several lines, a certificate that is none, a key of another certificate
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
      `mqtt.${setting}: ${path} cannot be read: ${messageOf(error)}`,
      {
        cause: error,
        hint: path.startsWith('credential:')
          ? 'The service gets it with `LoadCredential=`; outside of the service name a file instead.'
          : 'Check the path, and that the user that runs Lookout may read the file.',
      },
    );
  }
}

/** A user name or password, which is one line. */
async function readLine(config: MqttConfig, setting: FileSetting): Promise<string | undefined> {
  const text = await read(config, setting);
  try {
    return text === undefined ? undefined : singleLine(text);
  } catch (error) {
    throw invalid(setting, `${config[setting]}: ${messageOf(error)}`, SAVE, error);
  }
}

const SAVE = 'Write the file again with nothing but the one line in it, as UTF-8 text.';

function invalid(setting: string, found: string, hint: string, cause?: unknown): LookoutError {
  return new LookoutError('MQTT_CREDENTIALS_INVALID', `mqtt.${setting}: ${found}`, { hint, cause });
}

async function check(config: MqttConfig, { username, password, ca, cert, key }: Credentials): Promise<void> {
  if (username === '')
    throw invalid('username_file', 'expected a user name, found nothing', 'Write it there.');
  if (password === '')
    throw invalid('password_file', 'expected a password, found nothing', 'Write it there.');
  if (password !== undefined && username === undefined) {
    throw invalid(
      'password_file',
      'expected a user name with the password, found none',
      'Set mqtt.username.',
    );
  }
  const tls = (['ca_file', 'cert_file', 'key_file'] as const).find((name) => config[name] !== undefined);
  if (tls && !isEncrypted(config.url)) {
    throw invalid(
      tls,
      `expected an encrypted connection for it, found mqtt.url ${publicAddress(new URL(config.url))}`,
      'Write mqtts:// (or wss://) and the port on which the broker speaks TLS, mostly 8883.',
    );
  }
  for (const [setting, pem] of [['ca_file', ca] as const, ['cert_file', cert] as const]) {
    if (pem === undefined) continue;
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw invalid(
        setting,
        `expected a certificate in PEM form in ${config[setting]}, found something else`,
        'It starts with -----BEGIN CERTIFICATE-----.',
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
      `expected the private key of the certificate in mqtt.cert_file, in PEM form and without a passphrase, found in ${config.key_file} something else (${messageOf(error)})`,
      'Use the key that was made with the certificate; `openssl pkey -in KEY -out PLAIN` takes a passphrase off.',
      error,
    );
  }
}
