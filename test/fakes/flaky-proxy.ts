import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `forward`: transparent. `refuse`: does not listen. `hold`: connections stay open, but no data passes. */
export type Mode = 'forward' | 'refuse' | 'hold' | { bytesPerSecond: number };

/** Bytes and milliseconds of one step of a slow connection. */
const STEP_MS = 50;

/** A TCP proxy on loopback that can cut, slow down or silently stall its connections. */
export class FlakyProxy {
  readonly port: number;
  /** Number of accepted connections. */
  accepted = 0;
  readonly #target: number;
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();
  #mode: Mode = 'forward';

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  static async start(target: number): Promise<FlakyProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new FlakyProxy((server.address() as AddressInfo).port, target);
    proxy.#take(server);
    return proxy;
  }

  /** Changes the mode. Connections that were held stay dead; new ones follow the new mode. */
  async set(mode: Mode): Promise<void> {
    this.#mode = mode;
    if (mode === 'refuse') {
      const server = this.#server;
      this.#server = null;
      for (const socket of this.#sockets) socket.destroy();
      await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    } else if (this.#server === null) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
      this.#take(server);
    }
  }

  async stop(): Promise<void> {
    await this.set('refuse');
  }

  #take(server: Server): void {
    this.#server = server;
    server.on('connection', (client) => {
      this.accepted++;
      const upstream = connect(this.#target, '127.0.0.1');
      this.#pass(client, upstream);
      this.#pass(upstream, client);
    });
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      if (this.#mode !== 'hold') to.destroy();
    });
    // A connection that was held stays dead: the data sent into it is lost.
    let dead = this.#mode === 'hold';
    from.on('data', (data) => {
      dead ||= this.#mode === 'hold';
      if (dead) return;
      to.write(data);
      if (typeof this.#mode !== 'object') return;
      from.pause();
      setTimeout(() => from.resume(), Math.max(STEP_MS, (data.length / this.#mode.bytesPerSecond) * 1000));
    });
  }
}
