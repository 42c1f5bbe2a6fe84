/** GET requests to one camera, with keep-alive, login, redirects and readable errors. */
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { getCACertificates, rootCertificates } from 'node:tls';
import { LookoutError, messageOf } from '../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { readText } from '../runtime/text-file.ts';
import { VERSION } from '../version.ts';
import { authorization, type Challenge, chooseChallenge, loginOf } from './login.ts';
import { answerError, badCertificate, type NetworkCamera, unreachable } from './network-fault.ts';

export interface HttpClientOptions {
  address: URL;
  /** How messages name the camera. */
  camera: NetworkCamera;
  /** Whether to verify the certificate of an `https://` URL; `ca_file` replaces the known certificate authorities. */
  verify: boolean;
  ca_file?: string | undefined;
  /** URL of an HTTP proxy; undefined: connect directly, whatever proxy the environment names. */
  proxy?: string | undefined;
  clock: Clock;
}

/** Time limit for the head of a response, and for each next piece of its body. */
export const RESPONSE_MS = 8000;
const REDIRECTS = 5;
const REDIRECT = new Set([301, 302, 303, 307, 308]);
/** Errors of a kept-alive connection that the camera closes while a request is sent. */
const STALE = /^(ECONNRESET|EPIPE)$/;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/;

/** Node.js cannot parse the response as HTTP; ffmpeg may be more lenient. */
export class UnparsableResponse extends Error {}

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #agents: { http: Agent; https: TlsAgent };
  #challenge: Challenge | null = null;
  /** Number of requests that answered the challenge. */
  #count = 0;

  private constructor(options: HttpClientOptions, ca: string | string[] | undefined) {
    const { proxy, verify } = options;
    const kept = {
      keepAlive: true,
      maxSockets: 1,
      ...(proxy === undefined ? {} : { proxyEnv: { http_proxy: proxy, https_proxy: proxy } }),
    };
    // Cameras stay in use for many years: accept every TLS version and cipher that they speak.
    const tls = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0', allowPartialTrustChain: true } as const;
    this.#options = options;
    this.#agents = {
      http: new Agent(kept),
      https: new TlsAgent({ ...kept, ...tls, rejectUnauthorized: verify, ...(ca && { ca }) }),
    };
  }

  /** @throws LookoutError CAPTURE_FILE when the authority cannot be read */
  static async open(options: HttpClientOptions): Promise<HttpClient> {
    return new HttpClient(options, await authorities(options));
  }

  /** Closes all connections. */
  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /**
   * @returns a response with status 200, its body still unread
   * @throws LookoutError CAPTURE_REFUSED, CAPTURE_NOT_OFFERED, CAPTURE_BUSY, CAPTURE_UNREACHABLE, CAPTURE_DEVICE (its
   * certificate), CAPTURE_ENDED; UnparsableResponse
   */
  async get(signal: AbortSignal): Promise<IncomingMessage> {
    const { camera, address } = this.#options;
    let url = address;
    for (let hops = 0; hops <= REDIRECTS; hops++) {
      const response = await this.#request(url, signal);
      const status = response.statusCode ?? 0;
      if (status === 200) return response;
      response.destroy();
      const target = REDIRECT.has(status) ? URL.parse(response.headers.location ?? '', url.href) : null;
      if (target === null || !/^https?:$/.test(target.protocol)) {
        throw answerError(camera, status, `${status} ${response.statusMessage ?? ''}`.trim());
      }
      url = target;
    }
    throw new LookoutError(
      'CAPTURE_NOT_OFFERED',
      `${camera.where}: the camera redirects more than ${REDIRECTS} times`,
      {
        hint: 'Check the path of the camera URL.',
      },
    );
  }

  /** Sends a request, and repeats it with the login if the camera asks for it. */
  async #request(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
    const { address } = this.#options;
    // The password never goes to another host that the camera redirects to, nor unencrypted if the URL is encrypted.
    const own =
      url.hostname === address.hostname && (url.protocol === address.protocol || url.protocol === 'https:');
    const login = own ? loginOf(address) : null;
    const uri = `${url.pathname}${url.search}`;
    const send = async () => {
      const challenge = login && this.#challenge;
      const headers =
        challenge && login
          ? { authorization: authorization(challenge, login, { method: 'GET', uri, count: ++this.#count }) }
          : {};
      return await this.#sendOnce(url, headers, signal);
    };
    const before = login && this.#challenge;
    const response = await send();
    if (response.statusCode !== 401 || login === null) return response;
    const challenge = chooseChallenge(response.headersDistinct['www-authenticate'] ?? []);
    // A digest may be refused only because its nonce is too old; a password that was refused is not sent twice.
    const again = challenge !== null && (before === null || challenge.scheme === 'digest');
    this.#challenge = challenge;
    this.#count = 0;
    if (!again) return response;
    response.resume();
    return await send();
  }

  async #sendOnce(url: URL, headers: OutgoingHttpHeaders, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#send(url, headers, signal);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#send(url, headers, signal);
    }
  }

  #send(url: URL, headers: OutgoingHttpHeaders, signal: AbortSignal): Promise<IncomingMessage> {
    const { camera, clock } = this.#options;
    const tls = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const request = (tls ? requestTls : requestHttp)({
        protocol: url.protocol,
        host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: url.port,
        path: `${url.pathname}${url.search}`,
        agent: tls ? this.#agents.https : this.#agents.http,
        headers: { 'user-agent': `lookout/${VERSION}`, accept: '*/*', ...headers },
        insecureHTTPParser: true,
        signal,
      });
      const cancel = clock.after(RESPONSE_MS, () => {
        request.destroy(new TooSlow(`no response within ${RESPONSE_MS / 1000} s`));
      });
      request.on('response', (response) => {
        cancel();
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        cancel();
        const { code = '' } = error;
        if (request.reusedSocket && STALE.test(code)) reject(new StaleConnection());
        else if (code.startsWith('HPE_')) reject(new UnparsableResponse(error.message));
        else if (CERTIFICATE.test(code)) reject(badCertificate(camera, messageOf(error)));
        else reject(unreachable(camera, describeError(error)));
      });
      request.end();
    });
  }
}

class StaleConnection extends Error {}
class TooSlow extends Error {}

async function authorities({
  address,
  verify,
  ca_file,
}: HttpClientOptions): Promise<string | string[] | undefined> {
  if (address.protocol !== 'https:' || !verify) return undefined;
  if (ca_file === undefined) return [...rootCertificates, ...getCACertificates('system')];
  try {
    return await readText(ca_file);
  } catch (cause) {
    throw new LookoutError('CAPTURE_FILE', `ca_file ${ca_file} cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

const DESCRIPTIONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the camera closes the connection before it responds',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'unknown host name',
  EAI_AGAIN: 'the host name cannot be resolved at the moment',
  ETIMEDOUT: 'connection timed out',
};

function describeError(error: NodeJS.ErrnoException): string {
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  return DESCRIPTIONS[first.code ?? ''] ?? first.message;
}
