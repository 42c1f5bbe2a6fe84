import type { EventEmitter } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AedesPublishPacket } from 'aedes';
import type { Logger } from 'pino';
import { LookoutError, messageOf } from '../errors.ts';
import type { Service } from '../types.ts';

export interface BrokerOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  log: Logger;
}

/**
 * A broker inside Lookout, for first runs and for homes without one. It speaks MQTT 3.1.1, needs no password and keeps
 * everything in memory: retained messages last as long as the process, and sessions of disconnected clients are
 * dropped, so that no client can make it grow.
 */
export class EmbeddedBroker implements Service {
  readonly #options: BrokerOptions;
  readonly #sockets = new Set<Socket>();
  #broker: Aedes | null = null;
  #server: Server | null = null;
  #port = 0;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** The port that the broker listens on, once started. */
  get port(): number {
    return this.#port;
  }

  /** @throws LookoutError MQTT_PORT_IN_USE, MQTT_LISTEN_FAILED */
  async start(): Promise<void> {
    const { host, port, log } = this.#options;
    const retained = new Map<string, AedesPublishPacket['payload']>();
    const broker = await Aedes.createBroker({
      preConnect: (_client, packet, callback) => {
        packet.clean = true;
        callback(null, true);
      },
      authorizePublish: (_client, { topic, payload, retain }, callback) => {
        if (topic.startsWith('$SYS/')) return callback(new Error('$SYS/ topics are reserved for the broker'));
        if (retain && payload.length > 0) retained.set(topic, payload);
        else if (retain) retained.delete(topic);
        callback(null);
      },
      // Aedes reads retained values ahead of sending them: one that has changed since then was already sent as a new message.
      authorizeForward: (_client, packet) =>
        packet.retain && retained.get(packet.topic) !== packet.payload ? null : packet,
    });
    (broker as EventEmitter).on('error', (error: Error) => log.error(`embedded broker: ${error.message}`));
    const logClientError = (_client: unknown, error: Error) =>
      log.debug(`embedded broker: client error: ${error.message}`);
    broker.on('clientError', logClientError);
    broker.on('connectionError', logClientError);
    const server = createServer((socket) => {
      this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket)));
      broker.handle(socket.setNoDelay());
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(port, host, resolve);
      });
    } catch (error) {
      await close(broker);
      throw listenError(host, port, error);
    }
    server.on('error', (error) => log.error(`embedded broker: ${error.message}`));
    this.#broker = broker;
    this.#server = server;
    const address = server.address();
    this.#port = typeof address === 'object' && address !== null ? address.port : port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    const broker = this.#broker;
    if (!server || !broker) return;
    this.#server = null;
    this.#broker = null;
    const closed = new Promise((resolve) => server.close(resolve));
    // Sockets first: the broker would wait for clients that do not read.
    for (const socket of this.#sockets) socket.destroy();
    await close(broker);
    await closed;
  }
}

function close(broker: Aedes): Promise<void> {
  return new Promise((resolve) => broker.close(resolve));
}

function listenError(host: string, port: number, error: unknown): LookoutError {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'EADDRINUSE') {
    return new LookoutError(
      'MQTT_PORT_IN_USE',
      `mqtt.embedded_port: port ${port} on ${host} is in use, perhaps by another broker or another Lookout`,
      {
        cause: error,
        hint: `To use the broker that runs there, set mqtt.url to mqtt://${host}:${port}. Otherwise set mqtt.embedded_port to another port (0: any free port), or set LOOKOUT__mqtt__embedded_port in the environment.`,
      },
    );
  }
  return new LookoutError(
    'MQTT_LISTEN_FAILED',
    `mqtt.embedded_host: the embedded broker cannot listen on ${host} port ${port}: ${messageOf(error)}`,
    { cause: error, hint: 'Use 127.0.0.1 or another IP address of this machine, and a port above 1023.' },
  );
}
