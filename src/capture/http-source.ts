/**
 * Stills and video over HTTP. A request shows what a URL serves:
 *
 *   one still              ─▶ requested repeatedly at `fps`, here
 *   JPEG images in a row   ─▶ ffmpeg, which gets them from here
 *   MJPEG, MPEG-TS …       ─▶ ffmpeg, which makes its own request
 *   a playlist, or a path with a file extension ─▶ ffmpeg, at the pace of its timestamps
 */
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { decodeImage } from '../pixels/decode-image.ts';
import { formatOf, HEAD_BYTES } from '../pixels/image-format.ts';
import { publicAddress } from '../runtime/address.ts';
import { Pacer } from './abortable.ts';
import { readAddress, uncheckedTls } from './camera-address.ts';
import { addressInput } from './concat.ts';
import { ARRIVAL, ffmpegError, OWN_PACE, runFfmpeg } from './ffmpeg.ts';
import { HttpClient, UnparsableResponse } from './http-client.ts';
import { type Content, readContent } from './http-content.ts';
import type { NetworkCamera } from './network-fault.ts';
import { ffmpegVersion, TAKES_OPTIONS } from './programs.ts';
import type { FrameSink, Source, SourceContext } from './source.ts';

export type HttpConfig = Extract<SourceConfig, { kind: 'http' }>;

/** Files and playlists: they arrive as fast as the network allows and have their own timestamps. */
const RECORDED = /\.(m3u8|mpd|mp4|m4v|mov|mkv|webm|avi|ts|mpg|mpeg|flv|ogv)$/i;
/** JPEG images on standard input: without `mjpeg`, ffmpeg expects one image and waits for its end. */
const JPEGS = [...ARRIVAL, '-f', 'mjpeg', '-i', 'pipe:0'];
/** After this many failed stills in a row the camera counts as failed. */
const FAILED_STILLS = 3;

/**
 * Cameras that served a stream last time. At their next start ffmpeg connects directly, without a probe first: some
 * cameras serve a single viewer and take a moment to notice that it has left.
 */
const streams = new WeakSet<HttpConfig>();

/** @throws LookoutError CAPTURE_FILE, CAPTURE_ADDRESS, CAPTURE_PROGRAM_MISSING */
export async function httpSource(config: HttpConfig, context: SourceContext): Promise<Source> {
  const address = await readAddress(config);
  if (address.protocol === 'https:' && !config.verify) context.log.warn(uncheckedTls(address));
  return new HttpSource(address, config, context);
}

class HttpSource implements Source {
  readonly description: string;
  readonly #address: URL;
  readonly #config: HttpConfig;
  readonly #context: SourceContext;
  readonly #camera: NetworkCamera;

  constructor(address: URL, config: HttpConfig, context: SourceContext) {
    const { width, height, fps } = config;
    const where = publicAddress(address);
    this.description = `${where}, at most ${width}×${height}, ${fps} fps`;
    this.#address = address;
    this.#config = config;
    this.#context = context;
    this.#camera = { where, login: address.username !== '' || address.password !== '' };
  }

  /** @throws LookoutError CAPTURE_*, as `HttpClient`, `readContent` and ffmpeg do */
  async run(sink: FrameSink, signal: AbortSignal): Promise<void> {
    if (RECORDED.test(this.#address.pathname)) return await this.#play('playlist', sink, signal);
    const kind = streams.delete(this.#config) ? 'stream' : await this.#probe(sink, signal);
    if (kind !== null) await this.#play(kind, sink, signal);
  }

  /**
   * Detects what the camera serves. Stills and JPEG images in a row are played here until `signal` aborts.
   * @returns what ffmpeg must request by itself; null: nothing
   */
  async #probe(sink: FrameSink, signal: AbortSignal): Promise<'stream' | 'playlist' | null> {
    const { verify, ca_file, proxy } = this.#config;
    const { clock } = this.#context;
    const client = await HttpClient.open({
      address: this.#address,
      camera: this.#camera,
      verify,
      ca_file,
      proxy,
      clock,
    });
    try {
      const content = await this.#request(client, signal);
      if (content.kind === 'still') await this.#poll(client, content.bytes, sink, signal);
      else if (content.kind === 'jpegs') await this.#playImages(JPEGS, content.bytes, sink, signal);
      else {
        if (content.kind === 'stream') streams.add(this.#config);
        return content.kind;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      client.close();
    }
    return null;
  }

  async #request(client: HttpClient, signal: AbortSignal): Promise<Content> {
    try {
      const response = await client.get(signal);
      const content = await readContent(response, this.#camera, this.#context.clock);
      if (content.kind === 'stream' || content.kind === 'playlist') response.destroy();
      return content;
    } catch (error) {
      // ffmpeg may be able to read it.
      if (error instanceof UnparsableResponse) return { kind: 'stream' };
      throw error;
    }
  }

  /** @param first the still that the probe received */
  async #poll(client: HttpClient, first: Buffer, sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { width, height, fps } = this.#config;
    const pacer = new Pacer(this.#context.clock, fps);
    let failed = 0;
    for (let bytes: Buffer | null = first; !signal.aborted; bytes = null) {
      await pacer.next(signal);
      if (signal.aborted) return;
      try {
        bytes ??= await this.#next(client, signal);
        const format = formatOf(bytes.subarray(0, HEAD_BYTES), '');
        const frame = await decodeImage({ format, source: bytes }, { width, height }, sink);
        sink.frame(frame);
        failed = 0;
      } catch (error) {
        if (signal.aborted) return;
        const temporary =
          !(error instanceof LookoutError) ||
          error.code === 'CAPTURE_BUSY' ||
          error.code === 'CAPTURE_UNREACHABLE';
        if (!temporary || ++failed === FAILED_STILLS) throw asError(error, this.#camera);
        sink.fault(messageOf(asError(error, this.#camera)));
      }
    }
  }

  async #next(client: HttpClient, signal: AbortSignal): Promise<Buffer> {
    const content = await this.#request(client, signal);
    if (content.kind === 'still') return content.bytes;
    client.close();
    throw new LookoutError(
      'CAPTURE_ENDED',
      `${this.#camera.where}: the camera served stills, and now serves ${content.kind === 'jpegs' ? 'JPEG images in a row' : `a ${content.kind}`}`,
    );
  }

  /** Passes JPEG images to ffmpeg. */
  async #playImages(
    args: string[],
    stdin: AsyncIterable<Buffer>,
    sink: FrameSink,
    signal: AbortSignal,
  ): Promise<void> {
    const input = { args, stdin, camera: this.#camera };
    const end = await runFfmpeg(input, this.#config, this.#context, sink, signal, (frame) =>
      sink.frame(frame),
    );
    if (!signal.aborted) throw ffmpegError(input, end);
  }

  /** Lets ffmpeg request the URL. */
  async #play(kind: 'stream' | 'playlist', sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { proxy } = this.#config;
    const input = {
      ...addressInput(this.#address, kind === 'stream' ? ARRIVAL : OWN_PACE, await this.#tlsOptions(), proxy),
      camera: this.#camera,
      env: proxy === undefined ? {} : { http_proxy: proxy },
    };
    const end = await runFfmpeg(input, this.#config, this.#context, sink, signal, (frame) => {
      if (kind === 'stream') streams.add(this.#config);
      sink.frame(frame);
    });
    if (!signal.aborted) throw ffmpegError(input, end);
  }

  /** ffmpeg verifies certificates only with `tls_verify`. */
  async #tlsOptions(): Promise<Record<string, string>> {
    const { verify, ca_file } = this.#config;
    if (this.#address.protocol !== 'https:' || !verify) return {};
    const version = await ffmpegVersion(this.#context.env);
    if (version < TAKES_OPTIONS) {
      throw new LookoutError(
        'CAPTURE_ADDRESS',
        `${this.#camera.where}: ffmpeg ${version} has no option to verify certificates`,
        {
          hint: 'Install ffmpeg 5 or later. `verify: false` encrypts, but does not verify who answers.',
        },
      );
    }
    return { tls_verify: '1', ...(ca_file === undefined ? {} : { ca_file }) };
  }
}

/** Errors of the image decoder have no code yet. */
function asError(error: unknown, { where }: NetworkCamera): LookoutError {
  if (error instanceof LookoutError) return error;
  return new LookoutError('CAPTURE_STREAM', `${where}: cannot decode a still: ${messageOf(error)}`, {
    cause: error,
  });
}
