/**
 * Connects a camera program to the daemon: the program writes to one end of a Unix socket, and the other end is read
 * into a single buffer. A child's ordinary stdout allocates for every read; at ten frames of 640×480 per second its
 * garbage grew to 45 MB (measured) before it was collected.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder, removeFolder } from '../runtime/own-files.ts';

/** As much as a Unix socket holds by default, rounded up. */
const BUFFER_BYTES = 256 * 1024;

export interface Output {
  /** The program's end: pass it to `spawn`, then destroy it. */
  writer: Socket;
  /** The output of the program, until it closes its end. */
  reader: OutputReader;
}

export async function openOutput(): Promise<Output> {
  const folder = await makeFolder(join(tmpdir(), 'lookout-'));
  const server = createServer({ pauseOnConnect: true });
  try {
    const path = join(folder, 'output');
    server.listen(path);
    await once(server, 'listening');
    const connection = once(server, 'connection') as Promise<[Socket]>;
    const reader = new OutputReader(path);
    const [writer] = await connection;
    return { writer, reader };
  } finally {
    server.close();
    await removeFolder(folder);
  }
}

/** Reads a socket piece by piece. Each piece is valid until the next is requested; meanwhile the writer waits. */
export class OutputReader implements AsyncIterable<Buffer> {
  readonly #socket: Socket;
  #piece: Buffer | null = null;
  #ended = false;
  #wake = () => {};

  constructor(path: string) {
    this.#socket = connect({
      path,
      onread: {
        buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES),
        callback: (bytes, buffer) => {
          this.#piece = Buffer.from(buffer.buffer, buffer.byteOffset, bytes);
          this.#wake();
          return false;
        },
      },
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for (;;) {
      if (this.#piece) {
        const piece = this.#piece;
        this.#piece = null;
        yield piece;
        this.#socket.resume();
      } else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Stops reading; from now on, writes of the program fail with EPIPE. */
  destroy(): void {
    this.#piece = null;
    this.#socket.destroy();
  }
}
