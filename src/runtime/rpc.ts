/**
 * Calls between two threads over a message port: requests are answered in any order, buffers can be handed over,
 * errors keep their code.
 */
import type { MessagePort, TransferListItem } from 'node:worker_threads';
import { ERROR_CODES, type ErrorCode, LookoutError, messageOf } from '../errors.ts';

/** What one side offers: methods with cloneable arguments and results. */
export type Api<T> = { [K in keyof T]: (...args: never[]) => unknown };

type Method = (...args: never[]) => unknown;

/** The same methods as they are written on the side that serves them. */
export type Handlers<T extends Api<T>> = {
  [K in keyof T]: (...args: Parameters<T[K]>) => Result<ReturnType<T[K]>> | Promise<Result<ReturnType<T[K]>>>;
};

type Result<T> = T | Transferred<T>;

/** A result with buffers that change hands instead of being copied. */
export class Transferred<T> {
  readonly value: T;
  readonly transfer: readonly TransferListItem[];

  constructor(value: T, transfer: readonly TransferListItem[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

interface Request {
  id: number;
  method: string;
  args: unknown[];
}

type Reply = { id: number; value: unknown } | { id: number; fault: Fault };

interface Fault {
  code: string | null;
  message: string;
  hint: string | undefined;
  stack: string | undefined;
}

/** An error that happened on the other side; `code` is SQLite's or the system's, such as `SQLITE_FULL`. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly code: string | null;

  constructor({ code, message, stack }: Fault) {
    super(message);
    this.code = code;
    if (stack) this.stack = stack;
  }
}

/** Answers the requests that arrive on `port`. Other messages are left to other listeners. */
export function exposeRpc<T extends Api<T>>(port: MessagePort, handlers: Handlers<T>): void {
  port.on('message', (request: Request) => {
    void answer(port, handlers[request.method as keyof T] as Method, request);
  });
}

async function answer(port: MessagePort, handler: Method, { id, args }: Request): Promise<void> {
  try {
    const result = await handler(...(args as never[]));
    if (result instanceof Transferred) port.postMessage({ id, value: result.value }, result.transfer);
    else port.postMessage({ id, value: result });
  } catch (error) {
    port.postMessage({ id, fault: describe(error) });
  }
}

function describe(error: unknown): Fault {
  const code = (error as { code?: unknown }).code;
  return {
    code: typeof code === 'string' ? code : null,
    message: messageOf(error),
    hint: error instanceof LookoutError ? error.hint : undefined,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

function revive(fault: Fault): Error {
  if (fault.code !== null && fault.code in ERROR_CODES) {
    return new LookoutError(
      fault.code as ErrorCode,
      fault.message,
      fault.hint === undefined ? {} : { hint: fault.hint },
    );
  }
  return new RemoteError(fault);
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/** The calling side. */
export class RpcClient<T extends Api<T>> {
  readonly #post: (message: Request, transfer: readonly TransferListItem[]) => void;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closed: Error | null = null;

  /** @param post how a message gets to the other side, for example a worker's `postMessage` */
  constructor(post: (message: unknown, transfer: readonly TransferListItem[]) => void) {
    this.#post = post;
  }

  /** Calls a method of the other side. Rejects with what it threw, or when the other side has gone. */
  call<K extends keyof T & string>(
    method: K,
    args: Parameters<T[K]>,
    transfer: readonly TransferListItem[] = [],
  ): Promise<Awaited<ReturnType<T[K]>>> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closed);
        return;
      }
      const id = ++this.#lastId;
      this.#post({ id, method, args }, transfer);
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject });
    });
  }

  /** Takes a message of the other side; false if it is none of ours. */
  receive(message: unknown): boolean {
    const reply = message as Partial<Reply>;
    const pending = reply.id === undefined ? undefined : this.#pending.get(reply.id);
    if (!pending) return false;
    this.#pending.delete(reply.id!);
    if ('fault' in reply && reply.fault) pending.reject(revive(reply.fault));
    else pending.resolve((reply as { value: unknown }).value);
    return true;
  }

  /** Rejects everything that still waits, and every later call. */
  close(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
