import type { SourceConfig } from '../config/sources.ts';
import { Scene } from '../demo/scene.ts';
import type { Clock } from '../runtime/clock.ts';
import { recordStage } from '../runtime/stage-times.ts';
import type { FrameSink, Source } from './source.ts';

/** The built-in camera: a rendered driveway with people, cars and cats. Needs no other program. */
export function demoSource(config: Extract<SourceConfig, { kind: 'demo' }>, clock: Clock): Source {
  const { width, height, fps, seed } = config;
  return {
    description: `demo scene ${width}×${height} at ${fps} fps, seed ${seed}`,
    run: (sink, signal) => play(new Scene(width, height, seed), config, sink, signal, clock),
  };
}

/** Renders a frame whenever one is due; skips frames that are already late. */
function play(
  scene: Scene,
  { width, height, fps }: { width: number; height: number; fps: number },
  sink: FrameSink,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  const period = 1000 / fps;
  const start = clock.monotonic();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve();
    let cancel = () => {};
    let number = 0;
    const stop = () => {
      cancel();
      resolve();
    };
    const tick = () => {
      const time = clock.monotonic() - start;
      try {
        const data = sink.acquire(scene.bytes);
        const began = performance.now();
        scene.render(time, new Uint8Array(data));
        recordStage('capture', performance.now() - began);
        sink.frame({ format: { width, height, pixels: 'i420', colour: 'bt601' }, data });
      } catch (error) {
        signal.removeEventListener('abort', stop);
        return reject(error);
      }
      // A timer may fire a fraction of a millisecond early: by the time alone, the same frame would be rendered again.
      number = Math.max(number, Math.floor(time / period)) + 1;
      if (!signal.aborted) cancel = clock.after(number * period - (clock.monotonic() - start), tick);
    };
    signal.addEventListener('abort', stop, { once: true });
    tick();
  });
}
