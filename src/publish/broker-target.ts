import type { MqttConfig } from '../config/schema.ts';
import type { Target } from './broker-connection.ts';
import { readCredentials } from './credentials.ts';

/**
 * Connection options for the configured broker. Files with secrets are read again each time.
 * @throws LookoutError MQTT_CREDENTIALS_UNREADABLE, MQTT_CREDENTIALS_INVALID
 */
export async function brokerTarget(config: MqttConfig): Promise<Target> {
  return {
    ...addressTarget(config.url),
    protocolVersion: config.version,
    ...(await readCredentials(config)),
    rejectUnauthorized: config.verify,
  };
}

/** The parts of a broker URL. */
export function addressTarget(url: string): Target {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  return {
    protocol: protocol.slice(0, -1) as Target['protocol'],
    // For a WebSocket mqtt.js assembles a URL again; the other protocols connect to the host without brackets.
    host: protocol.startsWith('ws') ? hostname : hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port ? { port: Number(port) } : {}),
    path: pathname + search,
  };
}

/** The URL of the embedded broker for a client on this machine. */
export function embeddedAddress(listensOn: string, port: number): string {
  const host = listensOn === '0.0.0.0' ? '127.0.0.1' : listensOn === '::' ? '::1' : listensOn;
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
