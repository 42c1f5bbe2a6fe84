/** One GET over HTTPS, with redirects, proxies, timeouts and a distinction between temporary and permanent failures. */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { LookoutError } from '../errors.ts';
import { AddressError, parseAddress, publicAddress } from '../runtime/address.ts';
import { VERSION } from '../version.ts';

/** A failure of the network or the server: the data received so far is valid. */
export class Interrupted extends Error {
  /** Whether a retry is pointless. */
  readonly permanent: boolean;
  /** Milliseconds that the server asked to wait. */
  readonly retryAfterMs: number;

  constructor(message: string, { permanent = false, retryAfterMs = 0 } = {}) {
    super(message);
    this.permanent = permanent;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Answer {
  response: IncomingMessage;
  status: number;
  /** Call when data arrives: after `idleMs` without a call the connection is closed. */
  alive: () => void;
  /** Why the connection was closed here, if it was. */
  closeReason: () => string | null;
  done: () => void;
}

const REDIRECTS = 5;
const REDIRECT = new Set([301, 302, 303, 307, 308]);
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_RETRY_AFTER_MS = 60_000;
/** Unknown hosts, certificates, a proxy that refuses. */
const PERMANENT = /^(ENOTFOUND|ERR_PROXY|ERR_TLS|ERR_INVALID|ERR_UNESCAPED)|CERT|SELF_SIGNED|UNABLE_TO/;

/**
 * Requests `url` with the given headers and follows redirects. Proxies come from HTTPS_PROXY, HTTP_PROXY and
 * NO_PROXY.
 * @returns an answer with status 200, 206 or 416; the caller reads its body and then calls `done`
 * @throws Interrupted, or LookoutError MODEL_DOWNLOAD_FAILED if there is no such file
 */
export async function get(url: string, headers: RequestOptions['headers'], idleMs: number): Promise<Answer> {
  let address = allowed(url, null);
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const answer = await getOnce(address, headers, idleMs);
    const { response, status } = answer;
    if ([200, 206, 416].includes(status)) return answer;
    response.destroy();
    answer.done();
    if (REDIRECT.has(status) && response.headers.location) {
      address = allowed(response.headers.location, address);
    } else if (TRANSIENT.has(status)) {
      throw new Interrupted(`the server answered ${status} ${response.statusMessage}`, {
        retryAfterMs: retryAfter(response),
      });
    } else {
      throw refused(address, `the server answered ${status} ${response.statusMessage}`);
    }
  }
  throw refused(address, `more than ${REDIRECTS} redirects`);
}

/** Allows only https, and plain http to this machine. A redirect from https to http is refused. */
function allowed(target: string, from: URL | null): URL {
  const url = from ? URL.parse(target, from.href) : parseDownload(target);
  if (!url) throw new LookoutError('MODEL_DOWNLOAD_FAILED', `${from?.host} redirects to an invalid URL`);
  const local = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  const plain = url.protocol === 'http:' && local && from?.protocol !== 'https:';
  if (url.protocol === 'https:' || plain) return url;
  const what = from ? `${from.host} redirects to ${publicAddress(url)}: ` : `${publicAddress(url)}: `;
  throw new LookoutError('MODEL_DOWNLOAD_FAILED', `${what}expected a URL that starts with https://`);
}

function parseDownload(target: string): URL {
  try {
    return parseAddress(target, { schemes: ['https', 'http'] });
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new LookoutError('MODEL_DOWNLOAD_FAILED', `model URL: ${error.message}`, {
      hint: error.hint,
    });
  }
}

async function getOnce(url: URL, headers: RequestOptions['headers'], idleMs: number): Promise<Answer> {
  // Loaded here because this module is part of every start, but downloads are rare.
  const http = await (url.protocol === 'http:' ? import('node:http') : import('node:https'));
  const agent = new http.Agent({ proxyEnv: process.env });
  let reason: string | null = null;
  const idle = setTimeout(() => {
    reason = `no data for ${idleMs / 1000} seconds`;
    request.destroy(new Error(reason));
  }, idleMs);
  const done = () => {
    clearTimeout(idle);
    agent.destroy();
  };
  const request = http.request(url, {
    agent,
    headers: { 'user-agent': `lookout/${VERSION}`, 'accept-encoding': 'identity', ...headers },
  });
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      idle.refresh();
      const status = response.statusCode ?? 0;
      resolve({ response, status, alive: () => idle.refresh(), closeReason: () => reason, done });
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      done();
      reject(
        new Interrupted(error.message || String(error.code), { permanent: PERMANENT.test(error.code ?? '') }),
      );
    });
    request.end();
  });
}

function retryAfter({ headers }: IncomingMessage): number {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds * 1000), MAX_RETRY_AFTER_MS) : 0;
}

function refused(url: URL, why: string): LookoutError {
  return new LookoutError('MODEL_DOWNLOAD_FAILED', `${publicAddress(url)}: ${why}`);
}
