import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/**
 * A real HTTP proxy on loopback that tunnels (CONNECT) to one port of this machine, whatever host is asked for.
 */
export class TunnelProxy {
  /** What clients asked to be connected to. */
  readonly targets: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param port where every tunnel leads; null refuses them all (407) */
  constructor(port: number | null) {
    this.#server = createServer();
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
    this.#server.on('connect', (request, client: Socket) => {
      this.targets.push(request.url ?? '');
      client.on('error', () => {});
      if (port === null) {
        client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const upstream = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      this.#sockets.add(upstream);
      upstream.on('error', () => client.destroy());
    });
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
}
