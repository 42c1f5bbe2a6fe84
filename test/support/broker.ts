import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Aedes } from 'aedes';
import { Mosquitto, type MosquittoOptions } from './mosquitto.ts';
import { findProgram } from './requires.ts';

export type BrokerOptions = Pick<MosquittoOptions, 'users' | 'tls' | 'persistence'>;

/** What tests do with a broker that need nothing but MQTT 3.1.1. */
export type Broker = Pick<
  Mosquitto,
  'port' | 'mqtt' | 'url' | 'start' | 'stop' | 'freeze' | 'save' | 'setUsers' | 'remove'
>;

/** Starts mosquitto where it is installed, else the broker of the packages. */
export function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  return findProgram('mosquitto') ? Mosquitto.start(options) : AedesBroker.start(options);
}

/** A broker of MQTT 3.1.1 in this process. */
class AedesBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #sockets = new Set<Socket>();
  /** Sessions and retained messages. */
  #persistence: unknown;
  #aedes: Aedes | null = null;
  #server: Server | null = null;
  #port = 0;
  #frozen = false;

  private constructor(options: BrokerOptions) {
    this.#options = options;
  }

  static async start(options: BrokerOptions): Promise<AedesBroker> {
    const broker = new AedesBroker(options);
    await broker.start();
    return broker;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#options.tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${this.#port}`;
  }

  get mqtt(): { url: string; version: 4 } {
    return { url: this.url, version: 4 };
  }

  async start(): Promise<void> {
    const aedes = await Aedes.createBroker({
      persistence: this.#persistence,
      authenticate: (_client, username, password, done) => {
        const { users } = this.#options;
        const known = users === undefined || (username && users[username] === password?.toString());
        if (known) done(null, true);
        else done(Object.assign(new Error('refused'), { returnCode: 5 as const }), false);
      },
    });
    if (this.#options.persistence) ({ persistence: this.#persistence } = aedes as { persistence?: unknown });
    const server = this.#listener((socket) => {
      this.#sockets.add(socket.once('close', () => this.#sockets.delete(socket)));
      aedes.handle(socket.setNoDelay());
      if (this.#frozen) freeze(socket, true);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (typeof address === 'object' && address) this.#port = address.port;
    this.#aedes = aedes;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const [aedes, server] = [this.#aedes, this.#server];
    if (!aedes || !server) return;
    this.#aedes = null;
    this.#server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => aedes.close(resolve));
    await closed;
  }

  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    for (const socket of this.#sockets) freeze(socket, frozen);
  }

  /** What it keeps is in memory. */
  async save(): Promise<void> {}

  setUsers(users: Record<string, string>): void {
    this.#options.users = users;
  }

  remove(): Promise<void> {
    return this.stop();
  }

  #listener(onSocket: (socket: Socket) => void): Server {
    const { tls } = this.#options;
    if (!tls) return createServer(onSocket);
    const { cert, key, clientCa } = tls;
    const files = { cert: readFileSync(cert), key: readFileSync(key) };
    return createTlsServer(
      clientCa ? { ...files, ca: readFileSync(clientCa), requestCert: true } : files,
      onSocket,
    );
  }
}

/** What arrives waits; nothing is answered. */
function freeze(socket: Socket, frozen: boolean): void {
  if (frozen) socket.cork();
  else socket.uncork();
}
