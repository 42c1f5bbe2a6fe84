import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `forward`: as if it were not there. `refuse`: nobody listens. `hold`: connections stay open, nothing gets through. */
export type Mood = 'forward' | 'refuse' | 'hold' | { bytesPerSecond: number };

/** Bytes and milliseconds of one step of a slow connection. */
const STEP_MS = 50;

/** A TCP proxy on loopback whose line can be cut, slowed down, or go dead without a word. */
export class MoodyProxy {
  readonly port: number;
  /** Connections that were taken. */
  accepted = 0;
  readonly #target: number;
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();
  #mood: Mood = 'forward';

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  static async start(target: number): Promise<MoodyProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new MoodyProxy((server.address() as AddressInfo).port, target);
    proxy.#take(server);
    return proxy;
  }

  /** Connections that were held stay dead; new ones follow the new mood. */
  async set(mood: Mood): Promise<void> {
    this.#mood = mood;
    if (mood === 'refuse') {
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
      if (this.#mood !== 'hold') to.destroy();
    });
    // A line that was once dead stays dead: what was sent into it is gone.
    let dead = this.#mood === 'hold';
    from.on('data', (data) => {
      dead ||= this.#mood === 'hold';
      if (dead) return;
      to.write(data);
      if (typeof this.#mood !== 'object') return;
      from.pause();
      setTimeout(() => from.resume(), Math.max(STEP_MS, (data.length / this.#mood.bytesPerSecond) * 1000));
    });
  }
}
