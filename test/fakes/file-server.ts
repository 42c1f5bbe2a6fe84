import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * A real HTTP server on loopback. The n-th request is answered by the n-th handler, later ones by the last.
 */
export class FileServer {
  readonly requests: IncomingMessage[] = [];
  readonly #handlers: Handler[];
  readonly #server: Server;

  constructor(...handlers: Handler[]) {
    this.#handlers = handlers;
    this.#server = createServer((request, response) => {
      const handler = this.#handlers[Math.min(this.requests.length, this.#handlers.length - 1)]!;
      this.requests.push(request);
      handler(request, response);
    });
  }

  start(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/model.tflite'): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }
}

/** Serves a body as web servers do: with an ETag, and from the middle on when Range and If-Range ask for it. */
export function serve(body: Uint8Array, etag = '"v1"'): Handler {
  return (request, response) => {
    const { start, headers } = answerTo(request, body, etag);
    response.writeHead(start > 0 ? 206 : 200, headers).end(body.subarray(start));
  };
}

/** Serves as `serve` does but cuts the connection after so many bytes. */
export function breakAfter(bytes: number, body: Uint8Array, etag = '"v1"'): Handler {
  return (request, response) => {
    const { start, headers } = answerTo(request, body, etag);
    response.writeHead(start > 0 ? 206 : 200, headers);
    response.write(body.subarray(start, start + bytes), () => response.destroy());
  };
}

export function status(code: number, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(code, headers).end('<html>sorry</html>');
  };
}

function answerTo(request: IncomingMessage, body: Uint8Array, etag: string) {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const start = from !== undefined && request.headers['if-range'] === etag ? Number(from) : 0;
  const headers: Record<string, string | number> = { etag, 'content-length': body.length - start };
  if (start > 0) headers['content-range'] = `bytes ${start}-${body.length - 1}/${body.length}`;
  return { start, headers };
}
