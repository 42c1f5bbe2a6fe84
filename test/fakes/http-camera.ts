import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import sharp from 'sharp';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface FakeHttpCamera {
  port: number;
  /** Paths that were asked for, in order. */
  requests: string[];
  /** Connections that were made. */
  connections: number;
  /** Requests with a login that was refused. */
  refused: number;
}

/** A camera over HTTP on loopback that answers as told, until the test ends. */
export async function startHttpCamera(t: TestContext, answer: Answer): Promise<FakeHttpCamera> {
  const camera: FakeHttpCamera = { port: 0, requests: [], connections: 0, refused: 0 };
  const server = createServer((request, response) => {
    camera.requests.push(request.url ?? '');
    answer(request, response);
  });
  server.on('connection', () => camera.connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  camera.port = (server.address() as AddressInfo).port;
  return camera;
}

/** One image of a colour. */
export async function jpeg(background = '#ff0000', width = 320, height = 180): Promise<Buffer> {
  return await sharp({ create: { width, height, channels: 3, background } })
    .jpeg()
    .toBuffer();
}

export function sendStill(response: ServerResponse, image: Buffer): void {
  response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': image.length }).end(image);
}

/** Images without an end: `multipart`, or one after the other with nothing but `between` around them. */
export function sendStream(response: ServerResponse, image: Buffer, between: string | null, ms = 50): void {
  const type = between === null ? 'multipart/x-mixed-replace; boundary=frame' : 'image/jpeg';
  response.writeHead(200, { 'content-type': type, connection: 'close' });
  const timer = setInterval(() => {
    if (between === null) {
      response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${image.length}\r\n\r\n`);
    }
    response.write(image);
    response.write(between ?? '\r\n');
  }, ms);
  response.on('close', () => clearInterval(timer));
}

/**
 * Lets requests with the right login through to `answer`.
 * @param algorithm of Digest; null: Basic
 */
export function guarded(
  camera: () => FakeHttpCamera,
  [user, password]: readonly [string, string],
  algorithm: 'MD5' | 'SHA-256' | null,
  answer: Answer,
): Answer {
  const challenge =
    algorithm === null
      ? 'Basic realm="camera"'
      : `Digest realm="camera", nonce="n0nce", qop="auth", algorithm=${algorithm}`;
  return (request, response) => {
    const given = request.headers.authorization;
    if (given !== undefined && isRight(given, request, user, password)) return answer(request, response);
    if (given !== undefined) camera().refused++;
    response.writeHead(401, { 'www-authenticate': challenge, 'content-length': 0 }).end();
  };
}

function isRight(given: string, { method, url }: IncomingMessage, user: string, password: string): boolean {
  if (given.startsWith('Basic ')) {
    return given === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }
  const field = (name: string) => new RegExp(`\\b${name}="?([^",]+)`).exec(given)?.[1] ?? '';
  const digest = (text: string) =>
    createHash(field('algorithm') === 'SHA-256' ? 'sha256' : 'md5')
      .update(text)
      .digest('hex');
  const secret = digest(`${user}:camera:${password}`);
  const expected = digest(
    `${secret}:n0nce:${field('nc')}:${field('cnonce')}:auth:${digest(`${method}:${url}`)}`,
  );
  return field('username') === user && field('response') === expected;
}
