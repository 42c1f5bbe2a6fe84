/** Files that the configuration names and that hold addresses, passwords and certificates, read before they are needed. */
import { LookoutError, messageOf } from '../errors.ts';
import type { Config } from './schema.ts';

/**
 * Looks into every such file. One that cannot be opened is no fault: the service may run as another user.
 * @returns a line for each file that cannot be opened
 * @throws LookoutError CONFIG_INVALID with all files that hold something else than they should
 */
export async function checkFiles({ cameras, mqtt }: Config): Promise<string[]> {
  const { readAddress } = await import('../capture/address.ts');
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
