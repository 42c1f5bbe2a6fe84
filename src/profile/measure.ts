/** Measures one round of a point in its own process: the daemon paced, then at full speed, then the model alone. */
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { findPowerSource, type PowerSource } from '../board/energy.ts';
import { DEFAULT_MODEL } from '../config/names.ts';
import { Daemon } from '../daemon.ts';
import { LookoutError } from '../errors.ts';
import { ConfigResolver } from '../setup/config-resolver.ts';
import { measureInference } from './inference.ts';
import type { Budget, Measurement, Phase, Provider } from './profile-types.ts';
import { Recorder } from './recorder.ts';
import { Stamper } from './stamp.ts';

/** Frames and milliseconds before the measurement starts. */
const WARM_UP_FRAMES = 10;
const WARM_UP_MS = 500;
const SLOWEST_MS = 30_000;

/**
 * @param full path of the configuration in which frames come as fast as they are analysed
 * @param paced path of the one in which they come at the configured rate
 * @param signal ends the measurement early
 * @throws LookoutError if the daemon cannot run; the signal's reason
 */
export async function measure(
  { full, paced, budget }: { full: string; paced: string; budget: Budget },
  signal: AbortSignal,
): Promise<Measurement> {
  const power = await findPowerSource();
  const stamper = new Stamper();
  const before = await stamper.stamp();
  // The paced part comes first, so that the memory is that of an ordinary daemon.
  const pacedPhase = await measurePipeline(paced, budget.pacedMs, power, signal);
  const pipeline = await measurePipeline(full, budget.pipelineMs, power, signal);
  const resolver = new ConfigResolver();
  const { models } = await resolver.resolve(await resolver.load({ file: full, env: {} }));
  const model = models.get(DEFAULT_MODEL)!;
  const { info, inference } = await measureInference(model, budget, signal);
  const [first] = model.config.providers;
  if (info.provider !== first) throw providerMissing(first!, info.skipped);
  const after = await stamper.stamp();
  return {
    provider: info.provider,
    threads: info.threads,
    kernel: info.kernel,
    paced: pacedPhase,
    pipeline,
    inference,
    before,
    after,
  };
}

function providerMissing(name: Provider, reasons: { provider: Provider; reason: string }[]): LookoutError {
  const reason = reasons.find(({ provider }) => provider === name)?.reason ?? 'it cannot run this model';
  return new LookoutError('MODEL_PROVIDER_MISSING', `provider ${name} is unavailable: ${reason}`);
}

async function measurePipeline(
  file: string,
  milliseconds: number,
  power: PowerSource | null,
  signal: AbortSignal,
): Promise<Phase> {
  const daemon = await startDaemon(file);
  try {
    const recorder = new Recorder(power);
    await settle(daemon, signal);
    await recorder.start();
    await wait(milliseconds, signal);
    return await recorder.stop();
  } finally {
    await daemon.stop();
  }
}

/** Runs the daemon in this process. @throws LookoutError if it cannot start */
export async function startDaemon(file: string): Promise<Daemon> {
  const resolver = new ConfigResolver();
  const loaded = await resolver.load({ file, env: {} });
  const daemon = new Daemon(loaded, { log: pino({ level: 'silent' }), resolver });
  try {
    await daemon.start();
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return daemon;
}

/** Waits until frames arrive. @throws LookoutError CAPTURE_STALLED */
export async function settle(daemon: Daemon, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  while (daemon.finished < WARM_UP_FRAMES || performance.now() - began < WARM_UP_MS) {
    if (daemon.finished > 0 && performance.now() - began > 2 * WARM_UP_MS) break;
    if (performance.now() - began > SLOWEST_MS) {
      throw new LookoutError(
        'CAPTURE_STALLED',
        `received no frames from the camera for ${SLOWEST_MS / 1000} s`,
      );
    }
    await wait(10, signal);
  }
}

/** @throws the reason of `signal`, as soon as it aborts */
export async function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal });
}
