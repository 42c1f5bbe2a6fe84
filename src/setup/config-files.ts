/** Files that the configuration names and that hold addresses, passwords and certificates, read before they are needed. */
import { stat } from 'node:fs/promises';
import type { Config } from '../config/schema.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { readText } from '../runtime/text-file.ts';

/**
 * Looks into every such file. One that cannot be opened is no fault: the service may run as another user.
 * @returns a line for each file that cannot be opened
 * @throws LookoutError CONFIG_INVALID with all files that hold something else than they should
 */
export async function checkFiles({ cameras, mqtt }: Config): Promise<string[]> {
  const { readAddress } = await import('../capture/camera-address.ts');
  const { readCredentials } = await import('../publish/credentials.ts');
  const reads: { where: string; read: () => Promise<unknown> }[] = Object.entries(cameras).flatMap(
    ([name, { source }]) =>
      (source.kind === 'rtsp' || source.kind === 'http') && source.url_file !== undefined
        ? [{ where: `cameras.${name}.source.`, read: () => readAddress(source) }]
        : [],
  );
  if (mqtt.enabled) reads.push({ where: '', read: () => readCredentials(mqtt) });
  const faults: string[] = [];
  const unread: string[] = [];
  for (const { where, read } of reads) {
    try {
      await read();
    } catch (error) {
      const unreadable =
        error instanceof LookoutError &&
        (error.code === 'CAPTURE_FILE' || error.code === 'MQTT_CREDENTIALS_UNREADABLE');
      const hint = error instanceof LookoutError && error.hint !== undefined ? `. ${error.hint}` : '';
      (unreadable ? unread : faults).push(`${where}${messageOf(error)}${hint}`);
    }
  }
  if (faults.length > 0) {
    const count = `${faults.length} ${faults.length === 1 ? 'problem' : 'problems'}`;
    const list = faults.map((fault) => `  ${fault}`).join('\n');
    throw new LookoutError('CONFIG_INVALID', `files of the configuration: ${count}\n${list}`);
  }
  return unread;
}

/**
 * Finds white space around a password, a user name or a URL in a file: invisible, and often left by an editor.
 * @returns a line for each such file, with nothing of its content
 */
export async function outerSpaces({ cameras, mqtt }: Config): Promise<string[]> {
  const part = 'Lookout takes it as a part of it: remove it if it is not meant';
  const files: [setting: string, file: string | undefined, what: string][] = mqtt.enabled
    ? [
        ['mqtt.username_file', mqtt.username_file, part],
        ['mqtt.password_file', mqtt.password_file, part],
      ]
    : [];
  for (const [name, { source }] of Object.entries(cameras)) {
    if (source.kind === 'rtsp' || source.kind === 'http')
      files.push([
        `cameras.${name}.source.url_file`,
        source.url_file,
        'Lookout leaves it out of the address',
      ]);
  }
  const warnings: string[] = [];
  for (const [setting, file, what] of files) {
    const line = file === undefined ? '' : await lineIn(file);
    if (line === line.trim()) continue;
    const side = line.trimStart() === line ? 'behind' : 'before';
    warnings.push(`${setting}: ${file} has white space ${side} its text; ${what}`);
  }
  return warnings;
}

/** Content of a file without line ends; empty if it cannot be read, which the part that needs the file reports. */
async function lineIn(file: string): Promise<string> {
  try {
    // A pipe would be empty afterwards.
    return (await stat(file)).isFile() ? (await readText(file)).replace(/^[\r\n]+|[\r\n]+$/g, '') : '';
  } catch {
    return '';
  }
}
