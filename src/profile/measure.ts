/** One round of a point, in a process of its own: the real daemon paced, then at full speed, then the model alone. */
import { pino } from 'pino';
import { DEFAULT_MODEL } from '../config/names.ts';
import { Daemon } from '../daemon.ts';
import { LookoutError } from '../errors.ts';
import { findPowerSource, type PowerSource } from '../platform/energy.ts';
import { Preparer } from '../preparer.ts';
import { measureInference } from './inference.ts';
import { Recorder } from './recorder.ts';
import { Stamper } from './stamp.ts';
import type { Budget, Measurement, Phase, Provider } from './types.ts';

/** Frames and milliseconds that pass before anything counts. */
const WARM_UP_FRAMES = 10;
const WARM_UP_MS = 500;
const SLOWEST_MS = 30_000;

/**
 * @param full path of the configuration in which frames come as fast as they are analysed
 * @param paced path of the one in which they come at the wanted rate
 * @throws LookoutError whatever keeps the daemon from running
 */
export async function measure({
  full,
  paced,
  budget,
}: {
  full: string;
  paced: string;
  budget: Budget;
}): Promise<Measurement> {
  const power = await findPowerSource();
  const stamper = new Stamper();
  const before = await stamper.stamp();
  // First what a user has all day, so that the memory is that of a daemon and nothing else.
  const pacedPhase = await measurePipeline(paced, budget.pacedMs, power);
  const pipeline = await measurePipeline(full, budget.pipelineMs, power);
  const loaded = await new Preparer().load({ file: full, env: {} });
  const { models } = await new Preparer().prepare(loaded);
  const model = models.get(DEFAULT_MODEL)!;
  const { info, inference } = await measureInference(model, budget);
  const [wanted] = model.config.providers;
  if (info.provider !== wanted) throw passedOver(wanted!, info.passedOver);
  const after = await stamper.stamp();
  return {
    provider: info.provider,
    threads: info.threads,
    paced: pacedPhase,
    pipeline,
    inference,
    before,
    after,
  };
}

function passedOver(wanted: Provider, reasons: { provider: Provider; reason: string }[]): LookoutError {
  const reason = reasons.find(({ provider }) => provider === wanted)?.reason ?? 'it cannot run this model';
  return new LookoutError('MODEL_PROVIDER_MISSING', `${wanted} does not work here: ${reason}`);
}

async function measurePipeline(
  file: string,
  milliseconds: number,
  power: PowerSource | null,
): Promise<Phase> {
  const { daemon, stop } = await startDaemon(file);
  try {
    const recorder = new Recorder(power);
    await settle(daemon);
    await recorder.start();
    await wait(milliseconds);
    return await recorder.stop();
  } finally {
    await stop();
  }
}

/** Runs the daemon in this process. @throws LookoutError if it cannot start */
export async function startDaemon(file: string): Promise<{ daemon: Daemon; stop: () => Promise<void> }> {
  const preparer = new Preparer();
  const loaded = await preparer.load({ file, env: {} });
  const daemon = new Daemon(loaded, { log: pino({ level: 'silent' }), preparer });
  try {
    await daemon.start();
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return { daemon, stop: () => daemon.stop() };
}

/** Waits until frames flow. @throws LookoutError CAPTURE_STALLED */
export async function settle(daemon: Daemon): Promise<void> {
  const began = performance.now();
  while (daemon.finished < WARM_UP_FRAMES || performance.now() - began < WARM_UP_MS) {
    if (daemon.finished > 0 && performance.now() - began > 2 * WARM_UP_MS) break;
    if (performance.now() - began > SLOWEST_MS) {
      throw new LookoutError('CAPTURE_STALLED', `the camera gave no picture in ${SLOWEST_MS / 1000} s`);
    }
    await wait(10);
  }
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
