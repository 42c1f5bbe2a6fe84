/**
 * Pictures and video over HTTP. What stands behind an address is found out by asking:
 *
 *   one picture  ─▶ asked for again at `fps`, here
 *   JPEG pictures one after the other ─▶ ffmpeg, which gets them from here
 *   MJPEG, MPEG-TS … ─▶ ffmpeg, which asks by itself
 *   a playlist, or a path that ends like a file ─▶ ffmpeg, at its own pace
 */
import type { SourceConfig } from '../config/sources.ts';
import { LookoutError, messageOf } from '../errors.ts';
import { decodeImage } from '../pixels/decode-image.ts';
import { formatOf, HEAD_BYTES } from '../pixels/image-format.ts';
import { publicAddress } from '../runtime/address.ts';
import { Pacer } from './abortable.ts';
import { readAddress, uncheckedTls } from './camera-address.ts';
import { addressInput } from './concat.ts';
import type { SourceContext } from './context.ts';
import { ARRIVAL, ffmpegError, OWN_PACE, runFfmpeg } from './ffmpeg.ts';
import { HttpClient, UnreadableAnswer } from './http-client.ts';
import { type Content, readContent } from './http-content.ts';
import type { NetworkCamera } from './network-fault.ts';
import { ffmpegVersion, TAKES_OPTIONS } from './programs.ts';
import type { FrameSink, Source } from './source.ts';

export type HttpConfig = Extract<SourceConfig, { kind: 'http' }>;

/** Files and playlists, which come as fast as the line allows and carry their own times. */
const RECORDED = /\.(m3u8|mpd|mp4|m4v|mov|mkv|webm|avi|ts|mpg|mpeg|flv|ogv)$/i;
/** JPEG pictures on standard input: without `mjpeg` ffmpeg waits for the end of the one picture that it expects. */
const JPEGS = [...ARRIVAL, '-f', 'mjpeg', '-i', 'pipe:0'];
/** Pictures in a row that may fail before the camera counts as failed. */
const LOST_PICTURES = 3;

/**
 * Cameras that gave a stream the last time. They are not asked first at their next start: some serve one viewer only,
 * and take a moment to notice that it has left.
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
    const kind = streams.delete(this.#config) ? 'stream' : await this.#look(sink, signal);
    if (kind !== null) await this.#play(kind, sink, signal);
  }

  /**
   * Finds out what the camera gives, and takes it if that needs no other program's connection, until `signal` aborts.
   * @returns what ffmpeg has to take, null if nothing
   */
  async #look(sink: FrameSink, signal: AbortSignal): Promise<'stream' | 'playlist' | null> {
    const { verify, ca_file, proxy } = this.#config;
    const { clock } = this.#context;
    const client = await HttpClient.open({
      ...{ address: this.#address, camera: this.#camera, verify, ca_file, proxy, clock },
    });
    try {
      const content = await this.#ask(client, signal);
      if (content.kind === 'still') await this.#poll(client, content.bytes, sink, signal);
      else if (content.kind === 'pictures') await this.#take(JPEGS, content.bytes, sink, signal);
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

  async #ask(client: HttpClient, signal: AbortSignal): Promise<Content> {
    try {
      const response = await client.get(signal);
      const content = await readContent(response, this.#camera, this.#context.clock);
      if (content.kind === 'stream' || content.kind === 'playlist') response.destroy();
      return content;
    } catch (error) {
      // ffmpeg may make something of it.
      if (error instanceof UnreadableAnswer) return { kind: 'stream' };
      throw error;
    }
  }

  /** @param first the picture that came when the camera was asked what it gives */
  async #poll(client: HttpClient, first: Buffer, sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { width, height, fps } = this.#config;
    const pacer = new Pacer(this.#context.clock, fps);
    let lost = 0;
    for (let bytes: Buffer | null = first; !signal.aborted; bytes = null) {
      await pacer.next(signal);
      if (signal.aborted) return;
      try {
        bytes ??= await this.#next(client, signal);
        const format = formatOf(bytes.subarray(0, HEAD_BYTES), '');
        const picture = await decodeImage({ format, source: bytes }, { width, height }, sink);
        sink.frame(picture);
        lost = 0;
      } catch (error) {
        if (signal.aborted) return;
        const passing =
          !(error instanceof LookoutError) ||
          error.code === 'CAPTURE_BUSY' ||
          error.code === 'CAPTURE_UNREACHABLE';
        if (!passing || ++lost === LOST_PICTURES) throw asError(error, this.#camera);
        sink.fault(messageOf(asError(error, this.#camera)));
      }
    }
  }

  async #next(client: HttpClient, signal: AbortSignal): Promise<Buffer> {
    const content = await this.#ask(client, signal);
    if (content.kind === 'still') return content.bytes;
    client.close();
    throw new LookoutError(
      'CAPTURE_ENDED',
      `${this.#camera.where}: it gave pictures, and now gives a ${content.kind}`,
    );
  }

  /** Has ffmpeg take pictures that come through here. */
  async #take(
    args: string[],
    stdin: AsyncIterable<Buffer>,
    sink: FrameSink,
    signal: AbortSignal,
  ): Promise<void> {
    const input = { args, stdin, camera: this.#camera };
    const end = await runFfmpeg(input, this.#config, this.#context, sink, signal, (picture) =>
      sink.frame(picture),
    );
    if (!signal.aborted) throw ffmpegError(input, end);
  }

  /** Has ffmpeg ask the camera. */
  async #play(kind: 'stream' | 'playlist', sink: FrameSink, signal: AbortSignal): Promise<void> {
    const { proxy } = this.#config;
    const input = {
      ...addressInput(this.#address, kind === 'stream' ? ARRIVAL : OWN_PACE, await this.#tlsOptions(), proxy),
      camera: this.#camera,
      env: proxy === undefined ? {} : { http_proxy: proxy },
    };
    const end = await runFfmpeg(input, this.#config, this.#context, sink, signal, (picture) => {
      if (kind === 'stream') streams.add(this.#config);
      sink.frame(picture);
    });
    if (!signal.aborted) throw ffmpegError(input, end);
  }

  /** How ffmpeg is told to check the certificate, which it does not do unless told. */
  async #tlsOptions(): Promise<Record<string, string>> {
    const { verify, ca_file } = this.#config;
    if (this.#address.protocol !== 'https:' || !verify) return {};
    const version = await ffmpegVersion(this.#context.env);
    if (version < TAKES_OPTIONS) {
      throw new LookoutError(
        'CAPTURE_ADDRESS',
        `${this.#camera.where}: ffmpeg ${version} cannot be told to check certificates`,
        {
          hint: 'ffmpeg 5 or later can. `verify: false` uses the camera encrypted, but from whoever answers.',
        },
      );
    }
    return { tls_verify: '1', ...(ca_file === undefined ? {} : { ca_file }) };
  }
}

/** A picture that cannot be decoded has no code yet. */
function asError(error: unknown, { where }: NetworkCamera): LookoutError {
  if (error instanceof LookoutError) return error;
  return new LookoutError('CAPTURE_STREAM', `${where}: a picture cannot be decoded: ${messageOf(error)}`, {
    cause: error,
  });
}
