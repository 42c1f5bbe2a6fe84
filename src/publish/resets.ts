/** Commands to the running daemon, from another process through the broker. */
import type { LoadedConfig } from '../config/load-config.ts';
import { LookoutError } from '../errors.ts';
import { addressTarget, brokerTarget, embeddedAddress } from './broker-target.ts';
import { explain } from './failures.ts';
import { Session } from './mqtt-session.ts';
import { deviceId } from './topic-names.ts';
import { type Setting, Topics } from './topics.ts';

const TIMEOUT_MS = 10_000;

/**
 * Resets choices in the running daemon. Resolves when the broker has accepted the commands.
 * @throws LookoutError MQTT_*
 */
export async function sendResets(
  { mqtt, device }: LoadedConfig['config'],
  choices: readonly { camera: string; setting: string }[],
): Promise<void> {
  if (!mqtt.enabled || (mqtt.url === 'embedded' && mqtt.embedded_port === 0)) {
    throw new LookoutError(
      'MQTT_UNREACHABLE',
      'cannot reset choices in the running daemon: its broker cannot be reached from another process',
      { hint: 'Stop the daemon and retry.' },
    );
  }
  const embedded = mqtt.url === 'embedded';
  const address = embedded ? embeddedAddress(mqtt.embedded_host, mqtt.embedded_port) : mqtt.url;
  const topics = new Topics(mqtt.base, device, []);
  const up = Promise.withResolvers<null>();
  const clientId = `${mqtt.client_id ?? deviceId(mqtt.base, device)}-choices`;
  const session = new Session(
    {
      ...(embedded ? { ...addressTarget(address), protocolVersion: 4 } : await brokerTarget(mqtt)),
      clientId,
      connectTimeout: TIMEOUT_MS,
    },
    { up: () => up.resolve(null), message: () => {} },
  );
  const end = await Promise.race([up.promise, session.ended]);
  if (end) throw explain(address, end, { clientId, brief: 0 });
  try {
    for (const { camera, setting } of choices) {
      const topic = topics.command(camera, setting as Setting);
      await session.publish({ topic, payload: 'RESET', qos: 1, retain: false });
    }
  } catch (cause) {
    throw new LookoutError('MQTT_FORBIDDEN', 'the broker rejected a command to the running daemon', {
      cause,
      hint: 'Allow this device to write to <base>/<device>/+/+/set in the access rules of the broker, or stop the daemon and retry.',
    });
  } finally {
    session.abort();
  }
}
