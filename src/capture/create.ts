import type { Logger } from 'pino';
import type { SourceConfig } from '../config/sources.ts';
import type { Clock } from '../runtime/clock.ts';
import { withoutProxies } from '../runtime/proxy.ts';
import type { Source, SourceContext } from './source.ts';

export interface CreateOptions {
  clock: Clock;
  log: Logger;
  env?: NodeJS.ProcessEnv;
  root?: string;
}

/**
 * Creates the source of a camera. Each kind is loaded on first use, which saves the memory of the others. Paths must
 * be absolute, as `loadConfig` returns them.
 * @throws LookoutError CAPTURE_* when it is clear before the start that the source cannot work
 */
export async function createSource(config: SourceConfig, options: CreateOptions): Promise<Source> {
  const { clock, log, env = process.env, root = '/' } = options;
  const context: SourceContext = { clock, log, env: withoutProxies(env), root };
  switch (config.kind) {
    case 'libcamera': {
      if (config.mode === 'still')
        return new (await import('./still-camera.ts')).StillSource(config, context);
      return new (await import('./libcamera.ts')).LibcameraSource(config, context);
    }
    case 'v4l2':
      return (await import('./v4l2.ts')).v4l2Source(config, context);
    case 'rtsp':
      return (await import('./rtsp.ts')).rtspSource(config, context);
    case 'http':
      return (await import('./http-source.ts')).httpSource(config, context);
    case 'gstreamer':
      return new (await import('./gstreamer.ts')).GstreamerSource(config, context);
    case 'replay':
      return (await import('./replay.ts')).replaySource(config, context);
    case 'demo':
      return (await import('./demo-source.ts')).demoSource(config, context.clock);
    case 'auto': {
      const { width, height, fps } = config;
      const { sourceSchema } = await import('../config/sources.ts');
      return new (await import('./auto.ts')).AutoSource(config, context, ({ source }) =>
        createSource(sourceSchema.parse({ ...source, width, height, fps }), options),
      );
    }
  }
}
